"""Measuring with real files; volumes are those of a faked statvfs, so that they can be nearly full."""

from __future__ import annotations

import json
import logging
import os
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from deployments.command import app
from storage.audit.trail import Trail
from storage.declaration import BUCKETS
from storage.disk_budget import files
from storage.disk_budget.budget import HISTORY_FILE, Budget, Item, examine
from storage.disk_budget.files import Disks, bytes_in
from storage.disk_budget.forecast import NOT_YET
from storage.disk_budget.guard import Action
from storage.disk_budget.influx import bytes_in_influx
from storage.disk_budget.lake import bytes_by_day
from storage.disk_budget.record import record
from storage.disk_budget.words import size_in_words, table_of
from storage.influx.provision import provision
from storage.influx.settings import InfluxSettings
from storage.lake.sink import LakeSink
from storage.lake.snapshot import Part
from storage.retention_settings import RetentionSettings
from storage.settings import LakeSettings, StorageSettings
from storage.spool.lane import LaneReader
from tasks.disk import steps
from tests.influx.fake import ORG, TOKEN, FakeInflux
from tests.influx.server import InfluxServer
from tests.lake.rows import NOON, tick

DAY_S = 86_400
DAYS = {bucket.name: bucket.retention_days for bucket in BUCKETS.values()}
GB = 10**9


def settings(tmp_path: Path, **others: Any) -> StorageSettings:
    return StorageSettings(data_directory=tmp_path, **others)


def disks(free: int, total: int = 100 * GB, device: Any = lambda _: 1) -> Disks:
    return Disks(
        statvfs=lambda _: os.statvfs_result((4096, 4096, total // 4096, 0, free // 4096, 0, 0, 0, 0, 255)),
        device=device,
    )


def collect(root: Path, days: int, miners: int = 300) -> None:
    """A tick at noon of each of so many days, the last one of the day of NOON."""
    sink = LakeSink(root / "lake", "host")
    for day in range(days):
        sink.deliver([tick(day + 1, miners=miners, time=NOON - (days - 1 - day) * DAY_S)])


def item(budget: Budget, place: str, of: str) -> Item:
    (found,) = [one for one in budget.items if (one.place, one.of) == (place, of)]
    return found


def test_bytes_are_those_that_files_occupy(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "file").write_bytes(b"x" * 100_000)
    (tmp_path / "a" / "link").symlink_to(tmp_path / "a" / "b" / "file")
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    with (tmp_path / "sparse").open("wb") as sparse:
        sparse.truncate(10 * GB)
    assert 100_000 <= bytes_in(tmp_path) < 200_000
    assert bytes_in(tmp_path, without=frozenset({tmp_path / "a" / "b"})) < 20_000
    assert bytes_in(tmp_path / "nowhere") == 0


def test_the_volume_of_a_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    real, made = files.KERNEL.volume(tmp_path / "not" / "yet"), files.KERNEL.volume(tmp_path)
    assert (real.identity, real.total) == (made.identity, made.total)
    assert 0 < made.free_percent <= 100


def test_growth_is_null_with_a_reason_until_two_days_are_known(tmp_path: Path) -> None:
    collect(tmp_path, 1)
    first = examine(settings(tmp_path), DAYS, NOON, disks=disks(50 * GB))
    fans = item(first, "lake", "miner_fan")
    assert fans.stock.bytes > 1000
    assert fans.stock.growth == NOT_YET
    (volume,) = first.volumes
    assert (volume.forecast.days, volume.forecast.reason) == (None, NOT_YET.reason)
    assert first.bytes_per_miner_day is None


def test_days_of_the_lake_tell_growth_and_retention_ends_it(tmp_path: Path) -> None:
    collect(tmp_path, 6)
    found = examine(settings(tmp_path), DAYS, NOON, disks=disks(10**6), miners=300)
    fans = item(found, "lake", "miner_fan").stock
    sizes = [path.stat().st_size for path in (tmp_path / "lake").glob("mining_raw/miner_fan/date=*/*.parquet")]
    assert fans.growth.bytes_per_day == pytest.approx(sum(sizes) / 6, rel=0.1)
    assert fans.ceiling == max(fans.bytes, (fans.growth.bytes_per_day or 0) * 30)
    fan_cost = (fans.growth.bytes_per_day or 0) / 300
    assert found.bytes_per_miner_day == pytest.approx(fan_cost, rel=0.01), "window marks have no miner"
    assert "A miner adds" in "\n".join(table_of(found))


def test_a_file_of_several_days_is_spread_over_them() -> None:
    part = Part(Path("x"), 300, 3, 0, "2026-11-01", 5 * DAY_S + 10, 7 * DAY_S + 10, {}, {})
    assert bytes_by_day([part]) == {5: 100, 6: 100, 7: 100}


def test_places_that_keep_no_days_are_followed_from_day_to_day(tmp_path: Path) -> None:
    archive = tmp_path / "elsewhere"
    archive.mkdir()
    plain = settings(tmp_path, lake=LakeSettings(enabled=False))
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / HISTORY_FILE).write_text("damaged")
    budgets = []
    for day in range(4):
        (archive / f"{day}.parquet").write_bytes(b"x" * 1_000_000)
        # Hourly runs of a day count once, and one that does not remember leaves nothing.
        for hour in (0, 5):
            now = NOON + day * DAY_S + hour * 3600
            budgets.append(examine(plain, DAYS, now, archive=archive, disks=disks(30 * 10**6), remember=True))
        examine(plain, DAYS, NOON + 300 * DAY_S, archive=archive, disks=disks(GB))
    stock = item(budgets[-1], "archive", "archive")
    assert stock.stock.growth.bytes_per_day == pytest.approx(1e6, rel=0.01)
    assert stock.alone.days == pytest.approx(30, rel=0.02)
    assert item(budgets[3], "archive", "archive").stock.growth == NOT_YET
    (volume,) = budgets[-1].volumes
    assert volume.forecast.days == pytest.approx(30, rel=0.05)


def test_volumes_are_told_apart(tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    archive.mkdir()
    device = {tmp_path: 1, archive: 2}
    found = examine(
        settings(tmp_path, lake=LakeSettings(enabled=False)),
        DAYS,
        NOON,
        archive=archive,
        disks=disks(GB, device=lambda path: device.get(path, 1)),
    )
    assert [one.volume.path for one in found.volumes] == [str(tmp_path), str(archive)]
    assert item(found, "archive", "archive").volume == 2


def test_a_volume_with_little_left_is_due_for_everything(tmp_path: Path) -> None:
    collect(tmp_path, 1)
    found = examine(settings(tmp_path), DAYS, NOON, disks=disks(9 * GB))
    assert found.actions == (Action.COMPACT, Action.ARCHIVE, Action.WARN)
    assert examine(settings(tmp_path), DAYS, NOON, disks=disks(50 * GB)).actions == ()


def test_rows_go_through_the_spool_once(tmp_path: Path) -> None:
    collect(tmp_path, 4)
    found = examine(settings(tmp_path), DAYS, NOON, disks=disks(9 * GB))
    assert record(found, tmp_path / "spool", "Host A", NOON, "run") == len(found.items) + 1
    record(found, tmp_path / "spool", "Host A", NOON, "run")
    (spooled,) = LaneReader(tmp_path / "spool" / "disk-host_a").records_after(0, 10_000)
    places, volumes = spooled.batch.frames
    assert places.measurement == "pipeline_disk"
    assert "miner_fan" in places.columns["of"]
    assert volumes.columns["actions"] == ["compact,archive,warn"]
    LakeSink(tmp_path / "lake", "host").deliver([spooled])


@pytest.mark.influx
def test_influxdb_1_tells_bytes_by_database(tmp_path: Path) -> None:
    server = InfluxServer(tmp_path / "influxd").start()
    try:
        influx = InfluxSettings(url=server.url)
        provision(influx)
        lines = "\n".join(f"miner_fan,miner_id=m{n} speed_rpm={n}i {int(time.time())}" for n in range(2000))
        assert server.write("mining_raw", lines).status_code == 204
        sizes, reason = bytes_in_influx(influx)
        assert reason is None
        assert sizes["mining_raw"] > 1000
        plain = settings(tmp_path / "data", influx=influx, lake=LakeSettings(enabled=False))
        found = examine(plain, DAYS, NOON, disks=disks(50 * GB))
        assert item(found, "influx", "mining_raw").volume == 1, "on loopback it shares the disk"
        assert found.notes == ("InfluxDB: taken to lie on the volume of the data directory",)
    finally:
        server.stop()


def test_influxdb_2_tells_bytes_by_bucket_and_3_does_not() -> None:
    for version, sizes, said in (("2.9.1", {"a": 8_377_486, "b": 8_377_486}, None), ("3.10.1", {}, "does not tell")):
        with FakeInflux(version) as fake:  # type: ignore[arg-type]
            fake.make("a", "b")
            found, reason = bytes_in_influx(
                InfluxSettings.model_validate({"url": fake.url, "org": ORG, "token": TOKEN})
            )
            assert found == sizes
            assert (reason is None) if said is None else (reason is not None and said in reason)


def test_an_influxdb_that_is_away_costs_a_note_only(tmp_path: Path) -> None:
    influx = InfluxSettings(url="http://127.0.0.1:1", timeout_s=1)
    found = examine(settings(tmp_path, influx=influx, lake=LakeSettings(enabled=False)), DAYS, NOON, disks=disks(GB))
    assert len(found.notes) == 1
    assert "no answer from InfluxDB" in found.notes[0]


async def test_the_guard_acts_in_order_and_deletes_nothing(tmp_path: Path, monkeypatch, caplog) -> None:
    collect(tmp_path, 1)
    started: list[str] = []
    told: list[dict[str, Any]] = []

    async def start(name: str, **_: Any) -> None:
        started.append(name)

    monkeypatch.setattr(steps, "arun_deployment", start)
    monkeypatch.setattr(steps, "emit_event", lambda **event: told.append(event))
    monkeypatch.setattr(steps, "PREFECT_API_URL", SimpleNamespace(value=lambda: "http://prefect/api"))
    before = {path: path.stat().st_size for path in (tmp_path / "lake").rglob("*") if path.is_file()}
    plain = settings(tmp_path)

    await steps.act_step.fn(examine(plain, DAYS, NOON, disks=disks(50 * GB)), plain, host="h")
    assert (started, told) == ([], [])
    await steps.act_step.fn(examine(plain, DAYS, NOON, disks=disks(17 * GB)), plain, host="h")
    assert (started, told) == (["maintain-lake/maintain-lake"], [])
    started.clear()
    with caplog.at_level(logging.ERROR):
        await steps.act_step.fn(examine(plain, DAYS, NOON, disks=disks(5 * GB)), plain, host="h")
    assert started == ["maintain-lake/maintain-lake", "archive/archive"]
    assert [event["event"] for event in told] == ["lodeline.disk.low"]
    assert "the disk will be full" in caplog.text
    entries = list(Trail.open(tmp_path, "h").entries())
    assert [(entry.kind, entry.subject) for entry in entries] == [("disk_low", str(tmp_path))]
    assert {path: path.stat().st_size for path in before} == before


async def test_logs_are_kept_by_the_days_of_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    for name in ("flow.2020-01-01.log.gz", "flow.errors.2020-01-01.log.gz", "flow.2999-01-01.log"):
        (tmp_path / "logs" / name).write_bytes(b"x")
    os.utime(tmp_path / "logs" / "flow.2999-01-01.log")
    logs = RetentionSettings.model_validate({"system_data": {"logs": {"error_logs": {"retention_days": 36525}}}})
    await steps.sweep_logs_step.fn(settings(tmp_path), logs.system_data.logs)
    assert {path.name for path in (tmp_path / "logs").glob("*.log*")} == {
        "flow.errors.2020-01-01.log.gz", "flow.2999-01-01.log",
    }  # fmt: skip


def test_the_command_shows_what_is_there(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("LODELINE_DATA_DIRECTORY", str(tmp_path))
    monkeypatch.setenv("LODELINE_DISK__WARN_BELOW_PERCENT", "0")
    monkeypatch.setenv("LODELINE_DISK__WARN_BELOW_DAYS", "0")
    collect(tmp_path, 2)
    before = sorted(tmp_path.rglob("*"))
    shown = CliRunner().invoke(app, ["disk"])
    assert shown.exit_code == 0, shown.output
    assert any(line.startswith("lake") and "miner_fan raw" in line for line in shown.stdout.splitlines())
    assert sorted(tmp_path.rglob("*")) == before
    told = json.loads(CliRunner().invoke(app, ["disk", "--json"]).stdout)
    assert {"miner_fan", "window_touched"} <= {one["of"] for one in told["items"]}
    for name in ("COMPACT", "ARCHIVE", "WARN"):
        monkeypatch.setenv(f"LODELINE_DISK__{name}_BELOW_PERCENT", "100")
    low = CliRunner().invoke(app, ["disk"])
    assert low.exit_code == 1
    assert "due: compact, archive, warn" in low.stdout


@pytest.mark.parametrize(
    ("size", "words"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (12_345, "12.3 kB"), (999_700, "1 MB"), (5e18, "5e+03 PB")],
)
def test_sizes_in_words(size: float, words: str) -> None:
    assert size_in_words(size) == words
