"""Refresh policies: kept, listed, changed, paused. They start nothing here but by ``runRefreshPolicy``."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from cronsim import CronSim, CronSimError

from deployments.farm.abacus.call import Backend, Refused, Sent, call, now_text
from deployments.farm.abacus.shelf import Item

_SUBJECTS = {
    "datasetIds": "dataset", "modelIds": "model", "deploymentIds": "deployment",
    "batchPredictionIds": "batchPrediction", "modelMonitorIds": "modelMonitor",
}  # fmt: skip


@call("createRefreshPolicy", "POST")
def create(backend: Backend, sent: Sent) -> Item:
    """A policy. Names need not differ: one that is made twice is there twice."""
    key = backend.shelf.fresh_id("refreshPolicy")
    made: Item = {
        "refreshPolicyId": key, "name": sent.need("name"), "cron": sent.need("cron"),
        "refreshType": sent.need("refreshType"), "projectId": sent.values.get("projectId"), "createdAt": now_text(),
        "paused": False, "featureGroupId": sent.values.get("featureGroupId"),
    }  # fmt: skip
    if made["featureGroupId"] is not None:
        backend.need("featureGroup", made["featureGroupId"])
    for name, kind in _SUBJECTS.items():
        made[name] = sent.values.get(name) or []
        for one in made[name]:
            backend.need(kind, one)
    return _kept(backend, made)


@call("listRefreshPolicies", "GET")
def list_policies(backend: Backend, sent: Sent) -> list[Item]:
    """Policies of the organisation; lists in the query are JSON, and an empty one asks for nothing in particular."""
    found = backend.shelf.every("refreshPolicy")
    group = sent.values.get("featureGroupId")
    if group is not None:
        found = [one for one in found if one["featureGroupId"] == group]
    for name in _SUBJECTS:
        wanted = set(json.loads(sent.values.get(name) or "[]"))
        found = [one for one in found if not wanted or wanted & set(one[name])]
    return found


@call("describeRefreshPolicy", "GET")
def describe(backend: Backend, sent: Sent) -> Item:
    """A policy."""
    return _policy(backend, sent)


@call("updateRefreshPolicy", "POST")
def update(backend: Backend, sent: Sent) -> Item:
    """Another name or schedule."""
    changed = {name: sent.values[name] for name in ("name", "cron") if sent.values.get(name) is not None}
    return _kept(backend, _policy(backend, sent) | changed)


@call("pauseRefreshPolicy", "POST")
def pause(backend: Backend, sent: Sent) -> None:
    """Have it run no more."""
    _kept(backend, _policy(backend, sent) | {"paused": True})


@call("resumeRefreshPolicy", "POST")
def resume(backend: Backend, sent: Sent) -> None:
    """Have it run again."""
    _kept(backend, _policy(backend, sent) | {"paused": False})


@call("deleteRefreshPolicy", "DELETE")
def delete(backend: Backend, sent: Sent) -> None:
    """Forget it."""
    backend.shelf.drop("refreshPolicy", _policy(backend, sent)["refreshPolicyId"])


@call("runRefreshPolicy", "POST")
def run(backend: Backend, sent: Sent) -> None:
    """A run of it, which is over at once."""
    key = backend.shelf.fresh_id("refreshPipelineRun")
    made: Item = {
        "refreshPipelineRunId": key, "refreshPolicyId": _policy(backend, sent)["refreshPolicyId"],
        "createdAt": now_text(), "status": "COMPLETE",
    }  # fmt: skip
    backend.shelf.put("refreshPipelineRun", key, made)


@call("listRefreshPipelineRuns", "GET")
def list_runs(backend: Backend, sent: Sent) -> list[Item]:
    """Runs of a policy, oldest first."""
    key = _policy(backend, sent)["refreshPolicyId"]
    return [one for one in backend.shelf.every("refreshPipelineRun") if one["refreshPolicyId"] == key]


def _policy(backend: Backend, sent: Sent) -> Item:
    return backend.need("refreshPolicy", sent.need("refreshPolicyId"))


def _kept(backend: Backend, policy: Item) -> Item:
    try:
        coming: Any = next(CronSim(policy["cron"], datetime.now(UTC)))
    except CronSimError as error:
        raise Refused(400, "InvalidParameterError", f"{policy['cron']!r} is no schedule") from error
    policy["nextRunTime"] = None if policy["paused"] else coming.isoformat()
    backend.shelf.put("refreshPolicy", policy["refreshPolicyId"], policy)
    return policy
