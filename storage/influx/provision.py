"""Makes the databases (1.x, 3.x) or buckets (2.x) of the declaration with their retention; to be run at any time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from storage.declaration import BUCKETS
from storage.errors import NeedsHuman, StoreError, TryAgain
from storage.influx.connection import Answer, Connection, Dialect, raise_common_troubles
from storage.influx.influxql import identifier
from storage.influx.settings import InfluxSettings

POLICY = "autogen"
"""Retention policy of a database on 1.x; the name that 2.x and 3.x show for a bucket."""

DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Wanted:
    """One bucket as it shall be. ``shard_days`` is never above ``retention_days``; 3.x has no shards."""

    name: str
    retention_days: int
    shard_days: int


@dataclass(frozen=True, slots=True)
class Provisioned:
    """What was done about one bucket. ``retention_days`` is what it shall have, not what a kept one has."""

    bucket: str
    done: Literal["created", "changed", "kept"]
    retention_days: int


def provision(
    settings: InfluxSettings, retention_days: Mapping[str, int] | None = None, *, only_missing: bool = False
) -> list[Provisioned]:
    """Create what is missing and correct retention where it differs; nothing is ever deleted by name.

    ``retention_days`` overrides the declared days by bucket. A shorter retention lets the server delete older data;
    with ``only_missing`` what exists is kept as it is.

    Raises:
        ValueError: ``retention_days`` names an unknown bucket or less than a day.
        TryAgain: no answer, or the server is busy.
        NeedsHuman: it refused; it says why.
    """
    wanted = wanted_buckets(retention_days or {})
    connection = Connection(settings)
    try:
        dialect = connection.server().dialect
        if dialect is Dialect.V1:
            return _databases_of_1(connection, wanted, only_missing)
        if dialect is Dialect.V2:
            return _buckets_of_2(settings, wanted, only_missing)
        return [_database_of_3(connection, bucket, only_missing) for bucket in wanted]
    finally:
        connection.close()


def wanted_buckets(retention_days: Mapping[str, int]) -> list[Wanted]:
    """All declared buckets that InfluxDB has, with ``retention_days`` in place of the declared ones."""
    wrong = [f"{name}: {days}" for name, days in retention_days.items() if name not in BUCKETS or days < 1]
    if wrong:
        raise ValueError(f"retention_days: expected at least 1 day for one of {list(BUCKETS)}, got {', '.join(wrong)}")
    wanted = []
    for bucket in BUCKETS.values():
        if not bucket.in_influx:
            continue
        days = retention_days.get(bucket.name, bucket.retention_days)
        wanted.append(Wanted(bucket.name, days, min(bucket.shard_days, days)))
    return wanted


class _Series(msgspec.Struct):
    values: list[list[str]] = []


class _Result(msgspec.Struct):
    series: list[_Series] = []
    error: str | None = None


class _Statement(msgspec.Struct):
    results: list[_Result] = []
    error: str | None = None


def _databases_of_1(connection: Connection, wanted: list[Wanted], only_missing: bool) -> list[Provisioned]:
    listed = _run(connection, "SHOW DATABASES")
    existing = {row[0] for result in listed.results for series in result.series for row in series.values}
    return [
        Provisioned(bucket.name, "kept", bucket.retention_days)
        if only_missing and bucket.name in existing
        else _database_of_1(connection, bucket, bucket.name in existing)
        for bucket in wanted
    ]


def _database_of_1(connection: Connection, bucket: Wanted, exists: bool) -> Provisioned:
    days = f"DURATION {bucket.retention_days}d"
    shard = f"SHARD DURATION {bucket.shard_days}d"
    name = identifier(bucket.name)
    create = f"CREATE DATABASE {name} WITH {days} REPLICATION 1 {shard} NAME {identifier(POLICY)}"
    try:
        _run(connection, create)
    except _StatementFailed as failure:
        if "conflicts" not in failure.said:
            raise
        _run(connection, f"ALTER RETENTION POLICY {identifier(POLICY)} ON {name} {days} {shard} DEFAULT")
        return Provisioned(bucket.name, "changed", bucket.retention_days)
    return Provisioned(bucket.name, "kept" if exists else "created", bucket.retention_days)


class _StatementFailed(NeedsHuman):
    """InfluxDB 1.x refused a statement; ``said`` are its words."""

    def __init__(self, statement: str, said: str) -> None:
        super().__init__(
            f"InfluxDB refused {statement}: {said}", remedy="Grant the user admin rights, or run it by hand"
        )
        self.said = said


def _run(connection: Connection, statement: str) -> _Statement:
    """One statement that may change something: POST, or 1.x warns."""
    answer = connection.send("POST", "/query", params={"q": statement})
    raise_common_troubles(connection.settings.url, answer)
    try:
        decoded = msgspec.json.decode(answer.text, type=_Statement)
    except msgspec.DecodeError as error:
        raise StoreError(f"InfluxDB answered {statement} with {answer.status}: {answer.text[:300]}") from error
    said = decoded.error or next((result.error for result in decoded.results if result.error), None)
    if said is not None:
        raise _StatementFailed(statement, said)
    if answer.status != 200:
        raise StoreError(f"InfluxDB answered {statement} with {answer.status}: {answer.text[:300]}")
    return decoded


def _buckets_of_2(settings: InfluxSettings, wanted: list[Wanted], only_missing: bool) -> list[Provisioned]:
    from storage.influx.client import open_client

    with open_client(settings) as client, _client_errors(settings.url):
        api = client.buckets_api()
        return [_bucket_of_2(api, settings, bucket, only_missing) for bucket in wanted]


def _bucket_of_2(api: Any, settings: InfluxSettings, bucket: Wanted, only_missing: bool) -> Provisioned:
    """Find first, with the organisation: the client's own look-up by name leaves it out."""
    from storage.influx.client import expire_rule

    rule = expire_rule(bucket.retention_days * DAY_S, bucket.shard_days * DAY_S)
    found = [one for one in api.find_buckets(name=bucket.name, org=settings.org).buckets if one.name == bucket.name]
    if not found:
        api.create_bucket(bucket_name=bucket.name, org=settings.org, retention_rules=rule)
        return Provisioned(bucket.name, "created", bucket.retention_days)
    present = [(one.every_seconds, one.shard_group_duration_seconds) for one in found[0].retention_rules or ()]
    if only_missing or present == [(rule.every_seconds, rule.shard_group_duration_seconds)]:
        return Provisioned(bucket.name, "kept", bucket.retention_days)
    found[0].retention_rules = [rule]
    api.update_bucket(found[0])
    return Provisioned(bucket.name, "changed", bucket.retention_days)


@contextmanager
def _client_errors(url: str) -> Iterator[None]:
    from influxdb_client.client.exceptions import InfluxDBError
    from influxdb_client.rest import ApiException
    from urllib3.exceptions import HTTPError

    from storage.influx.client import answer_of

    try:
        yield
    except ApiException as error:
        answer = answer_of(error, url)
        raise_common_troubles(url, answer)
        raise _refused(url, answer) from error
    except InfluxDBError as error:  # found by the client itself: no such organisation, or not for this token
        raise NeedsHuman(str(error), remedy="Correct org, or take a token that may see it") from error
    except HTTPError as error:
        raise TryAgain(f"no answer from InfluxDB at {url}: {type(error).__name__}") from error


def _database_of_3(connection: Connection, bucket: Wanted, only_missing: bool) -> Provisioned:
    """3.x tells no retention of what exists, so it is set again."""
    path, url = "/api/v3/configure/database", connection.settings.url
    body = {"db": bucket.name, "retention_period": f"{bucket.retention_days}d"}
    answer = connection.send("POST", path, json=body)
    done: Literal["created", "changed"] = "created"
    if answer.status == 409 and only_missing:
        return Provisioned(bucket.name, "kept", bucket.retention_days)
    if answer.status == 409:
        answer, done = connection.send("PUT", path, json=body), "changed"
    raise_common_troubles(url, answer)
    if not 200 <= answer.status < 300:
        raise _refused(url, answer)
    return Provisioned(bucket.name, done, bucket.retention_days)


def _refused(url: str, answer: Answer) -> NeedsHuman:
    return NeedsHuman(
        f"InfluxDB at {url} refused to provision ({answer.status}): {answer.text[:500]}",
        remedy="Correct org and token; InfluxDB 3 Core takes five databases at most",
    )
