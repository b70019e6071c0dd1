"""InfluxDB 1.x: databases with one retention policy each, users with grants. All of it is InfluxQL."""

from __future__ import annotations

import secrets

import msgspec
from pydantic import SecretStr

from storage.errors import NeedsHuman, StoreError
from storage.influx.connection import Connection, raise_common_troubles, read_answer
from storage.influx.influxql import identifier, literal
from storage.influx.provisioning.plan import ChangeKeeping, ChangeRights, CreateBucket, GiveAccess, Step
from storage.influx.provisioning.server import Minted, duration_s, user_of
from storage.influx.provisioning.state import ACCESSES, Access, Desired, Found, Keeping

POLICY = "autogen"
"""Retention policy of a database that we make; the name that 2.x and 3.x show for a bucket."""

_RIGHTS = {(True, False): "READ", (False, True): "WRITE", (True, True): "ALL"}


class Server1:
    """See :class:`storage.influx.provisioning.server.Provisionable`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._policies: dict[str, str] = {}

    def found(self, desired: Desired, /) -> Found:
        """The default retention policy is what counts: nothing that we send names one."""
        present = [str(row[0]) for row in self._rows("SHOW DATABASES")]
        buckets = {}
        for name in present:
            if name in desired.buckets:
                for policy, duration, shard, _, default in self._rows(f"SHOW RETENTION POLICIES ON {identifier(name)}"):
                    if default:
                        self._policies[name] = str(policy)
                        buckets[name] = Keeping(duration_s(str(duration)), duration_s(str(shard)))
        if self._connection.settings.username is None:
            without = "InfluxDB is used without a user name, so it asks nobody for one: turn on its authentication"
            return Found(buckets, {}, True, {}, no_accesses=without)
        users = {str(row[0]) for row in self._rows("SHOW USERS")}
        accesses = {name: self._access(name) for name in ACCESSES if user_of(name) in users}
        return Found(buckets, {}, True, accesses, regrants=True)

    def _access(self, name: str) -> Access:
        grants = {str(db): str(right) for db, right in self._rows(f"SHOW GRANTS FOR {identifier(user_of(name))}")}
        reads = frozenset(db for db, right in grants.items() if right in ("READ", "ALL PRIVILEGES"))
        writes = frozenset(db for db, right in grants.items() if right in ("WRITE", "ALL PRIVILEGES"))
        return Access(name, reads, writes)

    def take(self, step: Step) -> Minted | None:
        """A user is made with its grants; a second one of the name gets another password and the same grants."""
        if isinstance(step, CreateBucket):
            kept = f"{_keeping(step.keeping)} NAME {identifier(POLICY)}"
            self._run(f"CREATE DATABASE {identifier(step.bucket)} WITH {kept}")
        elif isinstance(step, ChangeKeeping):
            policy = identifier(self._policies[step.bucket])
            self._run(f"ALTER RETENTION POLICY {policy} ON {identifier(step.bucket)} {_keeping(step.after)} DEFAULT")
        elif isinstance(step, ChangeRights):
            self._grant(step.access, step.before)
        elif isinstance(step, GiveAccess):
            return self._give(step)
        return None

    def _give(self, step: GiveAccess) -> Minted:
        user, password = user_of(step.access.name), secrets.token_urlsafe(32)
        if step.anew:
            statement = f"SET PASSWORD FOR {identifier(user)} = {literal(password)}"
            before = self._access(step.access.name)
        else:
            statement = f"CREATE USER {identifier(user)} WITH PASSWORD {literal(password)}"
            before = Access(step.access.name, frozenset(), frozenset())
        self._run(statement, told_as=statement.replace(literal(password), "..."))
        self._grant(step.access, before)
        return Minted(step.access.name, SecretStr(password), user)

    def _grant(self, wanted: Access, before: Access) -> None:
        user = identifier(user_of(wanted.name))
        for database in sorted((before.reads | before.writes) - (wanted.reads | wanted.writes)):
            self._run(f"REVOKE ALL ON {identifier(database)} FROM {user}")
        for database in sorted(wanted.reads | wanted.writes):
            right = _RIGHTS[database in wanted.reads, database in wanted.writes]
            self._run(f"GRANT {right} ON {identifier(database)} TO {user}")

    def withdraw(self, minted: Minted) -> None:
        """Nobody knows its password: the user goes, and is made again next time."""
        self._run(f"DROP USER {identifier(user_of(minted.access))}")

    def retire(self, minted: Minted) -> None:
        """The password before is gone already."""

    def _rows(self, statement: str) -> list[list[str | bool | int]]:
        found = self._run(statement)
        return [row for result in found.results for series in result.series for row in series.values]

    def _run(self, statement: str, *, told_as: str | None = None) -> _Statement:
        """One statement, in the body of a POST: a URL would stand in logs. ``told_as`` is it without a secret."""
        told, timeout_s = told_as or statement, self._connection.settings.timeout_s
        with self._connection.stream("POST", "/query", data={"q": statement}) as response:
            answer = read_answer(response, timeout_s)
        raise_common_troubles(self._connection.settings.url, answer)
        try:
            decoded = msgspec.json.decode(answer.text, type=_Statement)
        except msgspec.DecodeError as error:
            raise StoreError(f"InfluxDB answered {told} with {answer.status}: {answer.text[:300]}") from error
        said = decoded.error or next((result.error for result in decoded.results if result.error), None)
        if said is not None:
            raise NeedsHuman(
                f"InfluxDB refused {told}: {said}", remedy="Grant the user admin rights, or run it by hand"
            )
        if answer.status != 200:
            raise StoreError(f"InfluxDB answered {told} with {answer.status}: {answer.text[:300]}")
        return decoded


def _keeping(keeping: Keeping) -> str:
    return f"DURATION {keeping.retention_s}s REPLICATION 1 SHARD DURATION {keeping.shard_s}s"


class _Series(msgspec.Struct):
    values: list[list[str | bool | int]] = []


class _Result(msgspec.Struct):
    series: list[_Series] = []
    error: str | None = None


class _Statement(msgspec.Struct):
    results: list[_Result] = []
    error: str | None = None
