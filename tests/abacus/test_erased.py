"""What was erased here does not go there again, does not come back from there, and is deleted there where that goes."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from deployments.command import app
from deployments.farm.abacus.call import CALLS
from deployments.farm.abacus.faults import Fault
from deployments.farm.abacus.server import FakeAbacus
from storage.audit.trail import Trail
from storage.declaration import MEASUREMENTS, Tier
from storage.downsample.run import roll_up
from storage.erasure.entity import Entity
from storage.erasure.proof import search
from storage.erasure.run import Erasure, Places, erase
from storage.errors import NeedsHuman, TryAgain
from storage.features.online import OnlineStore
from storage.features.publish import publish
from storage.features.table import feature_table, published
from storage.features.views import VIEWS
from storage.lake.disk import locked_if_free
from storage.lake.store import EmbeddedStore
from storage.settings import ONLINE_FEATURES, StorageSettings
from tasks.abacus.connection import Abacus
from tasks.abacus.exporting import export_groups, stream_groups
from tasks.abacus.forgetting import Forgotten, forget
from tasks.abacus.predicting import fetch_predictions
from tasks.abacus.settings import AbacusSettings
from tests.abacus.conftest import KEY, MINER, endpoints_of, settings
from tests.features.farm import HOUR, HOURLY, KEPT, T, poll

GROUP = {**MINER, "features": MINER["features"][:2]}
GONE, OTHERS = "rig-a01", ("rig-a010", "rig-b01")
NOW = T + 4 * HOUR
AHEAD = {
    "name": "ahead", "deployment_id": "deployment_1", "feature_group": "miner_telemetry", "feature": "hashrate_th_s",
    "value_column": "predicted", "every_hours": 1,
}  # fmt: skip


@pytest.fixture(autouse=True)
def _nobody_waits(monkeypatch):
    monkeypatch.setattr(Abacus, "wait", lambda self, seconds: self.require_wanted())


@pytest.fixture(scope="module")
def collected(tmp_path_factory):
    """Three hours of three miners in the lake, published."""
    folder = tmp_path_factory.mktemp("collected")
    store = EmbeddedStore(folder / "lake")
    for hour in range(3):
        poll(store, [GONE, *OTHERS], T + hour * HOUR, 1e14, at=T + (hour + 1) * HOUR + 60)
    _publish(store, folder, T + 3 * HOUR + 300)
    store.close()
    return folder


@pytest.fixture
def data(collected, tmp_path):
    """A copy of it for one test."""
    return shutil.copytree(collected, tmp_path / "data")


def _publish(store: Any, data: Path, now: int) -> None:
    roll_up(store, now, measurements=["miner_telemetry"], retention_days=KEPT)
    with OnlineStore(data / ONLINE_FEATURES) as online:
        publish(store, data / "lake", online, now, KEPT, views=(HOURLY,))


def said(fake: FakeAbacus, **more: Any) -> AbacusSettings:
    plain = settings(fake.url, [GROUP], max_retries=0).model_dump() | more
    plain["general"]["api_key"] = KEY
    return AbacusSettings.model_validate(plain)


def export(fake: FakeAbacus, data: Path, now: int = NOW) -> Any:
    told, storage = said(fake), StorageSettings(data_directory=data)
    (result,) = export_groups(told, endpoints_of(told), storage, clock=lambda: now)
    return result


def erased(data: Path, start: int = 0, stop: int = NOW + 1) -> Erasure:
    places = Places(data, data / "lake", None, None)
    return erase(places, Entity({"miner_id": GONE}, start, stop), host="host", actor="test", now=NOW)


def there(fake: FakeAbacus, table: str = "miner_telemetry_batches") -> list[str]:
    return sorted(row["record_id"].partition("|")[0] for row in fake.rows(table))


def test_a_file_on_its_way_is_made_anew_without_it(fake, data):
    fake.faults.add(Fault("error_500", "markUploadComplete"))
    assert export(fake, data).trouble  # the parts are over there, joined they are not
    done = erased(data)
    assert done.is_done, done
    assert done.exported == {}  # no row of an upload that is open counts
    result = export(fake, data)
    assert (result.trouble, result.report.rows) == ("", 6)
    assert there(fake) == sorted(OTHERS * 3)
    assert not fake.backend.shelf.every("upload") or all(
        one["status"] == "COMPLETE" for one in fake.backend.shelf.every("upload")
    )


def test_a_later_publication_and_export_do_not_bring_it_again(fake, data):
    assert export(fake, data).report.rows == 9
    done = erased(data)
    assert done.is_done, done
    assert done.exported == {"production/miner_telemetry": 9}
    store = EmbeddedStore(data / "lake")
    poll(store, list(OTHERS), T + 3 * HOUR, 1e14, at=T + 4 * HOUR + 60)
    _publish(store, data, T + 4 * HOUR + 300)
    store.close()
    result = export(fake, data, NOW + HOUR)
    assert result.report.rows == 2
    assert there(fake).count(GONE) == 3  # those of before, in a version with all others
    assert there(fake).count(OTHERS[0]) == 4
    assert not search([data], Entity({"miner_id": GONE}), whole=True).hits


def predict(fake: FakeAbacus, data: Path, now: int, first: int) -> Any:
    """A batch about the two hours from ``first`` on, of every miner."""
    fake.backend.shelf.put("project", "project_1", {"projectId": "project_1", "name": "mining"})
    fake.backend.shelf.put("deployment", "deployment_1", {"deploymentId": "deployment_1", "projectId": "project_1"})
    fake.backend.predicts = lambda _: (
        [
            {"miner_id": miner, "timestamp": datetime.fromtimestamp(first + at, UTC).isoformat(), "predicted": 100.0}
            for miner in (GONE, *OTHERS)
            for at in (0, HOUR)
        ]
        + [{"miner_id": GONE, "timestamp": "soon", "predicted": 1.0}]
    )
    told, storage = said(fake, predictions=[AHEAD]), StorageSettings(data_directory=data)
    (result,) = fetch_predictions(told, endpoints_of(told), storage, clock=lambda: now)
    assert result.report is not None, result.trouble
    return result.report


def predicted(data: Path) -> set[str]:
    store = EmbeddedStore(data / "lake")
    rows = store.read(MEASUREMENTS["prediction"], Tier.RAW, T, T + 30 * HOUR).to_pylist()
    store.close()
    return {row["entity"] for row in rows}


def test_a_later_batch_of_predictions_does_not_bring_it_back(fake, data):
    report = predict(fake, data, NOW, NOW + HOUR)
    assert (report.rows, report.erased, report.rejected) == (6, 0, 1)
    assert predicted(data) == {GONE, *OTHERS}
    assert erased(data).is_done
    assert predicted(data) == set(OTHERS)
    report = predict(fake, data, NOW + HOUR, NOW + 2 * HOUR)  # about times after the erasure, from what is over there
    assert (report.rows, report.erased, report.rejected) == (4, 3, 0)
    assert predicted(data) == set(OTHERS)
    assert not search([data], Entity({"miner_id": GONE}), whole=True).hits

    # the name is given to another miner: what is predicted of it from then on is taken
    store = EmbeddedStore(data / "lake")
    poll(store, [GONE], T + 5 * HOUR, 1e14, at=T + 6 * HOUR + 60)
    _publish(store, data, T + 6 * HOUR + 300)
    store.close()
    report = predict(fake, data, NOW + 3 * HOUR, NOW + 4 * HOUR)
    # the line without a time may be of before: it is left out
    assert (report.rows, report.erased, report.rejected) == (6, 1, 0)
    assert predicted(data) == {GONE, *OTHERS}


def test_of_a_range_only_predictions_about_it_are_left_out(fake, data):
    erased(data, start=NOW + HOUR, stop=NOW + 2 * HOUR)
    report = predict(fake, data, NOW, NOW + HOUR)  # of the two hours the first is in the range
    assert (report.rows, report.erased) == (5, 1)


def test_while_something_is_exchanged_it_is_told_and_the_case_stays_open(fake, data):
    export(fake, data)
    with locked_if_free(data / "abacus" / "production" / ".lock") as ours:
        assert ours
        with pytest.raises(TryAgain, match="exchanged with Abacus"):
            erased(data)
    assert erased(data).is_done


def stream(fake: FakeAbacus) -> None:
    rows = [{"record_id": f"{miner}|{at}", "miner_id": miner} for miner in (GONE, *OTHERS) for at in range(4)]
    (group,) = (one for one in fake.backend.shelf.every("featureGroup") if one["tableName"].endswith("_online"))
    fake.backend.shelf.put("online", group["featureGroupId"], {"rows": rows})


def test_streamed_rows_are_deleted_there_and_the_rest_is_told(fake, data):
    export(fake, data)
    told, storage = said(fake), StorageSettings(data_directory=data)
    endpoints = endpoints_of(told)
    stream_groups(told, endpoints, storage, clock=lambda: T)
    stream(fake)
    trail = Trail.open(data, "host")

    def forgotten(name: str = GONE, **more: Any) -> Forgotten:
        return forget(told, endpoints, storage, "miner_telemetry", name, trail=trail, actor="test", **more)

    with pytest.raises(NeedsHuman, match="rig-a01 is known to view miner_hourly here, and would be sent again"):
        forgotten()
    erased(data)
    fake.faults.add(Fault("lost", "deleteData"))
    with pytest.raises(TryAgain):
        forgotten()
    found = forgotten()
    assert (found.deleted, found.versions) == ({"miner_telemetry_online": 3}, {"miner_telemetry_batches": 1})
    assert found.unseen == []
    assert there(fake, "miner_telemetry_online") == sorted(OTHERS * 4)
    assert forgotten().deleted == {"miner_telemetry_online": 0}
    assert forgotten(rows_at_once=5).unseen == ["miner_telemetry_online"]
    kinds = [(entry.kind, entry.subject) for entry in trail.entries()][-1:]
    assert kinds == [("erased", "miner_telemetry")]
    assert GONE not in json.dumps([entry.detail for entry in trail.entries()], default=str)


def test_a_service_that_says_deleted_and_keeps_the_row_is_told_of(fake, data, monkeypatch):
    export(fake, data)
    told, storage = said(fake), StorageSettings(data_directory=data)
    endpoints = endpoints_of(told)
    stream_groups(told, endpoints, storage, clock=lambda: T)
    stream(fake)
    erased(data)
    monkeypatch.setitem(CALLS, "deleteData", CALLS["deleteData"]._replace(answer=lambda *_: None))
    with pytest.raises(TryAgain, match="is told again after it said that it is deleted"):
        forget(told, endpoints, storage, "miner_telemetry", GONE, trail=Trail.open(data, "host"), actor="test")


def test_the_commands(fake, data):
    export(fake, data)
    (data / "config").mkdir()
    plain = {"general": {"project_id": "mining", "api_key": KEY, "api_url": fake.url}, "feature_groups": [GROUP]}
    (data / "config" / "abacus_integration_config.yaml").write_text(yaml.safe_dump(plain))
    runner = CliRunner(env={"LODELINE_CONFIG": str(data / "config"), "LODELINE_DATA_DIRECTORY": str(data)})
    gone = runner.invoke(app, ["erase", "--miner", GONE, "--yes"])
    assert gone.exit_code == 0, gone.output
    assert "Abacus.AI was sent 9 rows to production/miner_telemetry: lodeline abacus forget GROUP ENTITY" in gone.output
    left = runner.invoke(app, ["abacus", "forget", "miner_telemetry", GONE])
    assert (left.exit_code, left.output) == (
        1, "miner_telemetry_batches: 1 versions can only be deleted as a whole there, with all others' rows\n",
    )  # fmt: skip
    table = feature_table(data / "lake", VIEWS["miner_hourly"])
    assert published(table, VIEWS["miner_hourly"], columns=[]).num_rows == 6
