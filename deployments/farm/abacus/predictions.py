"""Deployments and batch predictions: jobs whose versions run, end, and are read in chunks as CSV."""

from __future__ import annotations

import csv
import io
from datetime import datetime
from typing import Any

from deployments.farm.abacus.call import Backend, Raw, Refused, Sent, call, now_text
from deployments.farm.abacus.groups import rows_of_group
from deployments.farm.abacus.shelf import Item

_NEXT = {"PENDING": "UPLOADING", "UPLOADING": "PREDICTING", "PREDICTING": "COMPLETE"}


@call("createDeployment", "POST")
def create_deployment(backend: Backend, sent: Sent) -> Item:
    """A deployment of a model or of a feature group."""
    if not (sent.values.get("modelId") or sent.values.get("featureGroupId")):
        raise Refused(400, "InvalidParameterError", "modelId or featureGroupId is needed")
    key = backend.shelf.fresh_id("deployment")
    made: Item = {
        "deploymentId": key, "name": sent.values.get("name"), "status": "ACTIVE", "modelId": sent.values.get("modelId"),
        "featureGroupId": sent.values.get("featureGroupId"), "projectId": sent.values.get("projectId"),
        "createdAt": now_text(),
    }  # fmt: skip
    backend.shelf.put("deployment", key, made)
    return made


@call("createDeploymentToken", "POST")
def create_deployment_token(backend: Backend, sent: Sent) -> Item:
    """A token to ask deployments of a project with."""
    key = backend.shelf.fresh_id("deploymentToken")
    made: Item = {"deploymentToken": key, "projectId": sent.need("projectId"), "createdAt": now_text()}
    backend.shelf.put("deploymentToken", key, made)
    return made


@call("listDeploymentTokens", "GET")
def list_deployment_tokens(backend: Backend, sent: Sent) -> list[Item]:
    """Tokens of a project."""
    return [one for one in backend.shelf.every("deploymentToken") if one["projectId"] == sent.need("projectId")]


def _asked(backend: Backend, sent: Sent) -> Item:
    backend.need("deploymentToken", sent.need("deploymentToken"))
    return backend.need("deployment", sent.need("deploymentId"))


@call("lookupFeatures", "POST", needs_key=False)
def lookup_features(backend: Backend, sent: Sent) -> list[Item]:
    """Rows of a deployed feature group that fit, the newest by its update timestamp first."""
    group = backend.need("featureGroup", _asked(backend, sent)["featureGroupId"])
    query, newest_by = sent.need("queryData"), group["updateTimestampKey"]
    rows = [row for row in rows_of_group(backend, group) if all(row.get(k) == v for k, v in query.items())]
    if newest_by is not None:
        rows.sort(key=lambda row: str(row[newest_by]), reverse=True)
    rows = rows[: sent.values.get("limitResults") or len(rows)]
    return [{name: _plain(value) for name, value in row.items()} for row in rows]


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


@call("predict", "POST", needs_key=False)
def predict(backend: Backend, sent: Sent) -> Item:
    """What a deployment predicts of the features that are sent along."""
    _asked(backend, sent)
    return backend.answers(sent.need("queryData"))


@call("createBatchPrediction", "POST")
def create_batch_prediction(backend: Backend, sent: Sent) -> Item:
    """A job for a deployment; its results are CSV."""
    deployment = backend.need("deployment", sent.need("deploymentId"))
    if sent.values.get("outputFormat") != "CSV":
        raise Refused(400, "InvalidParameterError", "only outputFormat CSV is made here")
    key = backend.shelf.fresh_id("batchPrediction")
    made: Item = {
        "batchPredictionId": key, "name": sent.need("name"), "deploymentId": deployment["deploymentId"],
        "projectId": deployment["projectId"], "fileOutputFormat": "CSV", "createdAt": now_text(),
    }  # fmt: skip
    backend.shelf.put("batchPrediction", key, made)
    return made


@call("listBatchPredictions", "GET")
def list_batch_predictions(backend: Backend, sent: Sent) -> list[Item]:
    """Jobs of a project."""
    project = sent.need("projectId")
    return [job for job in backend.shelf.every("batchPrediction") if job["projectId"] == project]


@call("startBatchPrediction", "POST")
def start_batch_prediction(backend: Backend, sent: Sent) -> Item:
    """One more version of a job. What it predicts is settled now, or once it can be."""
    job = backend.need("batchPrediction", sent.need("batchPredictionId"))
    key = backend.shelf.fresh_id("batchPredictionVersion")
    made: Item = {
        "batchPredictionVersion": key, "batchPredictionId": job["batchPredictionId"], "status": "PENDING",
        "deploymentId": job["deploymentId"], "modelVersion": f"version of {job['deploymentId']}",
        "predictionsStartedAt": now_text(), "totalPredictions": None, "fileOutputFormat": "CSV", "rows": None,
    }  # fmt: skip
    return _settled(backend, made)


def _settled(backend: Backend, version: Item) -> Item:
    """The version with its result, if its deployment can predict now."""
    rows = backend.predicts(version["deploymentId"])
    if rows is not None:
        text = io.StringIO()
        if rows:
            writer = csv.DictWriter(text, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        backend.shelf.put_file(version["batchPredictionVersion"], text.getvalue().encode())
        version = version | {"rows": len(rows)}
    backend.shelf.put("batchPredictionVersion", version["batchPredictionVersion"], version)
    return version


@call("describeBatchPredictionVersion", "GET")
def describe_version(backend: Backend, sent: Sent) -> Item:
    """The version: PENDING, UPLOADING, PREDICTING, then COMPLETE."""
    told = backend.need("batchPredictionVersion", sent.need("batchPredictionVersion"))
    if told["rows"] is None:
        told = _settled(backend, told)
    going = dict(told)
    if told["status"] in _NEXT and told["rows"] is not None:
        going["status"] = _NEXT[told["status"]]
        if going["status"] == "COMPLETE":
            going |= {"totalPredictions": told["rows"], "failedPredictions": 0, "predictionsCompletedAt": now_text()}
        if backend.faults.take("describeBatchPredictionVersion", ("prediction_failed",)):
            going |= {"status": "FAILED", "error": "the model could not be loaded"}
        backend.shelf.put("batchPredictionVersion", told["batchPredictionVersion"], going)
    return told


@call("listBatchPredictionVersions", "GET")
def list_versions(backend: Backend, sent: Sent) -> list[Item]:
    """Versions of a job, newest first."""
    job = backend.need("batchPrediction", sent.need("batchPredictionId"))["batchPredictionId"]
    found = [one for one in backend.shelf.every("batchPredictionVersion") if one["batchPredictionId"] == job]
    return found[::-1][: int(sent.values.get("limit") or 100)]


@call("downloadBatchPredictionResultChunk", "GET")
def download_chunk(backend: Backend, sent: Sent) -> Raw:
    """Bytes of the result from an offset on; none behind its end."""
    version = backend.need("batchPredictionVersion", sent.need("batchPredictionVersion"))
    if version["status"] != "COMPLETE":
        raise Refused(400, "InvalidRequest", f"{version['batchPredictionVersion']} is {version['status']}")
    content = backend.shelf.file(version["batchPredictionVersion"]) or b""
    offset, size = int(sent.values.get("offset") or 0), int(sent.values.get("chunkSize") or 10 << 20)
    return Raw(content[offset : offset + size])
