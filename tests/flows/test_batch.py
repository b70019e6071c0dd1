"""The short flows on a real server: what was due is rolled up, the lake is kept, and doing it twice changes nothing."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from storage.declaration import MEASUREMENTS, Tier
from storage.downsample import watermarks
from storage.downsample.run import roll_up
from storage.downsample.touch import ROLLED_MEASUREMENTS
from storage.frame import build_frame
from storage.lake.sink import LakeSink
from storage.lake.store import EmbeddedStore
from storage.spool.record import Batch, SpoolRecord

pytestmark = [
    pytest.mark.prefect,
    # Prefect leaves the socket of a run's client to the garbage collector; a flow's process ends before that matters.
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
    pytest.mark.usefixtures("collected"),
]

HOUR_S = 3600


@pytest.fixture
def lake(api, tmp_path, monkeypatch):
    """A lake with one miner's readings of the hour before the last."""
    monkeypatch.setenv("LODELINE_DATA_DIRECTORY", str(tmp_path))
    hour = int(time.time()) // HOUR_S * HOUR_S - 2 * HOUR_S
    times = list(range(hour, hour + HOUR_S, 60))
    columns = {"miner_id": ["m1"] * 60, "model": ["S19"] * 60, "site": ["main"] * 60, "state": ["mining"] * 60}
    frame = build_frame(
        "miner_telemetry", times, {**columns, "reachable": [True] * 60, "hashrate_hs": [float(n) for n in range(60)]}
    )
    sink = LakeSink(tmp_path / "lake", "host")
    sink.deliver([SpoolRecord("miners", 1, 0, Batch("miners/1/0", times[-1], "run", [frame]))])
    return tmp_path / "lake"


async def test_due_hours_are_rolled_up_once(lake, tmp_path):
    from flows.downsample import downsample
    from storage.audit.trail import Trail

    first = await downsample(return_state=True)
    assert first.message == "1 hours and 0 days of 1 measurements, 1 rows"
    store = EmbeddedStore(lake)
    rows = store.read(MEASUREMENTS["miner_telemetry"], Tier.HOURLY, 0, 2**32).to_pylist()
    store.close()
    assert [row["hashrate_hs_mean"] for row in rows] == [29.5]
    again = await downsample(return_state=True)
    assert again.message == "0 hours and 0 days of 0 measurements, 0 rows"
    (path,) = (tmp_path / "audit").glob("*.jsonl")
    (told,) = [entry for entry in Trail.open(tmp_path, path.stem).entries() if entry.kind == "rolled_up"]
    assert (told.subject, told.detail) == ("miner_telemetry", {"hours": 1, "days": 0, "rows": 1})
    marks = watermarks.kept(tmp_path / "state")
    assert set(marks) == set(ROLLED_MEASUREMENTS)
    assert all(mark.complete_until % HOUR_S == 0 for mark in marks.values())


async def test_what_is_due_is_forecast_once(lake, tmp_path, monkeypatch):
    from flows.downsample import downsample
    from flows.forecast import forecast

    config = tmp_path / "config"
    config.mkdir()
    (config / "data_collection_config.yaml").write_text("miners: [{id: m1, ip: 127.0.0.1, model: S19}]\n")
    monkeypatch.setenv("LODELINE_CONFIG", str(config))
    await downsample(return_state=True)
    before = int(time.time()) // HOUR_S
    first = await forecast(return_state=True)
    assert first.message == "6 forecasts, 0 scores"  # three quantities of the miner and of the fleet
    store = EmbeddedStore(lake)
    rows = store.read(MEASUREMENTS["forecast"], Tier.RAW, 0, 2**32, where={"miner_id": "fleet"}).to_pylist()
    store.close()
    told = {row["quantity"]: (row["value"], row["model"], row["reason"]) for row in rows}
    assert told["next_24h_hashrate"] == (None, "none", "1 hours are known, 24 are needed")
    assert told["next_24h_revenue"][2].startswith("no revenue is known")
    again = await forecast(return_state=True)
    if int(time.time()) // HOUR_S == before:  # else the fleet's next hour was due
        assert again.message == "0 forecasts, 0 scores"


async def test_one_that_cannot_be_rolled_up_fails_the_run_and_keeps_no_other_from_it(lake, tmp_path, monkeypatch):
    from flows.downsample import downsample
    from storage.errors import StoreError
    from tasks.rollup import steps

    def fails_at_fans(store, now, *, measurements, **more):
        if measurements == ["miner_fan"]:
            raise StoreError("no answer")
        return roll_up(store, now, measurements=measurements, **more)

    monkeypatch.setattr(steps, "roll_up", fails_at_fans)
    monkeypatch.setattr(steps, "roll_up_measurement", steps.roll_up_measurement.with_options(retries=0))
    state = await downsample(return_state=True)
    assert state.is_failed()
    assert "no answer" in str(state.message)
    assert set(watermarks.kept(tmp_path / "state")) == set(ROLLED_MEASUREMENTS) - {"miner_fan"}


async def test_the_lake_is_kept(lake):
    from flows.maintain_lake import maintain_lake

    state = await maintain_lake(return_state=True)
    assert state.is_completed()
    assert state.message is not None
    assert "tables" in state.message


async def test_a_table_in_trouble_fails_the_upkeep_with_its_reason_and_the_trail_has_the_rest(
    lake, tmp_path, monkeypatch
):
    from flows.maintain_lake import maintain_lake
    from storage.audit.trail import Trail
    from storage.lake.maintenance import MaintenanceReport
    from tasks.lake import steps

    reports = (MaintenanceReport(files_merged=merged, troubles=["table x is torn"]) for merged in (7, 0, 2))
    monkeypatch.setattr(steps, "maintain", lambda root, now, **_: next(reports))
    monkeypatch.setattr(steps, "FIRST_DELAY_S", 0)
    state = await maintain_lake(return_state=True)
    assert state.is_failed()
    assert "table x is torn" in str(state.message)
    (path,) = (tmp_path / "audit").glob("*.jsonl")
    told = [entry.detail for entry in Trail.open(tmp_path, path.stem).entries() if entry.kind == "compacted"]
    assert told == [{"files": 7}, {"files": 2}], "what each of three tries did to the others"


async def test_a_host_without_a_lake_has_nothing_to_keep(lake, monkeypatch):
    from flows.maintain_lake import maintain_lake

    monkeypatch.setenv("LODELINE_LAKE__ENABLED", "false")
    monkeypatch.setenv("LODELINE_INFLUX__URL", "http://127.0.0.1:9")
    state = await maintain_lake(return_state=True)
    assert state.name == "Skipped"


async def test_the_upkeep_lays_tables_out_as_the_configuration_says_and_tells_the_trail_of_their_schemas(
    lake, tmp_path, monkeypatch
):
    from flows.maintain_lake import maintain_lake
    from storage.audit.trail import Trail
    from storage.lake.table import LakeTable

    prefix = "LODELINE_RETENTION__RAW_DATA__MINER_TELEMETRY__HIGH_RESOLUTION__"
    monkeypatch.setenv(f"{prefix}COMPRESSION", "gzip")
    monkeypatch.setenv(f"{prefix}RETENTION_DAYS", "30")
    await maintain_lake(return_state=True)
    table = LakeTable(lake, MEASUREMENTS["miner_telemetry"], Tier.RAW)
    table.snapshot()
    assert table.layout.compression == "gzip"
    (path,) = (tmp_path / "audit").glob("*.jsonl")
    told = [entry for entry in Trail.open(tmp_path, path.stem).entries() if entry.kind == "schema_changed"]
    assert "mining_raw/miner_telemetry" in {entry.subject for entry in told}


async def test_the_daily_check_reads_files_back_and_names_what_the_disk_damaged(lake, tmp_path, monkeypatch):
    from flows.check_lake import check_lake
    from storage.audit.trail import Trail

    monkeypatch.setattr("storage.lake.scrub._turn", lambda part, days: int(time.time()) // 86400 % days)
    sound = await check_lake(return_state=True)
    assert sound.message is not None
    assert sound.message.startswith("2 tables sound; 2 files read back")
    (file,) = (lake / "mining_raw" / "miner_telemetry").glob("date=*/*.parquet")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    damaged = await check_lake(return_state=True)
    assert damaged.is_failed()
    assert file.name in str(damaged.message)
    (path,) = (tmp_path / "audit").glob("*.jsonl")
    last = [entry for entry in Trail.open(tmp_path, path.stem).entries() if entry.kind == "scrubbed"][-1]
    assert file.name in str((last.detail or {})["damaged"])


async def test_facts_that_expired_are_told_to_the_trail(lake, tmp_path, monkeypatch):
    from flows.build_warehouse import build_warehouse
    from storage.audit.trail import Trail
    from storage.warehouse.build import BuildReport

    monkeypatch.setattr("tasks.warehouse.steps.build", lambda *_, **__: BuildReport(files_expired=2))
    state = await build_warehouse(return_state=True)
    assert str(state.message).endswith("2 files past their retention")
    (path,) = (tmp_path / "audit").glob("*.jsonl")
    (told,) = [entry for entry in Trail.open(tmp_path, path.stem).entries() if entry.kind == "expired"]
    assert (told.subject, told.detail) == ("warehouse", {"files": 2})


async def test_the_warehouse_follows_the_roll_up(lake):
    from flows.build_warehouse import build_warehouse
    from flows.downsample import downsample
    from storage.warehouse.sql import answer

    await downsample(return_state=True)
    first = await build_warehouse(return_state=True)
    assert first.is_completed(), first.message
    rows = answer(lake, "SELECT miner_id, polls, hashrate_hs FROM fact_telemetry_hourly", timeout_s=60)
    assert rows.to_pylist() == [{"miner_id": "m1", "polls": 60, "hashrate_hs": 29.5}]
    again = await build_warehouse(return_state=True)
    assert again.is_completed()


async def test_features_follow_the_roll_up(lake, tmp_path):
    from flows.downsample import downsample
    from flows.measure_drift import measure_drift
    from flows.publish_features import publish_features
    from storage.features.offline import OfflineStore
    from storage.features.online import OnlineStore
    from storage.features.views import VIEWS

    await downsample(return_state=True)
    first = await publish_features(return_state=True)
    assert first.message == "1 rows of 1 views, 1 newest values"
    view, now = VIEWS["miner_hourly"], int(time.time())
    with OnlineStore(tmp_path / "features" / "online.sqlite") as online:
        told = online.get(view, "m1", now)
    assert (told.values["polls"], told.values["hashrate_hs"], told.values["site"]) == (60, 29.5, "main")
    assert OfflineStore(lake).get(view, "m1", now) == told
    again = await publish_features(return_state=True)
    assert again.message == "0 rows of 0 views, 0 newest values"
    drift = await measure_drift(return_state=True)  # of yesterday there are no rows
    assert drift.message == "0 features of 0 days; none has drifted"


@pytest.fixture
def aged(lake, tmp_path):
    """The lake with fans of 2023 as well: past every retention of raw rows."""
    sink = LakeSink(tmp_path / "lake", "host")
    frame = build_frame("miner_fan", [1_700_000_000], {"miner_id": ["m1"], "fan": ["0"], "speed_rpm": [5_200]})
    sink.deliver([SpoolRecord("miners", 2, 60, Batch("miners/2/0", 1_700_000_000, "run", [frame]))])
    return lake


def fans(lake: Path) -> int:
    store = EmbeddedStore(lake)
    rows = int(store.read(MEASUREMENTS["miner_fan"], Tier.RAW, 0, 2**32).num_rows)
    store.close()
    return rows


async def test_without_an_archive_retention_ends_in_the_lake_and_the_trail_says_so(aged, tmp_path):
    from flows.maintain_lake import maintain_lake
    from storage.audit.trail import Trail

    assert fans(aged) == 1
    state = await maintain_lake(return_state=True)
    assert "past their retention" in str(state.message)
    assert fans(aged) == 0
    (path,) = (tmp_path / "audit").glob("*.jsonl")
    assert "expired" in {entry.kind for entry in Trail.open(tmp_path, path.stem).entries()}


async def test_with_an_archive_what_is_past_its_retention_moves_there(aged, tmp_path, monkeypatch):
    from flows.archive import archive
    from flows.maintain_lake import maintain_lake
    from storage.archive.reading import ArchiveReader
    from storage.audit.trail import Trail

    monkeypatch.setenv("LODELINE_RETENTION__GENERAL__ARCHIVE_BASE_PATH", str(tmp_path / "archive"))
    await maintain_lake(return_state=True)
    assert fans(aged) == 1  # the upkeep leaves to the archive what is the archive's
    state = await archive(return_state=True)
    assert state.is_completed()
    assert fans(aged) == 0
    assert ArchiveReader(tmp_path / "archive").read(MEASUREMENTS["miner_fan"], Tier.RAW, 0, 2**32).num_rows == 1
    assert "0 files" in str((await archive(return_state=True)).message)
    (path,) = (tmp_path / "audit").glob("*.jsonl")
    archived = [entry for entry in Trail.open(tmp_path, path.stem).entries() if entry.kind == "archived"]
    told = [(entry.detail or {})["rows"] for entry in archived if "miner_fan" in str(entry.subject)]
    assert told == [1]


async def test_without_a_path_the_archive_says_what_to_set(lake):
    from flows.archive import archive

    state = await archive(return_state=True)
    assert state.name == "Skipped"
    assert "general.archive_base_path" in str(state.message)
