"""Out of InfluxDB 1.x and 2.x. InfluxDB 3 Core has no way to delete rows, and that is said.

Deleted rows are gone for every query at once. Their bytes leave the server's files when it compacts them, which is its
own business and cannot be seen from outside.
"""

from __future__ import annotations

import datetime as dt
import time
from dataclasses import dataclass

import numpy as np
from influxdb_client.rest import ApiException
from urllib3.exceptions import HTTPError

from storage.arrow_schema import integers
from storage.declaration import BUCKETS, MEASUREMENTS, Measurement, Tier, Type
from storage.erasure.due import make_due
from storage.erasure.entity import Entity
from storage.erasure.rows import mentioned
from storage.errors import NeedsHuman, StoreError
from storage.frame import build_frame
from storage.influx.client import answer_of, open_client
from storage.influx.connection import Connection, Dialect, raise_common_troubles
from storage.influx.influxql import conditions, identifier
from storage.influx.settings import InfluxSettings
from storage.influx.store import InfluxStore

_LAST_S = 9_223_372_036  # year 2262: InfluxDB keeps times in nanoseconds
_SLICE_S = 366 * 86_400
LONGEST_RETENTION_S = 36_525 * 86_400
"""As storage.retention_settings allows; no row is older."""


@dataclass(slots=True)
class InfluxErased:
    """``due`` are windows to be rolled up again, ``left`` rows that still answer; ``impossible`` says why nothing was
    deleted, None where it was.
    """

    deletions: int = 0
    redacted: int = 0
    due: int = 0
    left: int = 0
    impossible: str | None = None


def erase_from_influx(settings: InfluxSettings, entity: Entity, host: str) -> InfluxErased:
    """Delete ``entity`` in every bucket, take its name out of texts of other rows, and count what still answers.

    Raises:
        TryAgain: no answer; the same call again goes on.
        NeedsHuman: the server refuses, or the credentials may not delete.
    """
    connection, done = Connection(settings), InfluxErased()
    store = InfluxStore(settings)
    try:
        server = connection.server()
        if server.dialect is Dialect.V3:
            done.impossible = (
                f"InfluxDB {server.version} cannot delete rows: what it has of the entity stays until its retention "
                "ends. Drop the database, or wait"
            )
            return done
        for measurement, tier in [(m, tier) for m in MEASUREMENTS.values() for tier in m.buckets]:
            if not BUCKETS[measurement.buckets[tier]].in_influx or not entity.wants(measurement):
                continue
            for tags in _conditions_on(measurement, entity):
                if server.dialect is Dialect.V1:
                    _delete_1(connection, measurement, tier, tags, entity)
                else:
                    _delete_2(settings, measurement, tier, tags, entity)
                done.deletions += 1
                start, stop = _span(entity, tier)
                done.left += store.read(measurement, tier, start, stop, where=tags).num_rows
            if tier is Tier.RAW and not entity.has_tags(measurement):
                done.redacted += _redact(store, measurement, entity)
        done.due = make_due(store, entity, host)
    finally:
        store.close()
        connection.close()
    return done


def _conditions_on(measurement: Measurement, entity: Entity) -> list[dict[str, str]]:
    """Tag conditions that rows of the entity fit, each a deletion of its own."""
    found = [dict(entity.tags)] if entity.has_tags(measurement) else []
    if entity.word is not None:
        found += [{name: entity.word} for name in measurement.tag_names if {name: entity.word} not in found]
    return found


def _span(entity: Entity, tier: Tier) -> tuple[int, int]:
    start, stop = entity.span(tier)
    return start, min(stop, _LAST_S)


def _delete_1(
    connection: Connection, measurement: Measurement, tier: Tier, tags: dict[str, str], entity: Entity
) -> None:
    where = conditions(measurement, *_span(entity, tier), tags)
    statement = f"DELETE FROM {identifier(measurement.stored_name(tier))} WHERE {where}"  # noqa: S608  # both escaped
    bucket = measurement.buckets[tier]
    answer = connection.send("POST", "/query", params={"db": connection.settings.database(bucket), "q": statement})
    raise_common_troubles(connection.settings.url, answer)
    if answer.status != 200 or ('"error"' in answer.text and "not found" not in answer.text):
        raise StoreError(f"InfluxDB answered {answer.status} to a deletion in {bucket}: {answer.text[:200]}")


def _delete_2(
    settings: InfluxSettings, measurement: Measurement, tier: Tier, tags: dict[str, str], entity: Entity
) -> None:
    def quoted(text: str) -> str:
        return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'

    terms = [f"_measurement={quoted(measurement.stored_name(tier))}"]
    terms += [f"{name}={quoted(value)}" for name, value in tags.items()]
    start, stop = (dt.datetime.fromtimestamp(at, dt.UTC) for at in _span(entity, tier))
    bucket = settings.bucket(measurement.buckets[tier])
    client = open_client(settings)
    try:
        client.delete_api().delete(start, stop, " AND ".join(terms), bucket=bucket, org=settings.org)
    except ApiException as error:
        answer = answer_of(error, settings.url)
        if answer.status == 404:  # the bucket was never made: nothing is in it
            return
        raise_common_troubles(settings.url, answer)
        raise NeedsHuman(
            f"InfluxDB answered {answer.status} to a deletion in {bucket}: {answer.text[:200]}",
            remedy="Give the token the right to write to this bucket, which is the right to delete",
        ) from error
    except HTTPError as error:
        raise StoreError(f"no answer from InfluxDB at {settings.url}: {type(error).__name__}") from error
    finally:
        client.close()


def _redact(store: InfluxStore, measurement: Measurement, entity: Entity) -> int:
    """Write texts of rows that name the entity anew without the name; the number of rows."""
    texts = [field.name for field in measurement.fields if field.type is Type.STRING]
    if not texts or entity.word is None:
        return 0
    count, now = 0, int(time.time())
    start = max(entity.start, now - LONGEST_RETENTION_S)
    while start < min(entity.stop, now + 86_400):
        stop = min(start + _SLICE_S, entity.stop)
        rows = store.read(measurement, Tier.RAW, start, stop, columns=texts)
        hits = np.logical_or.reduce([mentioned(rows[name], entity) for name in texts])
        for row in rows.take(integers(np.flatnonzero(hits))).to_pylist():
            named = {name: row[name] for name in texts if row[name] is not None and entity.mentions(row[name])}
            slim = {name: [entity.without_name(text)] for name, text in named.items()}
            tags = {name: [row[name]] for name in measurement.tag_names}
            store.write([build_frame(measurement.name, [int(row["time"].timestamp())], {**tags, **slim})])
            count += 1
        start = stop
    return count
