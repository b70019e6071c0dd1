"""Predictions from the configuration to scores, by the command, with a lake and the fake of the service."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence

import pytest
import yaml
from typer.testing import CliRunner

from deployments.command import app
from deployments.farm.abacus.faults import Fault
from deployments.farm.abacus.server import FakeAbacus
from storage.declaration import MEASUREMENTS, Tier
from storage.features.online import OnlineStore
from storage.features.publish import publish
from storage.features.views import VIEWS
from storage.frame import Value, build_frame
from storage.lake.store import EmbeddedStore
from tasks.abacus.batch_prediction import BatchPrediction
from tasks.abacus.connection import Abacus
from tests.abacus.conftest import KEY

GROUP = {
    "name": "market_data", "entity_id_column": "coin.id", "features": [{"name": "price_usd", "type": "FLOAT"}],
}  # fmt: skip
AHEAD = {
    "name": "price_ahead", "deployment_id": "deployment_1", "feature_group": "market_data", "feature": "price_usd",
    "value_column": "price", "horizon_hours": 1,
}  # fmt: skip


@pytest.fixture
def now():
    return int(time.time())


@pytest.fixture
def config(tmp_path, monkeypatch, now):
    """A host that published a price of half an hour ago."""
    monkeypatch.setenv("LODELINE_DATA_DIRECTORY", str(tmp_path))
    monkeypatch.setattr(Abacus, "wait", lambda self, seconds: self.require_wanted())
    store = EmbeddedStore(tmp_path / "lake")
    coins: dict[str, Sequence[Value]] = {"source": ["coingecko"], "coin_id": ["bitcoin"], "price_usd": [50_000.0]}
    store.write([build_frame("market_data", [now - 1800], coins)])
    kept = {bucket: 30 for bucket in MEASUREMENTS["market_data"].buckets.values()}
    with OnlineStore(tmp_path / "features.sqlite") as online:
        publish(store, tmp_path / "lake", online, now, kept, views=[VIEWS["market"]])
    store.close()
    (tmp_path / "config").mkdir()
    return tmp_path / "config"


def test_the_command_fetches_scores_and_tells(config, monkeypatch, now):
    def lodeline(*words: str, code: int = 0) -> str:
        result = CliRunner().invoke(app, ["abacus", *words, "--config", str(config)])
        assert result.exit_code == code, result.output
        return result.output

    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now - 5400))
    line = {"source": "coingecko", "coin_id": "bitcoin", "timestamp": stamp, "price": 49_000.0}
    with FakeAbacus(KEY, predicts=lambda _: [line, line | {"price": "dear"}]) as fake:
        fake.backend.shelf.put("project", "project_1", {"projectId": "project_1", "name": "mining"})
        fake.backend.shelf.put("deployment", "deployment_1", {"deploymentId": "deployment_1", "projectId": "project_1"})
        said = {
            "general": {"project_id": "mining", "api_key": KEY, "api_url": fake.url},
            "data_ingestion": {"max_retries": 0},
            "feature_groups": [GROUP],
        }
        (config / "abacus_integration_config.yaml").write_text(yaml.safe_dump(said))
        said["predictions"] = [AHEAD]
        (config / "abacus_integration_config.yaml").write_text(yaml.safe_dump(said))
        assert "never fetched: 0 predictions of 0 batches" in lodeline("predictions")
        started = BatchPrediction.__init__

        def an_hour_ago(self, *args, clock, **more):  # the batch was begun before what it predicts came
            started(self, *args, clock=lambda: clock() - 3600, **more)

        monkeypatch.setattr(BatchPrediction, "__init__", an_hour_ago)
        fake.faults.add(Fault("html", "downloadBatchPredictionResultChunk"))
        assert "back soon" in lodeline("predict", code=1)
        told = lodeline("predict")
        assert told.startswith("price_ahead: 1 predictions of 1 batches, 1 scores, 1 rejected"), told
        assert json.loads(lodeline("predict", "--json"))[0]["scores"] == 0
        assert "price_ahead bitcoin/coingecko|" in lodeline("rejected")
        assert "1 predictions of 1 batches, 1 rejected" in lodeline("predictions")
    store = EmbeddedStore(config.parent / "lake")
    (score,) = store.read(MEASUREMENTS["prediction_score"], Tier.RAW, now - 7200, now).to_pylist()
    store.close()
    # by hand: 49,000 predicted, 50,000 came: 1,000 too little, a fiftieth
    assert (score["actual"], score["error"], score["error_ratio"]) == (50_000.0, -1000.0, 0.02)
    assert (score["entity"], score["lead"], score["reason"]) == ("bitcoin/coingecko", "0h", "")
