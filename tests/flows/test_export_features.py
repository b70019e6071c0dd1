"""The flow that exports to Abacus.AI, on a real Prefect server and against the fake of the service."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from deployments.farm.abacus.faults import Fault
from deployments.farm.abacus.server import FakeAbacus
from storage.declaration import MEASUREMENTS, Tier
from storage.features.online import OnlineStore
from storage.features.publish import publish
from storage.features.views import VIEWS
from storage.frame import Value, build_frame
from storage.lake.store import EmbeddedStore
from tasks.abacus.connection import Abacus

KEY = "abacus-key-of-the-flow"
GROUP = {
    "name": "market_data",
    "entity_id_column": "coin.id",
    "features": [{"name": "price_usd", "type": "FLOAT"}],
}
PREDICTION = {
    "name": "price_ahead", "deployment_id": "deployment_1", "feature_group": "market_data", "feature": "price_usd",
    "value_column": "price",
}  # fmt: skip

pytestmark = [
    pytest.mark.prefect,
    # Prefect leaves the socket of a run's client to the garbage collector; a flow's process ends before that matters.
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
    pytest.mark.usefixtures("collected", "api"),
]


@pytest.fixture
def config(tmp_path, monkeypatch):
    """A host with two prices of half an hour ago, published."""
    monkeypatch.setenv("LODELINE_DATA_DIRECTORY", str(tmp_path))
    monkeypatch.setattr(Abacus, "wait", lambda self, seconds: self.require_wanted())
    now = int(time.time())
    store = EmbeddedStore(tmp_path / "lake")
    coins: dict[str, Sequence[Value]] = {
        "source": ["coingecko"] * 2,
        "coin_id": ["bitcoin", "litecoin"],
        "price_usd": [50_000.0, 100.0],
    }
    store.write([build_frame("market_data", [now - 1800] * 2, coins)])
    kept = {bucket: 30 for bucket in MEASUREMENTS["market_data"].buckets.values()}
    with OnlineStore(tmp_path / "features.sqlite") as online:
        publish(store, tmp_path / "lake", online, now, kept, views=[VIEWS["market"]])
    store.close()
    (tmp_path / "config").mkdir()
    return tmp_path / "config"


def write(config: Path, fake: FakeAbacus) -> None:
    said = {
        "general": {"project_id": "mining", "api_key": KEY, "api_url": fake.url},
        "data_ingestion": {"max_retries": 0},
        "feature_groups": [GROUP],
        "predictions": [PREDICTION],
    }
    (config / "abacus_integration_config.yaml").write_text(yaml.safe_dump(said))


async def test_prices_are_exported_once_and_trouble_fails_the_run_alone(config, monkeypatch):
    from flows.export_features import export_features
    from flows.fetch_predictions import fetch_predictions
    from flows.measure_export import measure_export
    from flows.stream_features import stream_features
    from tasks.abacus import steps

    skipped = await export_features(str(config), return_state=True)
    assert (skipped.name, skipped.message) == (
        "Skipped", "no abacus_integration_config.yaml: nothing goes to Abacus.AI",
    )  # fmt: skip
    skipped = await stream_features(str(config), return_state=True)
    assert (skipped.name, skipped.message) == ("Skipped", "Abacus.AI or its real_time is not configured")
    skipped = await measure_export(str(config), return_state=True)
    assert (skipped.name, skipped.message) == (
        "Skipped", "abacus_integration_config.yaml has no feature groups",
    )  # fmt: skip
    skipped = await fetch_predictions(str(config), return_state=True)
    assert (skipped.name, skipped.message) == ("Skipped", "abacus_integration_config.yaml has no predictions")
    monkeypatch.setattr(steps, "FIRST_DELAY_S", 0)
    with FakeAbacus(KEY) as fake:
        write(config, fake)
        fake.backend.shelf.put("project", "project_1", {"projectId": "project_1", "name": "mining"})
        fake.backend.shelf.put("deployment", "deployment_1", {"deploymentId": "deployment_1", "projectId": "project_1"})
        fake.faults.add(Fault("error_500", "uploadPart"))  # the first try of the task; the second goes on
        first = await export_features(str(config), return_state=True)
        assert first.message == "2 rows of 1 groups"
        assert sorted((row["coin_id"], row["price_usd"]) for row in fake.rows("market_data")) == [
            ("bitcoin", 50_000.0), ("litecoin", 100.0),
        ]  # fmt: skip
        assert fake.count("createDatasetVersionFromUpload") == 1
        again = await export_features(str(config), return_state=True)
        assert again.message == "0 rows of 0 groups"
        assert len(fake.rows("market_data_batches")) == 2
        streamed = await stream_features(str(config), return_state=True)
        assert streamed.message == "0 rows of 0 groups"  # it begins with the newest window
        assert fake.group("market_data_online")["primaryKey"] == "record_id"
        fetched = await fetch_predictions(str(config), return_state=True)
        assert fetched.message == "0 predictions of 1 batches, 0 scores"
        assert fake.count("startBatchPrediction") == 1
        fake.faults.add(Fault("outage", "listProjects", times=1_000))
        away = await export_features(str(config), return_state=True)
        assert away.is_failed()
        assert "Abacus.AI" in str(away.message)
        measured = await measure_export(str(config), return_state=True)
        assert measured.message == "2 exports, 0 rows behind; failing: market_data (batch)"
    store = EmbeddedStore(config.parent / "lake")
    rows = store.read(MEASUREMENTS["export_state"], Tier.RAW, 0, int(time.time()) + 1).to_pylist()
    store.close()
    assert [(row["way"], row["rows_behind"], row["rows_sent"]) for row in rows] == [("batch", 0, 2), ("stream", 0, 0)]
    assert rows[0]["failures"] >= 1  # the task tries thrice
    assert rows[1]["failure"] == ""
