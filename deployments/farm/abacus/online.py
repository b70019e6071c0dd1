"""Feature groups that are written row by row: made with a primary key, appended to, upserted, read.

An append of a key that is there makes a second row here, for the package promises nothing else; an upsert does not.
"""

from __future__ import annotations

import json
from typing import Any

from deployments.farm.abacus.call import Backend, Refused, Sent, call, not_found, now_text
from deployments.farm.abacus.datasets import claim_table_name
from deployments.farm.abacus.shelf import Item


@call("createOnlineFeatureGroup", "POST")
def create_online(backend: Backend, sent: Sent) -> Item:
    """A group whose rows are written one by one."""
    table, primary = sent.need("tableName"), sent.need("primaryKey")
    claim_table_name(backend, table)
    key = backend.shelf.fresh_id("featureGroup")
    made: Item = {
        "featureGroupId": key, "tableName": table, "name": table, "featureGroupSourceType": "ONLINE", "tags": [],
        "description": sent.values.get("description"), "primaryKey": primary, "updateTimestampKey": None,
        "lookupKeys": [], "featureTags": {}, "features": [], "streamingEnabled": True, "streamingReady": True,
        "createdAt": now_text(),
    }  # fmt: skip
    backend.shelf.put("featureGroup", key, made)
    backend.shelf.put("online", key, {"rows": []})
    return made


@call("createStreamingToken", "POST")
def create_token(backend: Backend, _sent: Sent) -> Item:
    """A token to write with."""
    token = backend.shelf.fresh_id("streamingToken")
    backend.shelf.put("token", token, {})
    return {"streamingToken": token, "createdAt": now_text()}


@call("appendMultipleData", "POST")
def append(backend: Backend, sent: Sent) -> Item:
    """Add rows: all of them, or none where one is not taken."""
    group, rows = _written(backend, sent), sent.need("data")
    for row in rows:
        _require_taken(backend, group, row)
    kept = backend.need("online", group["featureGroupId"])["rows"]
    backend.shelf.put("online", group["featureGroupId"], {"rows": kept + rows})
    return {}


@call("upsertData", "POST", proxied=True)
def upsert(backend: Backend, sent: Sent) -> Item:
    """Put one row in, over that of its key."""
    group, row = _written(backend, sent), json.loads(sent.need("data"))
    _require_taken(backend, group, row)
    primary = group["primaryKey"]
    kept = backend.need("online", group["featureGroupId"])["rows"]
    places = [at for at, other in enumerate(kept) if other[primary] == row[primary]]
    if places:
        kept[places[0]] = kept[places[0]] | row
    else:
        kept.append(row)
    backend.shelf.put("online", group["featureGroupId"], {"rows": kept})
    return {"featureGroupId": group["featureGroupId"], "primaryKey": row[primary], "contents": row}


@call("getData", "GET", proxied=True)
def get_data(backend: Backend, sent: Sent) -> list[Item]:
    """The row of a key, or the newest so many."""
    group = backend.need("featureGroup", sent.need("featureGroupId"))
    rows, primary = rows_online(backend, group), group["primaryKey"]
    if sent.values.get("primaryKey") is not None:
        rows = [row for row in rows if row[primary] == sent.values["primaryKey"]]
    if sent.values.get("numRows") is not None:
        rows = rows[::-1][: int(sent.values["numRows"])]
    return [{"featureGroupId": group["featureGroupId"], "primaryKey": row[primary], "contents": row} for row in rows]


@call("deleteData", "DELETE")
def delete_data(backend: Backend, sent: Sent) -> None:
    """Delete the row of a key."""
    group, key = backend.need("featureGroup", sent.need("featureGroupId")), sent.need("primaryKey")
    rows = rows_online(backend, group)
    kept = [row for row in rows if row[group["primaryKey"]] != key]
    if len(kept) == len(rows):
        raise not_found("row", key)
    backend.shelf.put("online", group["featureGroupId"], {"rows": kept})


def rows_online(backend: Backend, group: Item) -> list[dict[str, Any]]:
    """All rows of a group."""
    return list(backend.need("online", group["featureGroupId"])["rows"])


def _written(backend: Backend, sent: Sent) -> Item:
    backend.need("token", sent.need("streamingToken"))
    group = backend.need("featureGroup", sent.need("featureGroupId"))
    if group["featureGroupSourceType"] != "ONLINE":
        raise Refused(400, "InvalidRequest", f"{group['tableName']} is not written row by row")
    return group


def _require_taken(backend: Backend, group: Item, row: Item) -> None:
    if row.get(group["primaryKey"]) is None:
        raise Refused(400, "InvalidRequest", f"a row lacks {group['primaryKey']}")
    reason = backend.rejects(row)
    if reason is not None:
        raise Refused(400, "InvalidRequest", reason)
