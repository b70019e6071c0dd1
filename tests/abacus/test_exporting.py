"""From readings to the service: published views, all groups, the flow's pieces and the command, against the fake."""

from __future__ import annotations

import errno
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from deployments.command import app
from deployments.farm.abacus.faults import Fault
from deployments.farm.abacus.server import FakeAbacus
from storage.errors import ConfigurationError, NeedsHuman, TryAgain
from storage.lake.disk import locked_if_free
from storage.settings import StorageSettings
from storage.spool import durable
from tasks.abacus.connection import Abacus
from tasks.abacus.exporting import GroupResult, export_groups, in_words, raise_troubles
from tests.abacus.conftest import KEY, MINER, endpoints_of, settings
from tests.downsample.memory_store import MemoryStore
from tests.features.farm import HOUR, T, follow, poll
from tests.progress.heard import heard

POOL = {
    "name": "pool_performance", "entity_id_column": "worker_id",
    "features": [{"name": "effective_hashrate", "type": "FLOAT"}],
}  # fmt: skip
GROUPS = ({**MINER, "features": MINER["features"][:2]}, POOL)
FULL = ["miner_00", "miner_01", "miner_02"]


@pytest.fixture(autouse=True)
def _nobody_waits(monkeypatch):
    monkeypatch.setattr(Abacus, "wait", lambda self, seconds: self.require_wanted())


@pytest.fixture
def published(tmp_path):
    """Three hours of three miners, published by 2026-11-23T03:05Z; the pool's view never was."""
    store = MemoryStore()
    for hour in range(3):
        poll(store, FULL, T + hour * HOUR, 1e14, at=T + (hour + 1) * HOUR + 60)
        follow(store, tmp_path, T + (hour + 1) * HOUR + 300)
    return store


def export(fake: FakeAbacus, tmp_path: Path, groups: Any = GROUPS) -> list[GroupResult]:
    said = settings(fake.url, groups)
    storage = StorageSettings(data_directory=tmp_path)
    return export_groups(said, endpoints_of(said), storage, clock=lambda: T + 4 * HOUR)


def test_what_was_published_is_there_once_and_late_data_goes_over_it(fake, tmp_path, published):
    miners, pool = export(fake, tmp_path)
    assert miners.report is not None
    assert pool.report is not None
    assert (miners.trouble, miners.report.rows, miners.is_new) == ("", 9, True)
    assert pool.report.note == "view pool_worker_hourly is not published yet (flow publish-features)"
    assert in_words([miners, pool]) == "9 rows of 1 groups"
    # the hour from 00:00 is known at its end: that is its event time; 1e14 H/s are 100 TH/s
    rows = {row["record_id"]: row for row in fake.rows("miner_telemetry")}
    row = rows["miner_00|2026-11-23T01:00:00Z"]
    assert (row["hashrate_th_s"], row["power_consumption_w"]) == (pytest.approx(100, rel=1.6e-5), 3000)
    assert row["timestamp"] == datetime(2026, 11, 23, 1, tzinfo=UTC).replace(tzinfo=None)
    assert fake.group("miner_telemetry")["primaryKey"] == "record_id"  # set once the columns were known

    poll(published, ["miner_00"], T, 3e14, at=T + 4 * HOUR)  # late, of the first hour
    follow(published, tmp_path, T + 4 * HOUR + 300)
    (later, _) = export(fake, tmp_path)
    assert later.report is not None
    assert later.report.rows >= 1
    rows = {row["record_id"]: row for row in fake.rows("miner_telemetry")}
    assert rows["miner_00|2026-11-23T01:00:00Z"]["hashrate_th_s"] > 110
    assert len(rows) == 9
    before = len(fake.rows("miner_telemetry_batches"))
    (nothing, _) = export(fake, tmp_path)
    assert nothing.report is not None
    assert nothing.report.rows == 0
    assert len(fake.rows("miner_telemetry_batches")) == before


@pytest.mark.usefixtures("published")
def test_trouble_with_one_group_does_not_hold_up_the_next(fake, tmp_path):
    shelf_group = {"tableName": "other", "tags": [], "features": [{"name": "x"}], "featureGroupId": "f0",
                   "featureGroupSourceType": "DATASET"}  # fmt: skip
    fake.backend.shelf.put("featureGroup", "f0", shelf_group)
    with heard() as told:
        results = export(fake, tmp_path, groups=[{**GROUPS[0], "name": "other", "view": "miner_hourly"}, GROUPS[0]])
    assert told == [(0.0, "other"), (0.5, GROUPS[0]["name"])]
    assert "has a table other that Lodeline did not make" in results[0].trouble
    assert results[1].report is not None
    assert results[1].report.rows == 9
    with pytest.raises(NeedsHuman, match="did not make"):
        raise_troubles(results)
    with pytest.raises(TryAgain, match="away"):
        raise_troubles([GroupResult("a", trouble="away", passes=True), results[1]])


@pytest.mark.usefixtures("published")
def test_a_disk_that_is_full_holds_up_the_group_that_met_it(fake, tmp_path, monkeypatch):
    def replace_file(path: Path, content: bytes) -> None:
        if path.name.startswith("batch-") and path.parent.name == "miner_telemetry":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        durable.replace_file(path, content)

    other = {**GROUPS[0], "name": "other", "view": "miner_hourly"}
    with monkeypatch.context() as patch:
        patch.setattr("tasks.abacus.journal.replace_file", replace_file)
        miners, second = export(fake, tmp_path, groups=[GROUPS[0], other])
    assert "No space left on device. Free or grant what is missing" in miners.trouble
    assert second.report is not None
    assert second.report.rows == 9
    (miners, _) = export(fake, tmp_path, groups=[GROUPS[0], other])
    assert miners.report is not None
    assert miners.report.rows == 9


@pytest.mark.usefixtures("published")
def test_an_export_keeps_refresh_policies_as_declared_and_their_trouble_is_their_own(fake, tmp_path):
    plain = settings(fake.url, GROUPS[:1], max_retries=0).model_dump()
    plain["general"]["api_key"] = KEY
    said = type(settings()).model_validate(
        plain | {"refresh_policies": [{"name": "features", "feature_group": "miner_telemetry"}]}
    )
    storage, endpoints = StorageSettings(data_directory=tmp_path), endpoints_of(said)
    fake.faults.add(Fault("html", "createRefreshPolicy"))
    miners, policies = export_groups(said, endpoints, storage, clock=lambda: T + 4 * HOUR)
    assert miners.report is not None
    assert miners.report.rows == 9
    assert (policies.name, policies.passes) == ("refresh policies", True)
    assert "making policy features" in policies.trouble
    (miners,) = export_groups(said, endpoints, storage, clock=lambda: T + 4 * HOUR)
    (policy,) = fake.backend.shelf.every("refreshPolicy")
    assert policy["featureGroupId"] == fake.group("miner_telemetry")["featureGroupId"]


@pytest.mark.usefixtures("published")
def test_two_exports_at_once_are_one(fake, tmp_path):
    folder = tmp_path / "abacus" / "production"
    folder.mkdir(parents=True)
    with locked_if_free(folder / ".lock") as ours:
        assert ours
        with pytest.raises(TryAgain, match="Another process exports"):
            export(fake, tmp_path)
    assert not fake.asked


@pytest.mark.usefixtures("published")
def test_history_is_left_out_where_it_is_not_wanted(fake, tmp_path):
    said = settings(fake.url, GROUPS[:1])
    batches = said.batch_processing
    computation = batches.feature_computation.model_copy(update={"include_historical": False})
    said = said.model_copy(update={"batch_processing": batches.model_copy(update={"feature_computation": computation})})
    storage = StorageSettings(data_directory=tmp_path)
    (result,) = export_groups(said, endpoints_of(said), storage, clock=lambda: T + 4 * HOUR)
    assert result.report is not None
    assert (result.report.rows, result.report.watermark) == (0, T + 3 * HOUR + 300)


def test_a_mistake_is_told_before_anything_is_done(fake, tmp_path):
    with pytest.raises(ConfigurationError, match="no feature view 'weather'"):
        export(fake, tmp_path, groups=[{**MINER, "name": "weather"}])
    assert not fake.asked


@pytest.fixture
def runner(fake, tmp_path):
    (tmp_path / "config").mkdir()
    said = {
        "general": {"project_id": "mining", "api_key": "${ABACUS_API_KEY}", "api_url": fake.url},
        "data_ingestion": {"max_retries": 0, "timeout_seconds": 60},
        "feature_groups": [GROUPS[0]],
        "batch_processing": {"lookback_days": 3650},
    }
    (tmp_path / "config" / "abacus_integration_config.yaml").write_text(yaml.safe_dump(said))
    env = {"LODELINE_CONFIG": str(tmp_path / "config"), "LODELINE_DATA_DIRECTORY": str(tmp_path), "ABACUS_API_KEY": KEY}
    return CliRunner(env=env)


@pytest.mark.usefixtures("published")
def test_the_command_from_nothing_to_exported(runner, fake, tmp_path):
    assert runner.invoke(app, ["abacus", "rejected"]).output == ""
    status = runner.invoke(app, ["abacus", "status"])
    assert (status.exit_code, status.output.splitlines()[1].strip()) == (
        1, "not registered: nothing is there yet (lodeline abacus register)",
    )  # fmt: skip
    registered = runner.invoke(app, ["abacus", "register"])
    assert (registered.exit_code, registered.output.splitlines()[0]) == (
        0, "miner_telemetry: table miner_telemetry, version 1, made",
    )  # fmt: skip
    fake.backend.rejects = lambda row: "too hot" if row["record_id"].startswith("miner_01|2026-11-23T01") else None
    exported = runner.invoke(app, ["abacus", "export"])
    assert exported.exit_code == 0, exported.output
    assert exported.output.startswith(
        "miner_telemetry: 8 rows to miner_telemetry, 1 rejected (lodeline abacus rejected)"
    )
    status = runner.invoke(app, ["abacus", "status"])
    assert status.exit_code == 0, status.output
    assert "exported through 2026-11-23T03:05:00Z: 8 rows in 1 batches, 1 rejected" in status.output
    (told,) = json.loads(runner.invoke(app, ["abacus", "status", "--json"]).output)
    assert (told["rows_sent"], told["rows_rejected"], told["on_its_way"], told["differences"]) == (8, 1, False, [])
    assert runner.invoke(app, ["abacus", "rejected"]).output == (
        "miner_telemetry miner_01|2026-11-23T01:00:00Z: too hot (by service)\n"
    )
    assert json.loads(runner.invoke(app, ["abacus", "rejected", "--json"]).output)["row"]["miner_id"] == "miner_01"


@pytest.mark.usefixtures("published")
def test_the_command_when_the_service_is_away(runner, fake):
    fake.faults.add(Fault("html", "uploadPart", times=99))
    exported = runner.invoke(app, ["abacus", "export"])
    assert exported.exit_code == 1
    assert "part 1 of upload_2: Abacus.AI: POST /api/uploadPart: status 200, '<!DOCTYPE html>" in exported.output
    status = runner.invoke(app, ["abacus", "status"])
    assert "on its way: batch 1, 9 rows, 0 of 1 parts" in status.output
    fake.faults.add(Fault("error_500", "getApiEndpoint", times=99))
    away = runner.invoke(app, ["abacus", "status"])
    assert away.exit_code == 2
    assert "getApiEndpoint: status 500" in away.output


@pytest.mark.usefixtures("published")
def test_trouble_after_the_rows_are_there_is_told_beside_them(runner, fake):
    fake.faults.add(Fault("html", "setFeatureGroupIndexingConfig", times=9))
    exported = runner.invoke(app, ["abacus", "export"])
    assert exported.exit_code == 1
    rows, trouble = exported.output.splitlines()
    assert rows.startswith("miner_telemetry: 9 rows to miner_telemetry")
    assert trouble.startswith("  setting keys of miner_telemetry: Abacus.AI: ")


def test_without_the_file_the_command_says_what_is_missing(tmp_path):
    runner = CliRunner(env={"LODELINE_DATA_DIRECTORY": str(tmp_path)})
    result = runner.invoke(app, ["abacus", "status"])
    assert result.exit_code == 2
    assert "Put abacus_integration_config.yaml into the folder of configuration" in result.output
