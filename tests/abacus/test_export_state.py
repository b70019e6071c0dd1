"""How far an export is: by this host's own notes, while the service answers, fails, is away, and after."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from deployments.command import app
from deployments.farm.abacus.faults import Fault
from deployments.farm.abacus.server import FakeAbacus
from storage.errors import TryAgain
from storage.settings import StorageSettings
from tasks.abacus.connection import Abacus
from tasks.abacus.export_state import ExportState, export_states, state_frame
from tasks.abacus.exporting import export_groups, find_endpoints_for, stream_groups
from tasks.abacus.run_notes import RUNS, Outcome, Way, note_runs, read_runs
from tasks.abacus.settings import AbacusSettings
from tests.abacus.conftest import KEY, MINER, settings
from tests.downsample.memory_store import MemoryStore
from tests.features.farm import HOUR, T, follow, poll
from tests.warehouse.seed import frame_of

GROUP = {**MINER, "features": MINER["features"][:2]}
MINERS = ["miner_00", "miner_01", "miner_02"]
SIX = 6 * HOUR


@pytest.fixture(autouse=True)
def _nobody_waits(monkeypatch):
    monkeypatch.setattr(Abacus, "wait", lambda self, seconds: self.require_wanted())


@pytest.fixture
def store(tmp_path):
    """Two hours of three miners, published by 2026-11-23T02:05Z."""
    made = MemoryStore()
    for hour in range(2):
        publish_hour(made, tmp_path, hour)
    return made


def publish_hour(store: MemoryStore, folder: Path, hour: int) -> None:
    poll(store, MINERS, T + hour * HOUR, 1e14, at=T + (hour + 1) * HOUR + 60)
    follow(store, folder, T + (hour + 1) * HOUR + 300)


def run(said: AbacusSettings, folder: Path, now: int) -> None:
    storage = StorageSettings(data_directory=folder)
    endpoints = asyncio.run(find_endpoints_for(Way.BATCH, said, storage, clock=lambda: now))
    export_groups(said, endpoints, storage, clock=lambda: now)


def state(said: AbacusSettings, folder: Path) -> ExportState:
    (found,) = export_states(said, StorageSettings(data_directory=folder))
    return found


def test_a_host_that_never_exported_has_no_state(tmp_path):
    assert export_states(settings(), StorageSettings(data_directory=tmp_path)) == []
    assert not state_frame([], "host", T).times


def test_from_first_to_late_and_well_again(fake, store, tmp_path):
    said = settings(fake.url, [GROUP], max_retries=0)
    fake.backend.rejects = lambda row: "too hot" if row["record_id"].startswith("miner_01|2026-11-23T01") else None
    start = T + 2 * HOUR + 600  # 02:10
    run(said, tmp_path, start)
    first = state(said, tmp_path)
    # all of the two hours is there but for the row that was refused; settled through the publication of 02:05
    assert (first.watermark, first.rows_behind) == (T + 2 * HOUR + 300, 0)
    assert (first.rows_sent, first.rows_rejected, first.dead_letters) == (5, 1, 1)
    assert (first.note.failure, first.note.failures, first.note.well_at) == ("", 0, start)
    # "0 */6 * * *": after a run at 02:10 the next is due at 06:00
    assert (first.due_at, first.overdue_s(T + SIX), first.overdue_s(T + SIX + 90)) == (T + SIX, 0, 90)

    publish_hour(store, tmp_path, 2)
    publish_hour(store, tmp_path, 3)
    fake.faults.add(Fault("error_500", "uploadPart", times=1))
    run(said, tmp_path, T + SIX)
    fake.faults.add(Fault("outage", "getApiEndpoint", times=3))
    with pytest.raises(TryAgain):
        run(said, tmp_path, T + 2 * SIX)
    late = state(said, tmp_path)
    assert (late.rows_behind, late.watermark) == (6, first.watermark)  # on its way is not there
    assert (late.note.failures, late.note.failed_at, late.note.well_at) == (2, T + 2 * SIX, start)
    assert "getApiEndpoint" in late.note.failure
    assert late.overdue_s(T + 2 * SIX) == SIX
    frame = state_frame([late], "host", T + 2 * SIX)
    row = {name: values[0] for name, values in frame.columns.items()}
    assert (row["way"], row["feature_group"], row["failures"], row["rows_behind"]) == ("batch", "miner_telemetry", 2, 6)
    assert row["watermark_age_s"] == 2 * SIX - (2 * HOUR + 300)
    assert row["overdue_s"] == SIX

    run(said, tmp_path, T + 2 * SIX + HOUR)
    again = state(said, tmp_path)
    assert (again.rows_behind, again.note.failure, again.note.failures) == (0, "", 0)
    assert again.note.failed_at == T + 2 * SIX
    assert again.rows_sent == 11


@pytest.mark.usefixtures("store")
def test_never_there_is_not_zero(tmp_path):
    said = settings("http://127.0.0.1:9", [GROUP], max_retries=0)
    with pytest.raises(TryAgain):
        run(said, tmp_path, T + 3 * HOUR)
    found = state(said, tmp_path)
    assert (found.watermark, found.table, found.rows_behind) == (None, None, 6)
    assert found.due_at == T + SIX
    frame = state_frame([found], "host", T + 3 * HOUR)
    assert "watermark_age_s" not in frame.columns  # null in every row
    assert frame.columns["rows_sent"] == [0]


def test_rows_behind_are_unknown_where_the_lake_cannot_be_read(fake, tmp_path, store):
    said = settings(fake.url, [GROUP], max_retries=0)
    run(said, tmp_path, T + 3 * HOUR)
    publish_hour(store, tmp_path, 2)
    for path in (tmp_path / "lake" / "features").rglob("*.parquet"):
        path.write_bytes(b"damaged")
    found = state(said, tmp_path)
    assert found.rows_behind is None
    assert "damaged" in found.reason
    assert state_frame([found], "host", T).columns["reason"] == [found.reason]


def test_a_stream_is_as_old_as_what_waits(fake, tmp_path):
    store = MemoryStore()
    storage = StorageSettings(data_directory=tmp_path)
    said = settings(fake.url, [GROUP], max_retries=0)

    def stream(now: int) -> None:
        endpoints = asyncio.run(find_endpoints_for(Way.STREAM, said, storage, clock=lambda: now))
        stream_groups(said, endpoints, storage, clock=lambda: now)

    rows = [
        {"time": T + minute * 60, "miner_id": miner, "reachable": True, "state": "mining", "hashrate_hs": 1e14}
        for miner in MINERS
        for minute in range(30)
    ]
    store.write([frame_of("miner_telemetry", rows)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tasks.abacus.exporting.open_store", lambda _: store)
        patch.setattr(store, "close", lambda: None)
        stream(T + 640)  # begins with the window that ends at 00:10
        fake.faults.add(Fault("outage", "appendMultipleData", times=99), Fault("outage", "upsertData", times=99))
        stream(T + 1_240)  # windows of 00:15 and 00:20 are closed
    (found,) = export_states(said, storage)
    assert (found.way, found.table) == (Way.STREAM, "miner_telemetry_online")
    assert found.rows_behind == 6  # two windows of three miners wait
    assert found.watermark == T + 600
    assert found.note.failures == 1
    assert found.due_at == T + 640 + 300


def test_a_damaged_note_is_begun_anew(tmp_path, caplog):
    note_runs(tmp_path, Way.BATCH, [Outcome("a", "away")], T)
    (tmp_path / RUNS).write_text("{")
    assert read_runs(tmp_path) == {}
    assert "begun anew" in caplog.text
    note_runs(tmp_path, Way.BATCH, [Outcome("a", "")], T + 1)
    assert read_runs(tmp_path)["batch/a"].well_at == T + 1


@pytest.mark.usefixtures("store")
def test_the_command_tells_it_while_the_service_is_away(fake, tmp_path):
    (tmp_path / "config").mkdir()
    told: dict[str, Any] = {
        "general": {"project_id": "mining", "api_key": KEY, "api_url": fake.url},
        "data_ingestion": {"max_retries": 0},
        "feature_groups": [GROUP],
        "batch_processing": {"lookback_days": 3650},
    }
    (tmp_path / "config" / "abacus_integration_config.yaml").write_text(yaml.safe_dump(told))
    runner = CliRunner(env={"LODELINE_CONFIG": str(tmp_path / "config"), "LODELINE_DATA_DIRECTORY": str(tmp_path)})
    fake.faults.add(Fault("html", "uploadPart", times=1))
    assert runner.invoke(app, ["abacus", "export"]).exit_code == 1
    status = runner.invoke(app, ["abacus", "status"])
    assert re.search(r"\n  batch: nothing is there, behind by 6 rows\n    failed 20", status.output), status.output
    assert "1 in a row, never went well: part 1 of upload" in status.output
    fake.faults.add(Fault("outage", times=99))
    away = runner.invoke(app, ["abacus", "status"])
    assert away.exit_code == 2
    assert re.match(r"miner_telemetry:\n  batch: nothing is there, behind by 6 rows\n    failed 20", away.output), (
        away.output
    )
    fake.faults.clear()
    assert runner.invoke(app, ["abacus", "export"]).exit_code == 0
    (group,) = json.loads(runner.invoke(app, ["abacus", "status", "--json"]).output)
    (way,) = group["ways"]
    assert (way["way"], way["rows_behind"], way["failure"], way["failures"]) == ("batch", 0, "", 0)


def test_another_fake_is_not_asked_for_it(store, tmp_path):
    with FakeAbacus(KEY) as fake:
        said = settings(fake.url, [GROUP], max_retries=0)
        run(said, tmp_path, T + 3 * HOUR)
        asked = len(fake.asked)
        state(said, tmp_path)
        assert len(fake.asked) == asked
