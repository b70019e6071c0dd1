"""The flow that has models trained again, on a real Prefect server and against the fake of the service."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml

from deployments.farm.abacus.faults import Fault
from deployments.farm.abacus.server import FakeAbacus
from storage.audit.trail import Trail
from storage.frame import build_frame
from storage.lake.store import EmbeddedStore
from tasks.abacus.connection import Abacus

KEY = "abacus-key-of-the-flow"
DAY = 86_400

pytestmark = [
    pytest.mark.prefect,
    # Prefect leaves the socket of a run's client to the garbage collector; a flow's process ends before that matters.
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
    pytest.mark.usefixtures("collected", "api"),
]


def put_version(fake: FakeAbacus, key: str, status: str, days_ago: float) -> None:
    started = datetime.fromtimestamp(time.time() - days_ago * DAY, UTC).isoformat()
    version = {"modelVersion": key, "modelId": "model_1", "status": status, "trainingStartedAt": started}
    fake.backend.shelf.put("modelVersion", key, version)


async def test_by_time_and_by_drift_each_once_and_within_limits(tmp_path, monkeypatch):
    from flows.retrain_models import retrain_models

    monkeypatch.setenv("LODELINE_DATA_DIRECTORY", str(tmp_path))
    monkeypatch.setattr(Abacus, "wait", lambda self, seconds: self.require_wanted())
    (tmp_path / "config").mkdir()
    config = str(tmp_path / "config")
    skipped = await retrain_models(config, return_state=True)
    assert (skipped.name, skipped.message) == ("Skipped", "abacus_integration_config.yaml has no retraining")
    with FakeAbacus(KEY) as fake:
        group = {
            "name": "miner_telemetry", "entity_id_column": "miner_id",
            "features": [{"name": "hashrate_th_s", "type": "FLOAT"}],
        }  # fmt: skip
        again = {
            "name": "hashrate", "model_id": "model_1", "every_days": 30, "drift_of": "miner_telemetry",
            "most_per_week": 3, "cool_down_hours": 0, "most_per_day": 1,
        }  # fmt: skip
        told: dict[str, Any] = {
            "general": {"project_id": "mining", "api_key": KEY, "api_url": fake.url},
            "data_ingestion": {"max_retries": 0},
            "feature_groups": [group],
            "retraining": [again],
        }
        (tmp_path / "config" / "abacus_integration_config.yaml").write_text(yaml.safe_dump(told))
        fake.backend.shelf.put("model", "model_1", {"modelId": "model_1"})
        put_version(fake, "first", "COMPLETE", 31)

        fake.faults.add(Fault("lost", "retrainModel"))  # it came to be, its answer did not
        lost = await retrain_models(config, return_state=True)
        assert lost.is_failed()
        begun = await retrain_models(config, return_state=True)
        assert begun.message == "1 trainings started: hashrate"
        going = await retrain_models(config, return_state=True)
        assert going.message == "0 trainings started"
        assert fake.count("retrainModel") == 1

        # it fails, a day passes in the books of both sides, and features drift: one training more, for both reasons
        put_version(fake, "modelVersion_1", "FAILED", 2)
        journal = tmp_path / "abacus" / "production" / "retraining" / "hashrate" / "journal.json"
        (own,) = json.loads(journal.read_text())["starts"]
        journal.write_text(journal.read_text().replace(str(own), str(own - 2 * DAY)))
        day = int(time.time()) // DAY * DAY - DAY
        store = EmbeddedStore(tmp_path / "lake")
        columns = {"view": ["miner_hourly_v1"], "feature": ["hashrate_hs"], "status": ["drifted"]}
        store.write([build_frame("feature_drift", [day], columns)])
        store.close()
        drifted = await retrain_models(config, return_state=True)
        assert drifted.message == "1 trainings started: hashrate"
        put_version(fake, "modelVersion_2", "COMPLETE", 0.01)
        enough = await retrain_models(config, return_state=True)
        assert enough.message == "0 trainings started"
        assert fake.count("retrainModel") == 2
    (trail,) = (tmp_path / "audit").glob("*.jsonl")
    entries = [e for e in Trail.open(tmp_path, trail.stem).entries() if e.kind == "retrained"]
    reasons = [str((entry.detail or {})["reason"]) for entry in entries]
    assert reasons[0] == "31 days since the last training"
    assert reasons[1].startswith("version modelVersion_1, which was begun here, failed; 1 features of miner_telemetry")
    assert [(entry.detail or {})["version"] for entry in entries] == ["modelVersion_1", "modelVersion_2"]
