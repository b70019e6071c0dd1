"""Model monitors: they compare the features of two feature groups that were materialised, run by run.

What a distribution looks like is this fake's own choice, for the package only says "a dict": counts by value, or by
``[low, high)`` over ten equal steps of what the reference ranges over, with ``null`` for what is missing.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

import numpy as np

from deployments.farm.abacus.call import Backend, Refused, Sent, call, not_found, now_text
from deployments.farm.abacus.groups import rows_of_group
from deployments.farm.abacus.shelf import Item

BINS = 10
_NEXT = {"PENDING": "MONITORING", "MONITORING": "COMPLETE"}


@call("createModelMonitor", "POST")
def create(backend: Backend, sent: Sent) -> Item:
    """A monitor, which is run at once."""
    project = backend.need("project", sent.need("projectId"))["projectId"]
    groups = {
        "predictionFeatureGroupId": sent.need("predictionFeatureGroupId"),
        "trainingFeatureGroupId": sent.need("trainingFeatureGroupId"),
    }
    for key in groups.values():
        backend.need("featureGroup", key)
    key = backend.shelf.fresh_id("modelMonitor")
    made: Item = {"modelMonitorId": key, "name": sent.values.get("name"), "projectId": project, "createdAt": now_text()}
    made |= {name: [group] for name, group in groups.items()} | {"monitorType": "FEATURE_GROUP_MONITOR"}
    backend.shelf.put("modelMonitor", key, made)
    return made | {"latestMonitorModelVersion": _run(backend, made)}


@call("rerunModelMonitor", "POST")
def rerun(backend: Backend, sent: Sent) -> Item:
    """One more run."""
    monitor = backend.need("modelMonitor", sent.need("modelMonitorId"))
    return monitor | {"latestMonitorModelVersion": _run(backend, monitor)}


def _run(backend: Backend, monitor: Item) -> Item:
    """A version. What it compares is settled now."""
    key = backend.shelf.fresh_id("modelMonitorVersion")
    made: Item = {
        "modelMonitorVersion": key, "modelMonitorId": monitor["modelMonitorId"], "status": "PENDING",
        "monitoringStartedAt": now_text(),
    }  # fmt: skip
    sides = {}
    for side, name in (("training", "trainingFeatureGroupId"), ("prediction", "predictionFeatureGroupId")):
        group = backend.need("featureGroup", monitor[name][0])
        versions = [v for v in backend.shelf.every("featureGroupVersion") if v["featureGroupId"] == monitor[name][0]]
        if not versions or versions[-1]["status"] != "COMPLETE":
            made |= {"error": f"{group['tableName']} has no version that is complete"}
        else:
            sides[side] = rows_of_group(backend, group)
            made[f"{side}FeatureGroupVersion"] = [versions[-1]["featureGroupVersion"]]
    backend.shelf.put("modelMonitorVersion", key, made)
    if len(sides) == 2:
        names = {name for rows in sides.values() for row in rows for name in row}
        drift = {name: _distributions(*([row.get(name) for row in rows] for rows in sides.values())) for name in names}
        backend.shelf.put("monitorDrift", key, drift)
    return made


def _distributions(training: list[Any], prediction: list[Any]) -> Item:
    there = [value for value in training + prediction if value is not None]
    if there and all(isinstance(value, int | float) and not isinstance(value, bool) for value in there):
        known = [float(value) for value in training if value is not None] or [0.0]
        edges = np.linspace(min(known), max(known), BINS + 1)[1:-1]
        return {
            "type": "numerical",
            "trainingDistribution": _binned(training, edges),
            "predictionDistribution": _binned(prediction, edges),
            "trainingStatistics": {"count": len(training)},
            "predictionStatistics": {"count": len(prediction)},
        }
    return {
        "type": "categorical",
        "trainingDistribution": _counted(training),
        "predictionDistribution": _counted(prediction),
    }


def _binned(values: list[Any], edges: np.ndarray[Any, np.dtype[np.float64]]) -> dict[str, int]:
    known = np.array([value for value in values if value is not None], dtype=np.float64)
    counts = np.bincount(np.searchsorted(edges, known, side="right"), minlength=len(edges) + 1).tolist()
    ends = ["-inf", *(f"{edge:.12g}" for edge in edges.tolist()), "inf"]
    told = {f"[{low}, {high})": count for low, high, count in zip(ends, ends[1:], counts, strict=False)}
    missing = len(values) - len(known)
    return told | ({"null": missing} if missing else {})


def _counted(values: list[Any]) -> dict[str, int]:
    def word(value: Any) -> str:
        return "null" if value is None else value.isoformat() if isinstance(value, datetime) else str(value)

    return dict(Counter(map(word, values)))


@call("listModelMonitors", "GET")
def list_monitors(backend: Backend, sent: Sent) -> list[Item]:
    """Monitors of a project."""
    project = sent.need("projectId")
    return [one for one in backend.shelf.every("modelMonitor") if one["projectId"] == project]


@call("deleteModelMonitor", "DELETE")
def delete(backend: Backend, sent: Sent) -> None:
    """Forget a monitor and its runs."""
    key = backend.need("modelMonitor", sent.need("modelMonitorId"))["modelMonitorId"]
    for version in backend.shelf.every("modelMonitorVersion"):
        if version["modelMonitorId"] == key:
            backend.shelf.drop("modelMonitorVersion", version["modelMonitorVersion"])
    backend.shelf.drop("modelMonitor", key)


@call("listModelMonitorVersions", "GET")
def list_versions(backend: Backend, sent: Sent) -> list[Item]:
    """Runs of a monitor, newest first."""
    key = backend.need("modelMonitor", sent.need("modelMonitorId"))["modelMonitorId"]
    found = [one for one in backend.shelf.every("modelMonitorVersion") if one["modelMonitorId"] == key]
    return found[::-1][: int(sent.values.get("limit") or 100)]


@call("describeModelMonitorVersion", "GET")
def describe_version(backend: Backend, sent: Sent) -> Item:
    """A run; it moves on by one word: PENDING, MONITORING, then COMPLETE, or FAILED."""
    told = backend.need("modelMonitorVersion", sent.need("modelMonitorVersion"))
    if told["status"] in _NEXT:
        going = told | {"status": _NEXT[told["status"]]}
        if going["status"] == "COMPLETE":
            going["monitoringCompletedAt"] = now_text()
            if told.get("error"):
                going["status"] = "FAILED"
        if backend.faults.take("describeModelMonitorVersion", ("monitor_failed",)):
            going |= {"status": "FAILED", "error": "the monitor ran out of memory"}
        backend.shelf.put("modelMonitorVersion", told["modelMonitorVersion"], going)
    return told


@call("getDriftForFeature", "GET")
def drift_for_feature(backend: Backend, sent: Sent) -> Item:
    """Both distributions of one feature."""
    version = backend.need("modelMonitorVersion", sent.need("modelMonitorVersion"))
    if version["status"] != "COMPLETE":
        raise Refused(400, "NotReadyError", f"{version['modelMonitorVersion']} is {version['status']}")
    found: Item | None = backend.need("monitorDrift", version["modelMonitorVersion"]).get(sent.need("featureName"))
    if found is None:
        raise not_found("feature", sent.need("featureName"))
    if backend.faults.take("getDriftForFeature", ("strange_distribution",)):
        return found | {"trainingDistribution": [[0, 1], [2, 3]]}
    return found
