"""Trainings at the fake: begun for a reason, within limits, once, each entered in the audit trail."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import SecretStr, ValidationError
from typer.testing import CliRunner

from deployments.command import app
from deployments.farm.abacus.faults import Fault
from deployments.farm.abacus.server import FakeAbacus
from storage.audit.trail import Trail
from storage.errors import ConfigurationError, NeedsHuman, TryAgain
from storage.frame import build_frame
from storage.lake.store import EmbeddedStore
from tasks.abacus.definition import definitions_of
from tasks.abacus.retraining import Retraining, drifted_of, groups_of
from tasks.abacus.retraining_rules import DAY_S, Decision, DriftedDay, Training, decide
from tasks.abacus.settings import AbacusSettings, RetrainingSettings
from tests.abacus.conftest import KEY, MINER, endpoints_of, settings
from tests.abacus.stepped import SteppedAbacus, SteppedFile
from tests.downsample.memory_store import MemoryStore

NOW = 1_760_054_400  # 2025-10-10T00:00:00Z
ONE = {"name": "hashrate", "model_id": "model_1"}


def said(**more: Any) -> RetrainingSettings:
    return RetrainingSettings.model_validate(ONE | {"every_days": 30, "drift_of": "miner_telemetry"} | more)


def trained(days_ago: float, status: str = "COMPLETE") -> Training:
    return Training(f"v{days_ago}", status, int(NOW - days_ago * DAY_S))


NEWER = DriftedDay(NOW, ("hashrate_hs", "power_w"))
MOVED = DriftedDay(NOW - DAY_S, ("hashrate_hs", "power_w"))


@pytest.mark.parametrize(
    ("more", "trainings", "own", "drifted", "expected"),
    [
        ({}, [], [], None, (True, "no training is known")),
        ({}, [trained(29.9)], [], None, (False, "nothing asks for it")),
        ({}, [trained(30)], [], None, (True, "30 days since the last training")),
        ({}, [trained(30)], [NOW - DAY_S], None, (False, "nothing asks for it")),
        ({}, [trained(10)], [], MOVED, (True, "2 features of miner_telemetry drifted: hashrate_hs, power_w")),
        ({"drifted_features": 3}, [trained(10)], [], MOVED, (False, "nothing asks for it")),
        # the day that drifted began before the last training: its model has seen some of it
        ({"most_per_week": 9}, [trained(0.5)], [], MOVED, (False, "nothing asks for it")),
        ({}, [trained(2)], [], MOVED, (False, "1 trainings began in the last seven days, most_per_week is 1;")),
        ({"most_per_week": 2}, [trained(2)], [], MOVED, (True, "2 features")),
        ({"most_per_week": 2}, [trained(2, "FAILED"), trained(6.9)], [], MOVED, (False, "2 trainings began")),
        ({"most_per_week": 2}, [trained(2), trained(7.1)], [], MOVED, (True, "2 features")),
        # limits of a day, and a pause after a training, whoever began it
        ({"most_per_week": 9, "every_days": 1}, [trained(1)], [NOW - DAY_S + 60], None, (False, "nothing asks for it")),
        ({"most_per_week": 9}, [trained(40)], [], MOVED, (True, "40 days")),
        ({"most_per_week": 9, "drift_of": "x", "cool_down_hours": 72}, [trained(2)], [], NEWER,
         (False, "the last training began 48 h ago, cool_down_hours is 72; due: 2 features of x drifted")),
        ({"most_per_week": 9}, [trained(0.6, "FAILED")], [NOW - int(0.6 * DAY_S)], None,
         (False, "1 trainings began in the last 24 hours, most_per_day is 1; due: version v0.6, which was begun here")),
        # one that failed is begun anew, if it was ours
        ({"most_per_week": 2}, [trained(2, "FAILED"), trained(20)], [NOW - 2 * DAY_S], None,
         (True, "version v2, which was begun here, failed")),
        ({"most_per_week": 2}, [trained(2, "FAILED"), trained(20)], [], None, (False, "nothing asks for it")),
        ({"most_per_week": 2}, [trained(2, "FAILED"), trained(20)], [NOW - 9 * DAY_S], None,
         (False, "nothing asks for it")),
        ({}, [trained(2, "FAILED"), trained(20)], [NOW - 2 * DAY_S], None, (False, "1 trainings began in the last ")),
        ({}, [trained(40, "TRAINING")], [], MOVED, (False, "version v40 is TRAINING")),
        ({}, [trained(40), Training("v1", "PENDING", None)], [], MOVED, (False, "version v1 is PENDING")),
        ({}, [trained(40, "PONDERING"), trained(50)], [], MOVED, (False, "version v40 is PONDERING")),
        ({}, [trained(40), trained(50, "PONDERING")], [], MOVED, (True, "40 days since the last training; 2 features")),
    ],
)  # fmt: skip
def test_when_a_model_is_trained_again(more, trainings, own, drifted, expected):
    found = decide(said(**more), trainings, own, [] if drifted is None else [drifted], NOW)
    assert (found.due, found.why[: len(expected[1])]) == expected


def test_something_must_ask_for_it():
    with pytest.raises(ValidationError, match="say every_days, drift_of or both"):
        RetrainingSettings.model_validate(ONE)
    wrong = settings().model_copy(update={"retraining": (said(drift_of="weather"),)})
    with pytest.raises(ConfigurationError, match="there is no feature group 'weather'; there are miner_telemetry"):
        groups_of(wrong)


def test_drift_of_the_newest_day_and_of_the_group_alone_counts():
    store, (group,) = MemoryStore(), definitions_of(settings().feature_groups)
    view = group.view.stored_name
    for day, states in (
        (NOW - 2 * DAY_S, ("drifted", "drifted", "drifted")),
        (NOW - DAY_S, ("drifted", "shifting", "drifted")),
    ):
        columns: dict[str, list[Any]] = {
            "view": [view] * 3,
            "feature": ["hashrate_hs", "power_w", "voltage_v"],  # voltage is no feature of the group
            "status": list(states),
        }
        store.write([build_frame("feature_drift", [day] * 3, columns)])
    assert drifted_of(store, group, "here", NOW) == [DriftedDay(NOW - DAY_S, ("hashrate_hs",))]
    assert drifted_of(MemoryStore(), group, "here", NOW) == []
    assert drifted_of(store, None, "here", NOW) == []


class Host:
    """A process that retrains; it can be begun anew as often as it is killed."""

    def __init__(self, fake: FakeAbacus, root: Path) -> None:
        self.root, self.settings = root, settings(fake.url, max_retries=1)
        self.step: Callable[[], None] = lambda: None

    def run(self, now: int = NOW) -> Decision:
        endpoints = endpoints_of(self.settings)
        abacus = SteppedAbacus(SecretStr(KEY), endpoints, self.settings.data_ingestion, sleep=lambda _: None)
        abacus.host = self
        try:
            file = SteppedFile(self.root / "retraining", "hashrate")
            file.host = self
            one = said(drift_of=None, deployment_ids=["deployment_1"])
            return Retraining(abacus, one, file, Trail.open(self.root, "host"), "the test").run([], now)
        finally:
            abacus.close()

    def entered(self) -> list[Any]:
        entries = Trail.open(self.root, "host").entries()
        return [(entry.kind, entry.subject, (entry.detail or {}).get("version")) for entry in entries]


def put_model(fake: FakeAbacus, days_ago: int = 40) -> None:
    started = datetime.fromtimestamp(NOW - days_ago * DAY_S, UTC).isoformat()
    version = {"modelVersion": "first", "modelId": "model_1", "status": "COMPLETE", "trainingStartedAt": started}
    fake.backend.shelf.put("model", "model_1", {"modelId": "model_1"})
    fake.backend.shelf.put("modelVersion", "first", version)


@pytest.fixture
def model(fake):
    put_model(fake)
    return fake


def test_a_training_is_begun_once_and_entered(model, tmp_path):
    host = Host(model, tmp_path)
    assert host.run() == (True, "40 days since the last training")
    assert host.entered() == [("retrained", "hashrate", "modelVersion_1")]
    (version,) = (one for one in model.backend.shelf.every("modelVersion") if one["modelVersion"] != "first")
    assert version["pendingDeploymentIds"] == ["deployment_1"]
    assert host.run().why == "version modelVersion_1 is TRAINING"
    assert host.run().why == "nothing asks for it"
    assert model.count("retrainModel") == 1


@pytest.mark.parametrize("kind", ["lost", "error_500", "outage", "html"])
def test_a_start_of_unknown_outcome_is_looked_for(model, tmp_path, kind):
    host = Host(model, tmp_path)
    model.faults.add(Fault(kind, "retrainModel"))
    with pytest.raises(TryAgain):
        host.run()
    assert host.run().due
    assert len(model.backend.shelf.every("modelVersion")) == 2
    assert host.entered() == [("retrained", "hashrate", "modelVersion_1")]


def test_a_start_that_was_asked_for_too_fast_did_not_come_to_be(model, tmp_path):
    host = Host(model, tmp_path)
    model.faults.add(Fault("rate_limited", "retrainModel"))
    assert host.run().due  # it says so, and is asked once more
    assert len(model.backend.shelf.every("modelVersion")) == 2


def test_a_model_that_is_not_there_is_told(fake, tmp_path):
    with pytest.raises(NeedsHuman, match="model model_1 not found"):
        Host(fake, tmp_path).run()


def test_the_command_tells(model, tmp_path, monkeypatch):
    monkeypatch.setenv("LODELINE_DATA_DIRECTORY", str(tmp_path))
    EmbeddedStore(tmp_path / "lake").close()
    (tmp_path / "config").mkdir()
    asked = {
        "general": {"project_id": "mining", "api_key": KEY, "api_url": model.url},
        "feature_groups": [MINER],
        "retraining": [
            ONE | {"every_days": 30, "drift_of": "miner_telemetry"},
            {"name": "other", "model_id": "x", "every_days": 1},
        ],
    }  # fmt: skip
    assert AbacusSettings.model_validate(asked)
    (tmp_path / "config" / "abacus_integration_config.yaml").write_text(yaml.safe_dump(asked))
    words = ["abacus", "retrain", "--config", str(tmp_path / "config")]
    first, second = CliRunner().invoke(app, words), CliRunner().invoke(app, words)
    assert (first.exit_code, second.exit_code) == (1, 1)
    assert "hashrate: training started: " in first.output
    assert "days since the last training" in first.output
    assert "Is model x there?" in first.output
    assert "hashrate: no training: version modelVersion_1 is TRAINING" in second.output
