"""Feature groups over there: made once, differences shown and mended, a changed definition beside the old one."""

from __future__ import annotations

import pyarrow as pa
import pytest
from pydantic import SecretStr

from deployments.farm.abacus.faults import Fault
from deployments.farm.abacus.server import FakeAbacus
from storage.errors import NeedsHuman
from tasks.abacus.connection import Abacus
from tasks.abacus.definition import definitions_of
from tasks.abacus.registration import Registry
from tests.abacus.conftest import KEY, MINER, Host, endpoints_of, settings, view_rows

(DEFINITION,) = definitions_of(settings().feature_groups)
WRITES = ("create", "add", "set", "update", "remove", "mark", "delete")


@pytest.fixture
def abacus(fake):
    said = settings(fake.url)
    abacus = Abacus(SecretStr(KEY), endpoints_of(said), said.data_ingestion, sleep=lambda _: None)
    yield abacus
    abacus.close()


def writes(fake: FakeAbacus) -> list[str]:
    return [asked.method for asked in fake.asked if asked.method.startswith(WRITES)]


def test_made_once_and_then_nothing_is_written(abacus, fake):
    registry = Registry(abacus, "mining", "production")
    first, _ = registry.register(DEFINITION)
    assert (first.table, first.version, first.is_new, first.is_settled) == ("miner_telemetry", 1, True, False)
    group = fake.group("miner_telemetry")
    assert group["tags"] == [
        "owner:lodeline", "version:1", f"definition:{DEFINITION.fingerprint}", "view:miner_hourly_v1",
        "environment:production",
    ]  # fmt: skip
    assert group["description"].startswith("Telemetry data from cryptocurrency miners\n")
    assert "[TH/s]" in group["description"]
    (project,) = fake.backend.shelf.every("project")
    assert (project["name"], project["featureGroupIds"]) == ("mining", [group["featureGroupId"]])
    fake.asked.clear()
    again, done = Registry(abacus, "mining", "production").register(DEFINITION)
    assert (again.is_new, done, writes(fake)) == (False, [], [])
    assert again.dataset_id == first.dataset_id


def test_keys_types_and_units_once_it_has_data(abacus, fake, tmp_path):
    host = Host(fake, tmp_path, view_rows(6))
    host.file_format = "CSV"  # in which 3000.0 is the integer 3000
    host.rows = host.rows.set_column(
        host.rows.schema.get_field_index("power_w"), "power_w", pa.array([3000.0] * 6)
    )  # fmt: skip
    host.run()
    registry = Registry(abacus, "mining", "test")
    found, _ = registry.find(DEFINITION)
    assert found is not None
    assert found.is_settled
    assert {d.what for d in registry.differences(DEFINITION, found)} == {
        "keys", "types", "unit of hashrate_th_s", "unit of power_consumption_w", "unit of accepted_shares",
    }  # fmt: skip
    registry.register(DEFINITION)
    group = fake.group("miner_telemetry")
    assert (group["primaryKey"], group["updateTimestampKey"], group["lookupKeys"]) == (
        "record_id", "known_at", ["miner_id"],
    )  # fmt: skip
    assert {f["name"]: f["dataType"] for f in group["features"]} == DEFINITION.types
    assert group["featureTags"]["hashrate_th_s"] == ["unit:TH/s"]
    assert registry.register(DEFINITION)[1] == []


def test_what_somebody_changed_there_is_shown_and_mended(abacus, fake):
    registry = Registry(abacus, "mining", "test")
    found, _ = registry.register(DEFINITION)
    shelf, group = fake.backend.shelf, fake.group("miner_telemetry")
    tags = [*(tag for tag in group["tags"] if tag != "version:1"), "version:7", "team:blue"]
    shelf.put("featureGroup", group["featureGroupId"], group | {"description": "mine", "tags": tags})
    shown = {d.what: (d.declared, d.found) for d in registry.differences(DEFINITION, found)}
    assert shown.keys() == {"description", "tags"}
    assert shown["description"][1] == "mine"
    assert "version:7" in shown["tags"][1]
    registry.register(DEFINITION)
    mended = fake.group("miner_telemetry")
    assert mended["description"] == DEFINITION.full_description
    assert "version:7" not in mended["tags"]
    assert {"version:1", "team:blue"} <= set(mended["tags"])  # another's tag is left alone


def test_a_column_that_is_missing_there_is_shown_and_not_mended(abacus, fake, tmp_path):
    Host(fake, tmp_path, view_rows(3)).run()
    group = fake.group("miner_telemetry_batches")
    features = [feature for feature in group["features"] if feature["name"] != "model"]
    fake.backend.shelf.put("featureGroup", group["featureGroupId"], group | {"features": features})
    registry = Registry(abacus, "mining", "test")
    _, done = registry.register(DEFINITION)
    assert [(d.what, d.found) for d in done if d.mend is None] == [("feature model", "missing")]


def test_a_changed_definition_is_a_new_version(abacus, fake):
    registry = Registry(abacus, "mining", "test")
    registry.register(DEFINITION)
    before = fake.group("miner_telemetry")
    (changed,) = definitions_of(settings(groups=[{**MINER, "features": MINER["features"][:2]}]).feature_groups)
    assert registry.find(changed) == (None, 2)
    second, _ = registry.register(changed)
    assert (second.table, second.version, second.is_new) == ("miner_telemetry_v2", 2, True)
    assert "version:2" in fake.group("miner_telemetry_v2")["tags"]
    assert fake.group("miner_telemetry") == before
    assert registry.register(DEFINITION)[0].version == 1  # who goes back finds the old one
    assert registry.register(changed)[0].version == 2


def test_a_table_of_somebody_else_is_left_alone(abacus, fake):
    abacus.call("a table", lambda sdk: sdk.create_dataset_from_upload("miner_telemetry", file_format="CSV"))
    with pytest.raises(NeedsHuman, match="has a table miner_telemetry that Lodeline did not make"):
        Registry(abacus, "mining", "test").register(DEFINITION)


@pytest.mark.parametrize("method", ["createDatasetFromUpload", "createMergeFeatureGroup", "addFeatureGroupTag",
                                    "createProject", "addFeatureGroupToProject"])  # fmt: skip
def test_a_lost_answer_makes_nothing_twice(abacus, fake, method):
    fake.faults.add(Fault("lost", method))
    Registry(abacus, "mining", "test").register(DEFINITION)
    assert fake.faults.taken == [(method, "lost")]
    tables = [group["tableName"] for group in fake.backend.shelf.every("featureGroup")]
    assert tables == ["miner_telemetry_batches", "miner_telemetry"]
    assert len(fake.group("miner_telemetry")["tags"]) == 5
    assert len(fake.backend.shelf.every("project")) == 1
