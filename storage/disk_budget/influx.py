"""Bytes of each bucket, where an InfluxDB tells them: 1.x in its statistics, 2.x in its metrics, 3.x nowhere."""

from __future__ import annotations

import re
from collections import defaultdict
from urllib.parse import urlsplit

import msgspec

from storage.errors import LodelineError, StoreError
from storage.influx.connection import Connection, Dialect, raise_common_troubles, read_answer
from storage.influx.settings import InfluxSettings
from storage.loopback import is_loopback

_SHARD = re.compile(r'storage_shard_disk_size\{[^}]*bucket="([^"]+)"[^}]*\}\s+(\S+)')


def bytes_in_influx(settings: InfluxSettings) -> tuple[dict[str, int], str | None]:
    """Bytes by bucket or database, the server's own left out; and the reason where it does not tell."""
    connection = Connection(settings)
    try:
        server = connection.server()
        if server.dialect is Dialect.V1:
            return _without_own(_of_1(connection)), None
        if server.dialect is Dialect.V2:
            return _without_own(_of_2(connection)), None
        return {}, f"InfluxDB {server.version} does not tell bytes by database"
    except LodelineError as error:
        return {}, str(error)
    finally:
        connection.close()


def _without_own(sizes: dict[str, int]) -> dict[str, int]:
    return {name: size for name, size in sizes.items() if not name.startswith("_")}


def is_here(settings: InfluxSettings) -> bool:
    """Whether that InfluxDB runs on this host."""
    return is_loopback(urlsplit(settings.url).hostname or "")


class _Series(msgspec.Struct):
    columns: list[str]
    tags: dict[str, str] = {}
    values: list[list[float | str | bool | None]] = []


class _Result(msgspec.Struct):
    series: list[_Series] = []
    error: str | None = None


class _Answer(msgspec.Struct):
    results: list[_Result] = []
    error: str | None = None


def _of_1(connection: Connection) -> dict[str, int]:
    sizes: dict[str, int] = defaultdict(int)
    with connection.stream("GET", "/query", params={"q": "SHOW STATS FOR 'shard'"}) as response:
        if response.status_code != 200:
            raise_common_troubles(connection.settings.url, read_answer(response, connection.settings.timeout_s))
        body = response.read()
    try:
        decoded = msgspec.json.decode(body, type=_Answer)
    except msgspec.DecodeError as error:
        raise StoreError(f"InfluxDB answered SHOW STATS with {body[:200]!r}") from error
    for result in decoded.results:
        if result.error:
            raise StoreError(f"InfluxDB refused SHOW STATS: {result.error}")
        for series in result.series:
            if "diskBytes" in series.columns:
                place = series.columns.index("diskBytes")
                sizes[series.tags.get("database", "")] += sum(int(row[place] or 0) for row in series.values)
    return dict(sizes)


def _of_2(connection: Connection) -> dict[str, int]:
    sizes: dict[str, int] = defaultdict(int)
    answer = connection.send("GET", "/api/v2/buckets", params={"limit": "100"})
    raise_common_troubles(connection.settings.url, answer)
    try:
        names = {bucket.id: bucket.name for bucket in msgspec.json.decode(answer.text, type=_Buckets).buckets}
    except msgspec.DecodeError as error:
        raise StoreError(f"InfluxDB answered a list of buckets with {answer.text[:200]!r}") from error
    with connection.stream("GET", "/metrics") as response:
        if response.status_code != 200:
            raise StoreError(f"InfluxDB answered /metrics with {response.status_code}")
        for line in response.iter_lines():
            shard = _SHARD.match(line)
            if shard and shard.group(1) in names:
                sizes[names[shard.group(1)]] += int(float(shard.group(2)))
    return dict(sizes)


class _Bucket(msgspec.Struct):
    id: str
    name: str


class _Buckets(msgspec.Struct):
    buckets: list[_Bucket] = []
