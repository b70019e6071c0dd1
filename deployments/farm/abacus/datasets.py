"""Datasets: uploads in parts, joined and imported as versions."""

from __future__ import annotations

import hashlib
import io
import json
import re
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet

from deployments.farm.abacus.call import Backend, Refused, Sent, call, not_found, now_text
from deployments.farm.abacus.shelf import Item

LEAST_VERSIONS = 30
_TABLE = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,119}")
_NEXT = {"PENDING": "IMPORTING", "IMPORTING": "CONVERTING", "CONVERTING": "INSPECTING", "INSPECTING": "COMPLETE"}


def claim_table_name(backend: Backend, name: str) -> None:
    """Refuse a name that no table can have, or that one has."""
    if not _TABLE.fullmatch(name):
        raise Refused(400, "InvalidParameterError", f"{name!r} is no table name")
    if any(group["tableName"] == name for group in backend.shelf.every("featureGroup")):
        raise Refused(409, "AlreadyExistsError", f"A feature group with table name {name} already exists")


@call("createDatasetFromUpload", "POST")
def create_dataset_from_upload(backend: Backend, sent: Sent) -> Item:
    """A dataset, its feature group, and an upload for its first version."""
    table, limit = sent.need("tableName"), sent.values.get("versionLimit", LEAST_VERSIONS)
    if limit < LEAST_VERSIONS:
        raise Refused(400, "InvalidParameterError", f"versionLimit is at least {LEAST_VERSIONS}")
    claim_table_name(backend, table)
    dataset, group = backend.shelf.fresh_id("dataset"), backend.shelf.fresh_id("featureGroup")
    backend.shelf.put(
        "dataset",
        dataset,
        {
            "datasetId": dataset, "sourceType": "UPLOAD", "featureGroupTableName": table, "createdAt": now_text(),
            "versionLimit": limit,
        },
    )  # fmt: skip
    backend.shelf.put(
        "featureGroup",
        group,
        {
            "featureGroupId": group, "tableName": table, "name": table, "datasetId": dataset, "createdAt": now_text(),
            "featureGroupSourceType": "DATASET", "description": None, "tags": [], "featureTags": {}, "features": [],
            "primaryKey": None, "updateTimestampKey": None, "lookupKeys": [], "versionLimit": limit,
        },
    )  # fmt: skip
    return _open_upload(backend, dataset, sent.values.get("fileFormat"))


@call("createDatasetVersionFromUpload", "POST")
def create_dataset_version_from_upload(backend: Backend, sent: Sent) -> Item:
    """An upload for one more version."""
    dataset = backend.need("dataset", sent.need("datasetId"))
    return _open_upload(backend, dataset["datasetId"], sent.values.get("fileFormat"))


def _open_upload(backend: Backend, dataset: str, file_format: str | None) -> Item:
    if file_format not in ("PARQUET", "CSV", "JSON"):
        raise Refused(400, "InvalidParameterError", f"fileFormat {file_format} is none of PARQUET, CSV, JSON")
    upload, version = backend.shelf.fresh_id("upload"), backend.shelf.fresh_id("datasetVersion")
    backend.shelf.put(
        "datasetVersion",
        version,
        {
            "datasetVersion": version, "datasetId": dataset, "status": "PENDING", "createdAt": now_text(),
            "uploadId": upload, "fileFormat": file_format,
        },
    )  # fmt: skip
    made: Item = {
        "uploadId": upload, "datasetUploadId": upload, "status": "PENDING", "datasetId": dataset,
        "datasetVersion": version, "parts": [], "createdAt": now_text(), "marked": False,
    }  # fmt: skip
    backend.shelf.put("upload", upload, made)
    return made


@call("uploadPart", "POST", proxied=True)
def upload_part(backend: Backend, sent: Sent) -> Item:
    """Keep one part; a part that comes again takes the place of the one before."""
    upload, number = backend.need("upload", sent.need("uploadId")), int(sent.need("partNumber"))
    if upload["marked"]:
        raise Refused(409, "ConflictError", f"{upload['uploadId']} is complete and takes no more parts")
    if number < 1 or not sent.file:
        raise Refused(400, "InvalidParameterError", "a part has a number from 1 on, and content")
    content = sent.file
    if backend.faults.take("uploadPart", ("wrong_md5",), number):
        content = content[:-1] + bytes([content[-1] ^ 1])
    digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
    part = {"partNumber": number, "md5": digest, "etag": f'"{digest}"', "size": len(content)}
    others = [other for other in upload["parts"] if other["partNumber"] != number]
    upload["parts"] = sorted([*others, part], key=lambda one: int(one["partNumber"]))
    backend.shelf.put_file(f"{upload['uploadId']}/{number}", content)
    backend.shelf.put("upload", upload["uploadId"], upload)
    return {"etag": part["etag"], "md5": digest}


@call("markUploadComplete", "POST")
def mark_upload_complete(backend: Backend, sent: Sent) -> Item:
    """Have the parts joined."""
    upload = backend.need("upload", sent.need("uploadId"))
    if upload["marked"]:
        raise Refused(409, "ConflictError", f"{upload['uploadId']} is complete already")
    parts = upload["parts"]
    if not parts or [part["partNumber"] for part in parts] != list(range(1, len(parts) + 1)):
        raise Refused(400, "InvalidRequest", f"{upload['uploadId']} lacks parts")
    if any(part["size"] < backend.least_part_bytes for part in parts[:-1]):
        raise Refused(400, "InvalidRequest", f"a part but the last is less than {backend.least_part_bytes} bytes")
    upload["marked"] = True
    backend.shelf.put("upload", upload["uploadId"], upload)
    return upload


@call("describeUpload", "GET")
def describe_upload(backend: Backend, sent: Sent) -> Item:
    """The upload; once marked it is PENDING, then JOINING, then COMPLETE."""
    upload = backend.need("upload", sent.need("uploadId"))
    told = dict(upload)
    if upload["marked"] and upload["status"] in ("PENDING", "JOINING"):
        upload["status"] = "JOINING" if upload["status"] == "PENDING" else "COMPLETE"
        if backend.faults.take("describeUpload", ("join_failed",)):
            upload["status"] = "FAILED"
        if upload["status"] == "COMPLETE":
            names = (f"{upload['uploadId']}/{part['partNumber']}" for part in upload["parts"])
            backend.shelf.put_file(
                upload["datasetVersion"], b"".join(backend.shelf.file(name) or b"" for name in names)
            )
            backend.shelf.drop_files(f"{upload['uploadId']}/")
            version = backend.need("datasetVersion", upload["datasetVersion"])
            backend.shelf.put("datasetVersion", version["datasetVersion"], version | {"status": "IMPORTING"})
        backend.shelf.put("upload", upload["uploadId"], upload)
    return told


@call("listUploads", "GET")
def list_uploads(backend: Backend, _sent: Sent) -> list[Item]:
    """Uploads that are not complete."""
    return [upload for upload in backend.shelf.every("upload") if upload["status"] in ("PENDING", "JOINING")]


@call("cancelUpload", "DELETE")
def cancel_upload(backend: Backend, sent: Sent) -> None:
    """Forget an upload and its parts."""
    upload = backend.need("upload", sent.need("uploadId"))
    if upload["status"] == "COMPLETE":
        raise Refused(409, "ConflictError", f"{upload['uploadId']} is complete already")
    backend.shelf.drop("upload", upload["uploadId"])
    backend.shelf.drop("datasetVersion", upload["datasetVersion"])
    backend.shelf.drop_files(f"{upload['uploadId']}/")


@call("describeDataset", "GET")
def describe_dataset(backend: Backend, sent: Sent) -> Item:
    """A dataset."""
    return backend.need("dataset", sent.need("datasetId"))


@call("listDatasets", "GET")
def list_datasets(backend: Backend, _sent: Sent) -> list[Item]:
    """All datasets."""
    return backend.shelf.every("dataset")


@call("listDatasetVersions", "GET")
def list_dataset_versions(backend: Backend, sent: Sent) -> list[Item]:
    """Versions of a dataset, newest first."""
    dataset = backend.need("dataset", sent.need("datasetId"))["datasetId"]
    found = [version for version in backend.shelf.every("datasetVersion") if version["datasetId"] == dataset]
    return found[::-1][: int(sent.values.get("limit", 100))]


@call("describeDatasetVersion", "GET")
def describe_dataset_version(backend: Backend, sent: Sent) -> Item:
    """A version; its import moves on by one word."""
    version = backend.need("datasetVersion", sent.need("datasetVersion"))
    told = dict(version)
    if version["status"] in _NEXT and backend.shelf.file(version["datasetVersion"]) is not None:
        version["status"] = _NEXT[version["status"]]
        if version["status"] == "COMPLETE":
            _import(backend, version)
        backend.shelf.put("datasetVersion", version["datasetVersion"], version)
    return told


@call("deleteDatasetVersion", "DELETE")
def delete_dataset_version(backend: Backend, sent: Sent) -> None:
    """Forget a version and its rows."""
    version = backend.need("datasetVersion", sent.need("datasetVersion"))
    backend.shelf.drop("datasetVersion", version["datasetVersion"])
    backend.shelf.drop_files(version["datasetVersion"])


def _import(backend: Backend, version: Item) -> None:
    content = backend.shelf.file(version["datasetVersion"]) or b""
    try:
        if backend.faults.take("describeDatasetVersion", ("import_failed",)):
            raise pa.ArrowInvalid("the import failed on request")
        table = _read(content, version["fileFormat"])
    except pa.ArrowException as error:
        version |= {"status": "FAILED", "error": str(error)}
        return
    rows = table.to_pylist()
    reasons = [backend.rejects(row) for row in rows]
    table = table.filter(pa.array([reason is None for reason in reasons], pa.bool_()))
    if backend.faults.take("describeDatasetVersion", ("rows_short",)):
        table = table.slice(0, max(0, table.num_rows - 1))
    invalid = [{"row": at, "error": reason} for at, reason in enumerate(reasons) if reason is not None]
    version |= {"rowCount": table.num_rows, "size": len(content), "error": None}
    version["invalidRecords"] = json.dumps(invalid) if invalid else None
    sink = io.BytesIO()
    pa.parquet.write_table(table, sink)
    backend.shelf.put_file(f"{version['datasetVersion']}/rows", sink.getvalue())
    for group in backend.shelf.every("featureGroup"):
        if group.get("datasetId") == version["datasetId"] and not group["features"]:
            group["features"] = [
                {"name": name, "dataType": _data_type(kind), "featureType": None}
                for name, kind in zip(table.schema.names, table.schema.types, strict=True)
            ]
            backend.shelf.put("featureGroup", group["featureGroupId"], group)


def _read(content: bytes, file_format: str) -> pa.Table:
    if file_format == "PARQUET":
        return pa.parquet.read_table(io.BytesIO(content))
    if file_format == "CSV":
        return pa.csv.read_csv(io.BytesIO(content))
    return pa.json.read_json(io.BytesIO(content))


def _data_type(kind: pa.DataType) -> str:
    if pa.types.is_floating(kind):
        return "FLOAT"
    if pa.types.is_integer(kind):
        return "INTEGER"
    if pa.types.is_boolean(kind):
        return "BOOLEAN"
    return "DATETIME" if pa.types.is_timestamp(kind) else "STRING"


def rows_of_dataset(backend: Backend, dataset: str) -> list[dict[str, Any]]:
    """All rows of all versions, in the order in which they were made."""
    rows: list[dict[str, Any]] = []
    for version in backend.shelf.every("datasetVersion"):
        content = backend.shelf.file(f"{version['datasetVersion']}/rows")
        if version["datasetId"] == dataset and content is not None:
            rows += pa.parquet.read_table(io.BytesIO(content)).to_pylist()
    return rows


def dataset_of_table(backend: Backend, table: str) -> Item:
    """The dataset whose feature group has that table name."""
    for dataset in backend.shelf.every("dataset"):
        if dataset["featureGroupTableName"] == table:
            return dataset
    raise not_found("dataset", table)
