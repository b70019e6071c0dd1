"""Asking the fake online: a prediction from features of now, and the row that a feature group serves."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from deployments.command import app
from deployments.farm.abacus.faults import Fault
from storage.errors import NeedsHuman, TryAgain
from storage.features.online import OnlineStore
from storage.features.rows import with_entity
from storage.features.views import VIEWS
from storage.settings import StorageSettings
from tasks.abacus.on_demand import Answer, ask_now, look_up
from tests.abacus.conftest import MINER, T0, Host, endpoints_of, settings, view_rows

AHEAD = {
    "name": "ahead", "deployment_id": "deployment_1", "feature_group": "miner_telemetry", "feature": "hashrate_th_s",
    "value_column": "predicted",
}  # fmt: skip


@pytest.fixture
def host(fake, tmp_path):
    """A host whose three miners were published, exported, and are served by two deployments."""
    host = Host(fake, tmp_path, view_rows(3))
    host.run()
    group = fake.group("miner_telemetry")["featureGroupId"]
    for key, of in (("deployment_1", {"modelId": "m"}), ("deployment_2", {"featureGroupId": group})):
        fake.backend.shelf.put("deployment", key, {"deploymentId": key, "projectId": "project_1"} | of)
    with OnlineStore(StorageSettings(data_directory=tmp_path).online_features_file) as online:
        online.put(VIEWS["miner_hourly"], with_entity(VIEWS["miner_hourly"], host.rows))
    said = settings(fake.url, [MINER | {"deployment_id": "deployment_2"}], max_retries=0)
    host.settings = type(said).model_validate(said.model_dump() | {"predictions": [AHEAD]})
    return host


def ask(host: Host, name: str = "ahead", entity: str = "miner_01") -> Answer:
    storage = StorageSettings(data_directory=host.root)
    endpoints = endpoints_of(host.settings)
    return ask_now(host.settings, endpoints, storage, name, entity, clock=lambda: T0 + 60.0)


def test_a_prediction_is_made_of_what_is_known_now(fake, host):
    # by hand: 1e14 + 1e9 H/s are 100.001 TH/s; the model says a tenth more
    fake.backend.answers = lambda query: {"predicted": query["hashrate_th_s"] * 1.1}
    answer = ask(host)
    assert answer.value == pytest.approx(110.0011)
    assert (answer.unit, answer.event) == ("TH/s", T0)
    assert answer.features == {
        "miner_id": "miner_01", "timestamp": "2025-10-09T09:00:00Z", "hashrate_th_s": pytest.approx(100.001),
        "power_consumption_w": 3001.0, "accepted_shares": 10, "model": "S19",
    }  # fmt: skip
    ask(host)
    assert fake.count("createDeploymentToken") == 1
    fake.backend.answers = lambda query: {"class": "hot"}
    with pytest.raises(NeedsHuman, match="the answer has no number predicted; it has class"):
        ask(host)
    with pytest.raises(NeedsHuman, match="Nothing is known of miner_09 now"):
        ask(host, entity="miner_09")
    with pytest.raises(NeedsHuman, match="There is no prediction 'behind'"):
        ask(host, name="behind")


@pytest.mark.parametrize("kind", ["outage", "rate_limited", "html", "error_500", "cut"])
def test_trouble_is_told_without_the_token(fake, host, kind):
    fake.faults.add(Fault(kind, "predict"))
    with pytest.raises(TryAgain) as told:
        ask(host)
    assert "prediction ahead" in str(told.value)
    assert "deploymentToken_1" not in str(told.value)


def test_an_address_that_nobody_answers_is_told_without_the_token(host):
    endpoints = endpoints_of(host.settings)._replace(predict="http://127.0.0.1:9")
    with pytest.raises(TryAgain, match="Max retries exceeded with url: /api/v0/lookupFeatures") as told:
        look_up(host.settings, endpoints, "miner_telemetry", "miner_02")
    assert "deploymentToken_1" not in str(told.value)


def test_a_row_that_is_served(fake, host):
    endpoints = endpoints_of(host.settings)
    row = look_up(host.settings, endpoints, "miner_telemetry", "miner_02")
    assert (row["miner_id"], row["power_consumption_w"]) == ("miner_02", 3002.0)
    with pytest.raises(NeedsHuman, match="has no row of miner_09 over there"):
        look_up(host.settings, endpoints, "miner_telemetry", "miner_09")
    with pytest.raises(NeedsHuman, match="There is no feature group 'weather'"):
        look_up(host.settings, endpoints, "weather", "miner_02")
    with pytest.raises(NeedsHuman, match="Feature group miner_telemetry is not deployed"):
        look_up(settings(fake.url), endpoints, "miner_telemetry", "miner_02")


def test_the_command_wants_a_name_and_an_entity(host, tmp_path, monkeypatch):
    monkeypatch.setenv("LODELINE_DATA_DIRECTORY", str(tmp_path))
    monkeypatch.setenv("LODELINE_ABACUS__GENERAL__PROJECT_ID", "mining")
    monkeypatch.setenv("LODELINE_ABACUS__GENERAL__API_KEY", "a-key")
    for words in (["ask", "ahead"], ["lookup"], ["status", "ahead", "miner_01"]):
        result = CliRunner().invoke(app, ["abacus", *words])
        assert result.exit_code == 2
        assert "is asked" in result.output
