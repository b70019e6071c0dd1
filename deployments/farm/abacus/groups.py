"""Projects and feature groups: schema, keys, tags, versions, and groups merged over the versions of a dataset."""

from __future__ import annotations

import re
from typing import Any

import duckdb
import pyarrow as pa

from deployments.farm.abacus.call import Backend, Refused, Sent, call, not_found, now_text
from deployments.farm.abacus.datasets import claim_table_name, rows_of_dataset
from deployments.farm.abacus.online import rows_online
from deployments.farm.abacus.shelf import Item

DATA_TYPES = (
    "INTEGER", "FLOAT", "STRING", "DATE", "DATETIME", "BOOLEAN", "LIST", "STRUCT", "NULL", "BINARY",
)  # fmt: skip


@call("listProjects", "GET")
def list_projects(backend: Backend, _sent: Sent) -> list[Item]:
    """All projects."""
    return backend.shelf.every("project")


@call("createProject", "POST")
def create_project(backend: Backend, sent: Sent) -> Item:
    """A project."""
    key = backend.shelf.fresh_id("project")
    made = {"projectId": key, "name": sent.need("name"), "useCase": sent.need("useCase"), "createdAt": now_text()}
    backend.shelf.put("project", key, made)
    return made


@call("describeFeatureGroupByTableName", "GET")
def describe_by_table_name(backend: Backend, sent: Sent) -> Item:
    """The feature group of that table."""
    return group_of_table(backend, sent.need("tableName"))


def group_of_table(backend: Backend, table: str) -> Item:
    """The feature group of that table."""
    for group in backend.shelf.every("featureGroup"):
        if group["tableName"] == table:
            return _resolved(backend, group)
    raise not_found("feature group", table)


@call("describeFeatureGroup", "GET")
def describe(backend: Backend, sent: Sent) -> Item:
    """A feature group."""
    return _resolved(backend, _group(backend, sent))


@call("createMergeFeatureGroup", "POST")
def create_merge(backend: Backend, sent: Sent) -> Item:
    """A group that is the union of versions of a dataset's group."""
    source, config = backend.need("featureGroup", sent.need("sourceFeatureGroupId")), sent.need("mergeConfig")
    if source["featureGroupSourceType"] != "DATASET" or config.get("mergeMode") != "LAST_N":
        raise Refused(400, "InvalidRequest", "only versions of a dataset are merged here, by LAST_N")
    table = sent.need("tableName")
    claim_table_name(backend, table)
    key = backend.shelf.fresh_id("featureGroup")
    made: Item = {
        "featureGroupId": key, "tableName": table, "name": table, "featureGroupSourceType": "MERGE", "tags": [],
        "sourceFeatureGroupId": source["featureGroupId"], "mergeConfig": config, "featureTags": {}, "features": [],
        "description": sent.values.get("description"), "primaryKey": None, "updateTimestampKey": None,
        "lookupKeys": [], "createdAt": now_text(),
    }  # fmt: skip
    backend.shelf.put("featureGroup", key, made)
    return made


@call("createFeatureGroup", "POST")
def create_by_sql(backend: Backend, sent: Sent) -> Item:
    """A group that is a statement over others."""
    table, sql = sent.need("tableName"), sent.need("sql")
    claim_table_name(backend, table)
    source = _source_of(backend, sql)
    key = backend.shelf.fresh_id("featureGroup")
    made: Item = {
        "featureGroupId": key, "tableName": table, "name": table, "featureGroupSourceType": "SQL", "tags": [],
        "sql": sql, "sourceTables": [source["tableName"]], "featureTags": {}, "features": [],
        "description": sent.values.get("description"), "primaryKey": None, "updateTimestampKey": None,
        "lookupKeys": [], "createdAt": now_text(),
    }  # fmt: skip
    backend.shelf.put("featureGroup", key, made)
    return made


@call("updateFeatureGroupSqlDefinition", "PATCH")
def update_sql(backend: Backend, sent: Sent) -> Item:
    """Another statement."""
    group, sql = _group(backend, sent), sent.need("sql")
    if group["featureGroupSourceType"] != "SQL":
        raise Refused(400, "InvalidRequest", f"{group['tableName']} is no SQL feature group")
    return _kept(backend, group | {"sql": sql, "sourceTables": [_source_of(backend, sql)["tableName"]]})


def _source_of(backend: Backend, sql: str) -> Item:
    """The one group that a statement reads."""
    found = re.findall(r"\bFROM\s+([A-Za-z][A-Za-z0-9_]*)", sql, re.IGNORECASE)
    if len(found) != 1:
        raise Refused(400, "InvalidSQLError", "only statements over one table are run here")
    return group_of_table(backend, found[0])


def _selected(backend: Backend, group: Item) -> list[dict[str, Any]]:
    """Rows of a statement, by DuckDB in UTC."""
    source = _source_of(backend, group["sql"])
    rows = rows_of_group(backend, source)
    if not rows:
        return []
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register(source["tableName"], pa.Table.from_pylist(rows))
        try:
            return list(connection.sql(group["sql"]).to_arrow_table().to_pylist())
        except duckdb.Error as error:
            raise Refused(400, "InvalidSQLError", str(error)) from error


@call("updateFeatureGroup", "PATCH")
def update(backend: Backend, sent: Sent) -> Item:
    """Set the description."""
    return _kept(backend, _group(backend, sent) | {"description": sent.values.get("description")})


@call("setFeatureGroupIndexingConfig", "POST")
def set_indexing(backend: Backend, sent: Sent) -> None:
    """Set the keys; they have to be features."""
    group = _resolved(backend, _group(backend, sent))
    primary, updated = sent.values.get("primaryKey"), sent.values.get("updateTimestampKey")
    lookup = sent.values.get("lookupKeys") or []
    _require_features(group, [*([primary] if primary else []), *([updated] if updated else []), *lookup])
    _kept(backend, group | {"primaryKey": primary, "updateTimestampKey": updated, "lookupKeys": lookup})


@call("getFeatureGroupSchema", "GET")
def schema(backend: Backend, sent: Sent) -> list[Item]:
    """The features."""
    return list(_resolved(backend, _group(backend, sent))["features"])


@call("setFeatureGroupSchema", "POST")
def set_schema(backend: Backend, sent: Sent) -> None:
    """Set the types of features."""
    group, wanted = _resolved(backend, _group(backend, sent)), sent.need("schema")
    _require_features(group, [feature["name"] for feature in wanted])
    unknown = [feature["dataType"] for feature in wanted if feature["dataType"] not in DATA_TYPES]
    if unknown:
        raise Refused(400, "InvalidEnumParameterError", f"{unknown[0]} is no data type")
    types = {feature["name"]: feature["dataType"] for feature in wanted}
    features = [
        feature | {"dataType": types.get(feature["name"], feature["dataType"])} for feature in group["features"]
    ]
    _kept(backend, group | {"features": features})


@call("addFeatureGroupTag", "POST")
def add_tag(backend: Backend, sent: Sent) -> None:
    """Tag a group."""
    group, tag = _group(backend, sent), sent.need("tag")
    _kept(backend, group | {"tags": [*(other for other in group["tags"] if other != tag), tag]})


@call("removeFeatureGroupTag", "DELETE")
def remove_tag(backend: Backend, sent: Sent) -> None:
    """Take a tag off a group."""
    group, tag = _group(backend, sent), sent.need("tag")
    if tag not in group["tags"]:
        raise not_found("tag", tag)
    _kept(backend, group | {"tags": [other for other in group["tags"] if other != tag]})


@call("addFeatureTag", "POST")
def add_feature_tag(backend: Backend, sent: Sent) -> None:
    """Tag a feature."""
    group, feature, tag = _resolved(backend, _group(backend, sent)), sent.need("feature"), sent.need("tag")
    _require_features(group, [feature])
    tags = dict(group["featureTags"])
    tags[feature] = [*(other for other in tags.get(feature, []) if other != tag), tag]
    _kept(backend, group | {"featureTags": tags})


@call("removeFeatureTag", "DELETE")
def remove_feature_tag(backend: Backend, sent: Sent) -> None:
    """Take a tag off a feature."""
    group, feature, tag = _group(backend, sent), sent.need("feature"), sent.need("tag")
    if tag not in group["featureTags"].get(feature, []):
        raise not_found("tag", tag)
    rest = [other for other in group["featureTags"][feature] if other != tag]
    _kept(backend, group | {"featureTags": group["featureTags"] | {feature: rest}})


@call("addFeatureGroupToProject", "POST")
def add_to_project(backend: Backend, sent: Sent) -> None:
    """Attach a group to a project."""
    group, project = _group(backend, sent), backend.need("project", sent.need("projectId"))
    attached = project.get("featureGroupIds", [])
    if group["featureGroupId"] in attached:
        raise Refused(409, "AlreadyExistsError", "the feature group is in that project already")
    project["featureGroupIds"] = [*attached, group["featureGroupId"]]
    backend.shelf.put("project", project["projectId"], project)


@call("listProjectFeatureGroups", "GET")
def list_project_groups(backend: Backend, sent: Sent) -> list[Item]:
    """Groups that are attached to a project."""
    project = backend.need("project", sent.need("projectId"))
    return [_resolved(backend, backend.need("featureGroup", key)) for key in project.get("featureGroupIds", [])]


@call("createFeatureGroupVersion", "POST")
def create_version(backend: Backend, sent: Sent) -> Item:
    """Materialise a group."""
    group = _resolved(backend, _group(backend, sent))
    if not group["features"]:
        raise Refused(400, "NotReadyError", f"{group['tableName']} has no data yet")
    key = backend.shelf.fresh_id("featureGroupVersion")
    made: Item = {
        "featureGroupVersion": key, "featureGroupId": group["featureGroupId"], "status": "PENDING",
        "createdAt": now_text(), "rows": len(rows_of_group(backend, group)),
    }  # fmt: skip
    backend.shelf.put("featureGroupVersion", key, made)
    return made


@call("describeFeatureGroupVersion", "GET")
def describe_version(backend: Backend, sent: Sent) -> Item:
    """A version; its making moves on by one word."""
    version = backend.need("featureGroupVersion", sent.need("featureGroupVersion"))
    moved = {"PENDING": "GENERATING", "GENERATING": "COMPLETE"}.get(version["status"], version["status"])
    backend.shelf.put("featureGroupVersion", version["featureGroupVersion"], version | {"status": moved})
    return version


@call("listFeatureGroupVersions", "GET")
def list_versions(backend: Backend, sent: Sent) -> list[Item]:
    """Versions of a group, newest first."""
    key = _group(backend, sent)["featureGroupId"]
    found = [made for made in backend.shelf.every("featureGroupVersion") if made["featureGroupId"] == key]
    return found[::-1][: int(sent.values.get("limit", 100))]


def rows_of_group(backend: Backend, group: Item) -> list[dict[str, Any]]:
    """Rows of a group; of one that is merged and has a primary key the newest row of each key."""
    if group["featureGroupSourceType"] == "ONLINE":
        return rows_online(backend, group)
    if group["featureGroupSourceType"] == "SQL":
        return _selected(backend, group)
    if group["featureGroupSourceType"] == "DATASET":
        return rows_of_dataset(backend, group["datasetId"])
    source = backend.need("featureGroup", group["sourceFeatureGroupId"])
    rows = rows_of_dataset(backend, source["datasetId"])
    key, updated = group["primaryKey"], group["updateTimestampKey"]
    if key is None:
        return rows
    newest: dict[Any, dict[str, Any]] = {}
    for row in rows:
        before = newest.get(row[key])
        if before is None or updated is None or row[updated] >= before[updated]:
            newest[row[key]] = row
    return list(newest.values())


def _group(backend: Backend, sent: Sent) -> Item:
    return backend.need("featureGroup", sent.need("featureGroupId"))


def _resolved(backend: Backend, group: Item) -> Item:
    """A merged group, and one by SQL, has the features of its source, once that has any."""
    if group["featureGroupSourceType"] == "SQL":
        return group | {"features": group_of_table(backend, group["sourceTables"][0])["features"]}
    if group["featureGroupSourceType"] == "MERGE" and not group["features"]:
        return group | {"features": backend.need("featureGroup", group["sourceFeatureGroupId"])["features"]}
    return group


def _kept(backend: Backend, group: Item) -> Item:
    backend.shelf.put("featureGroup", group["featureGroupId"], group)
    return group


def _require_features(group: Item, names: list[str]) -> None:
    there = {feature["name"] for feature in group["features"]}
    for name in names:
        if name not in there:
            raise not_found(f"feature of {group['tableName']}", name)
