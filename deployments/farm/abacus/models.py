"""Models: trained, trained again, their versions listed; a version moves on with every listing."""

from __future__ import annotations

from typing import Any

from deployments.farm.abacus.call import Backend, Sent, call, now_text
from deployments.farm.abacus.shelf import Item

_NEXT = {"PENDING": "TRAINING", "TRAINING": "COMPLETE"}


@call("trainModel", "POST")
def train(backend: Backend, sent: Sent) -> Item:
    """A model, and its first version."""
    backend.need("project", sent.need("projectId"))
    key = backend.shelf.fresh_id("model")
    made: Item = {
        "modelId": key, "name": sent.values.get("name"), "projectId": sent.need("projectId"),
        "trainingFeatureGroupIds": sent.values.get("featureGroupIds"), "createdAt": now_text(),
    }  # fmt: skip
    backend.shelf.put("model", key, made)
    return made | {"latestModelVersion": _version(backend, key, [])}


@call("retrainModel", "POST")
def retrain(backend: Backend, sent: Sent) -> Item:
    """One more version of a model."""
    model = backend.need("model", sent.need("modelId"))
    return model | {"latestModelVersion": _version(backend, model["modelId"], sent.values.get("deploymentIds") or [])}


def _version(backend: Backend, model: str, deployments: list[Any]) -> Item:
    key = backend.shelf.fresh_id("modelVersion")
    made: Item = {
        "modelVersion": key, "modelId": model, "status": "PENDING", "trainingStartedAt": now_text(),
        "pendingDeploymentIds": deployments,
    }  # fmt: skip
    backend.shelf.put("modelVersion", key, made)
    return made


@call("listModelVersions", "GET")
def list_versions(backend: Backend, sent: Sent) -> list[Item]:
    """Versions of a model, newest first."""
    model = backend.need("model", sent.need("modelId"))["modelId"]
    found = [one for one in backend.shelf.every("modelVersion") if one["modelId"] == model]
    for one in found:
        if one["status"] in _NEXT:
            backend.shelf.put("modelVersion", one["modelVersion"], one | {"status": _NEXT[one["status"]]})
    return found[::-1][: int(sent.values.get("limit") or 100)]
