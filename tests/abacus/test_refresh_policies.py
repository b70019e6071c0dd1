"""Refresh policies at the fake: made once, changed where they differ, never doubled, others' left alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from pydantic import ValidationError
from typer.testing import CliRunner

from deployments.command import app
from deployments.farm.abacus.faults import Fault
from deployments.farm.abacus.server import FakeAbacus
from storage.errors import ConfigurationError, TryAgain
from tasks.abacus.connection import Abacus
from tasks.abacus.exporting import register_groups
from tasks.abacus.refresh_policies import PolicyState, checked_policies, policy_states
from tasks.abacus.sdk import Endpoints
from tasks.abacus.settings import AbacusSettings, RefreshPolicySettings
from tests.abacus.conftest import KEY, MINER, settings

FEATURES = {"name": "features", "feature_group": "miner_telemetry"}


@pytest.fixture(autouse=True)
def _nobody_waits(monkeypatch):
    monkeypatch.setattr(Abacus, "wait", lambda self, seconds: self.require_wanted())


@pytest.fixture(scope="module")
def made() -> Iterator[FakeAbacus]:
    """A fake with the group of the configuration, and a policy of somebody else."""
    with FakeAbacus(KEY) as fake:
        register_groups(said(fake, []), at(fake))
        yield fake


@pytest.fixture
def service(made):
    """The same, without any policy of ours."""
    shelf = made.backend.shelf
    for one in shelf.every("refreshPolicy"):
        shelf.drop("refreshPolicy", one["refreshPolicyId"])
    shelf.put("refreshPolicy", "others", policy("others", "nightly", "1 2 3 * *"))
    made.faults.clear()
    return made


def at(fake: FakeAbacus) -> Endpoints:
    return Endpoints(fake.url, fake.url, fake.url)


def policy(key: str, name: str, cron: str, **more: Any) -> dict[str, Any]:
    nothing: dict[str, Any] = {
        "datasetIds": [], "modelIds": [], "deploymentIds": [], "batchPredictionIds": [], "modelMonitorIds": [],
        "featureGroupId": None, "paused": False, "refreshType": "FEATUREGROUP", "nextRunTime": "2026-11-29T12:00:00",
    }  # fmt: skip
    return nothing | {"refreshPolicyId": key, "name": name, "cron": cron} | more


def said(fake: FakeAbacus, policies: list[dict[str, Any]], groups: Any = (MINER,), **more: Any) -> AbacusSettings:
    plain = settings(fake.url, groups, max_retries=2).model_dump() | {"refresh_policies": policies} | more
    plain["general"]["api_key"] = KEY
    return AbacusSettings.model_validate(plain)


def ours(fake: FakeAbacus) -> list[dict[str, Any]]:
    return [one for one in fake.backend.shelf.every("refreshPolicy") if one["name"].startswith("lodeline_")]


def whats(states: list[PolicyState]) -> list[tuple[str, str, str]]:
    return [(one.what, one.declared, one.found) for state in states for one in state.differences]


def test_it_is_made_by_the_schedule_of_the_template_and_once(service):
    told = said(service, [FEATURES])
    assert whats(policy_states(told, at(service))) == [("policy", "0 */6 * * *", "missing")]
    assert ours(service) == []  # looking changes nothing
    policy_states(told, at(service), mend=True)
    (one,) = ours(service)
    group = service.group("miner_telemetry")["featureGroupId"]
    assert (one["name"], one["cron"], one["refreshType"], one["featureGroupId"]) == (
        "lodeline_production_features", "0 */6 * * *", "FEATUREGROUP", group,
    )  # fmt: skip
    (state,) = policy_states(told, at(service), mend=True)
    assert (state.differences, state.next_run, state.last_run) == ([], one["nextRunTime"], None)
    assert ours(service) == [one]


def test_another_schedule_and_a_pause_are_changed_in_place(service):
    policy_states(said(service, [FEATURES]), at(service), mend=True)
    (before,) = ours(service)
    other = said(service, [FEATURES | {"cron": "30 4 * * *", "paused": True}])
    assert whats(policy_states(other, at(service), mend=True)) == [
        ("cron", "30 4 * * *", "0 */6 * * *"), ("state", "paused", "running"),
    ]  # fmt: skip
    (after,) = ours(service)
    assert (after["refreshPolicyId"], after["cron"], after["paused"]) == (before["refreshPolicyId"], "30 4 * * *", True)
    assert whats(policy_states(other, at(service))) == []
    policy_states(said(service, [FEATURES | {"cron": "30 4 * * *"}]), at(service), mend=True)
    assert ours(service)[0]["paused"] is False


def test_another_subject_is_another_policy_in_its_place(service):
    policy_states(said(service, [FEATURES]), at(service), mend=True)
    changed = {**MINER, "features": MINER["features"][:1]}  # a new version of the definition: tables of its own
    told = said(service, [FEATURES], groups=(changed,))
    (state,) = policy_states(told, at(service), mend=True)
    assert [(one.what, one.found, one.mend) for one in state.differences] == [
        ("subject", "the feature group is not registered", None)
    ]
    register_groups(told, at(service))
    policy_states(told, at(service), mend=True)
    (one,) = ours(service)
    assert one["featureGroupId"] == service.group("miner_telemetry_v2")["featureGroupId"]
    assert whats(policy_states(told, at(service))) == []


def test_doubles_and_what_is_declared_no_more_go_and_others_stay(service):
    shelf, group = service.backend.shelf, service.group("miner_telemetry")["featureGroupId"]
    for key, name in (("a", "features"), ("b", "features"), ("c", "old")):
        full = f"lodeline_production_{name}"
        shelf.put("refreshPolicy", key, policy(key, full, "0 */6 * * *", featureGroupId=group))
    shelf.put("refreshPolicy", "d", policy("d", "lodeline_test_features", "5 * * * *"))  # another environment
    told = said(service, [FEATURES])
    assert whats(policy_states(told, at(service), mend=True)) == [
        ("policy", "once", "2 times"), ("policy", "not declared", "0 */6 * * *"),
    ]  # fmt: skip
    assert {one["refreshPolicyId"] for one in shelf.every("refreshPolicy")} == {"a", "d", "others"}


def test_models_and_batch_predictions(service):
    shelf = service.backend.shelf
    shelf.put("model", "model_1", {"modelId": "model_1"})
    shelf.put("batchPrediction", "job_1", {"batchPredictionId": "job_1"})
    told = said(
        service,
        [
            {"name": "models", "model_ids": ["model_1"], "refresh_type": "MODEL"},
            {"name": "jobs", "batch_prediction_ids": ["job_1"], "cron": "0 5 * * *"},
        ],
    )
    policy_states(told, at(service), mend=True)
    assert {(one["refreshType"], *one["modelIds"], *one["batchPredictionIds"]) for one in ours(service)} == {
        ("MODEL", "model_1"), ("BATCHPRED", "job_1"),
    }  # fmt: skip
    assert whats(policy_states(told, at(service))) == []


@pytest.mark.parametrize("kind", ["lost", "error_500", "html"])
@pytest.mark.parametrize("method", ["createRefreshPolicy", "deleteRefreshPolicy", "updateRefreshPolicy"])
def test_a_lost_answer_makes_no_second_one(service, method, kind):
    shelf = service.backend.shelf
    shelf.put("refreshPolicy", "old", policy("old", "lodeline_production_old", "0 1 * * *"))
    service.faults.add(Fault(kind, method, times=1))
    policy_states(said(service, [FEATURES]), at(service), mend=True)
    policy_states(said(service, [FEATURES | {"cron": "30 4 * * *"}]), at(service), mend=True)
    (one,) = ours(service)
    assert one["cron"] == "30 4 * * *"


def test_an_outage_is_told(service):
    service.faults.add(Fault("outage", times=99))
    with pytest.raises(TryAgain, match="listing refresh policies"):
        policy_states(said(service, [FEATURES]), at(service))


@pytest.mark.parametrize(
    ("wrong", "fault"),
    [
        ({"name": "x"}, "say one of feature_group, batch_prediction_ids and model_ids"),
        ({"name": "x", "feature_group": "a", "model_ids": ["m"]}, "say one of"),
        ({"name": "x", "model_ids": ["m"]}, "say refresh_type"),
        ({"name": "x", "feature_group": "a", "cron": "every day"}, "cron expression"),
    ],
)
def test_what_cannot_be_meant_is_told(wrong, fault):
    with pytest.raises(ValidationError, match=fault):
        RefreshPolicySettings.model_validate(wrong)


def test_a_group_that_is_not_there_is_told(service):
    with pytest.raises(ConfigurationError, match="refresh_policies x: there is no feature group 'weather'"):
        checked_policies(said(service, [{"name": "x", "feature_group": "weather"}]))


def test_the_commands(service, tmp_path):
    (tmp_path / "config").mkdir()
    told = {
        "general": {"project_id": "mining", "api_key": KEY, "api_url": service.url},
        "feature_groups": [MINER],
        "refresh_policies": [FEATURES],
    }
    (tmp_path / "config" / "abacus_integration_config.yaml").write_text(yaml.safe_dump(told))
    runner = CliRunner(env={"LODELINE_CONFIG": str(tmp_path / "config"), "LODELINE_DATA_DIRECTORY": str(tmp_path)})
    shown = runner.invoke(app, ["abacus", "schedules"])
    assert (shown.exit_code, shown.output.splitlines()) == (
        1,
        [
            "policy features: 0 */6 * * * UTC, not there",
            "  policy: declared '0 */6 * * *', at Abacus.AI 'missing'",
        ],
    )
    registered = runner.invoke(app, ["abacus", "register"])
    assert registered.exit_code == 0, registered.output
    assert "policy features: changed" in registered.output
    key = ours(service)[0]["refreshPolicyId"]
    run = {"refreshPipelineRunId": "r", "refreshPolicyId": key, "status": "FAILED", "createdAt": "2026-11-29T06:00:00"}
    service.backend.shelf.put("refreshPipelineRun", "r", run)
    status = runner.invoke(app, ["abacus", "status"])
    assert status.exit_code == 0, status.output
    assert "policy features: 0 */6 * * * UTC, next run 2" in status.output
    assert ", last run FAILED 2026-11-29T06:00:00" in status.output
    (plain,) = json.loads(runner.invoke(app, ["abacus", "schedules", "--json"]).output)
    assert (plain["name"], plain["declared"], plain["differences"]) == ("features", True, [])
