"""InfluxDB 3: databases with a retention. Core has neither shards, nor mappings, nor tokens with less than all rights.

Facts: SHOW RETENTION POLICIES tells durations in Go's form (observed on 3 Core in 2026); an unknown database is made
by a write, without retention, so databases come first; POST of one that exists is 409 and changes nothing.
"""

from __future__ import annotations

import msgspec

from storage.errors import NeedsHuman, StoreError
from storage.influx.connection import Connection, Server, raise_common_troubles
from storage.influx.provisioning.plan import ChangeKeeping, CreateBucket, Step
from storage.influx.provisioning.server import Minted, duration_s, refused
from storage.influx.provisioning.state import Desired, Found, Keeping

_PATH = "/api/v3/configure/database"
MOST_IN_CORE = 5
NO_ACCESSES = (
    "InfluxDB 3 Core knows only tokens that may do everything: make one a holder by hand "
    "(influxdb3 create token --admin --name NAME), so that each can be taken back alone"
)


class Server3:
    """See :class:`storage.influx.provisioning.server.Provisionable`."""

    def __init__(self, connection: Connection, server: Server) -> None:
        self._connection = connection
        self._server = server

    def found(self, _desired: Desired, /) -> Found:
        """Every database counts against the limit of Core, but for those of the server itself."""
        asked = {"q": "SHOW RETENTION POLICIES", "format": "json"}
        answer = self._connection.send("GET", "/api/v3/query_influxql", params=asked)
        raise_common_troubles(self._connection.settings.url, answer)
        try:
            rows = msgspec.json.decode(answer.text, type=list[_Policy])
            keepings = {row.database: Keeping(duration_s(row.duration)) for row in rows}
        except (msgspec.DecodeError, ValueError) as error:
            raise StoreError(
                f"InfluxDB {self._server.version} answered SHOW RETENTION POLICIES with {answer.status}: "
                f"{answer.text[:300]}"
            ) from error
        buckets = {name: keeping for name, keeping in keepings.items() if not name.startswith("_")}
        most = MOST_IN_CORE if self._server.build == "Core" else None
        return Found(buckets, {}, True, {}, no_accesses=NO_ACCESSES, most_buckets=most)

    def take(self, step: Step) -> Minted | None:
        """Databases only."""
        if isinstance(step, CreateBucket):
            self._configure("POST", step.bucket, step.keeping)
        elif isinstance(step, ChangeKeeping):
            self._configure("PUT", step.bucket, step.after)
        return None

    def withdraw(self, minted: Minted) -> None:
        """There is nothing to take back."""

    def retire(self, minted: Minted) -> None:
        """There is nothing to end."""

    def _configure(self, method: str, database: str, keeping: Keeping) -> None:
        body = {"db": database, "retention_period": f"{keeping.retention_s // 3600}h"}
        answer = self._connection.send(method, _PATH, json=body)
        url = self._connection.settings.url
        raise_common_troubles(url, answer)
        if method == "PUT" and answer.status in (404, 405):
            raise NeedsHuman(
                f"InfluxDB {self._server.version} at {url} does not change the retention of {database} "
                f"({answer.status})",
                remedy="Core sets it when a database is made: back up, drop the database, provision again",
            )
        if not 200 <= answer.status < 300:
            raise refused(url, answer, "InfluxDB 3 Core takes five databases: LODELINE_INFLUX__DATABASES=five")


class _Policy(msgspec.Struct):
    database: str = msgspec.field(name="iox::database")
    duration: str
