"""Buckets, mappings and tokens of the fake InfluxDB 2, databases of the fake 3, as the real ones answer.

2.9.1 (read in its source): virtual mappings from bucket names since 2.4, cut at the first slash, default only without
one and unless an explicit mapping is; a token is told once; POST of a bucket that exists is 422. 3.10.1 (observed):
POST of a database that exists is 409 and changes nothing, PUT changes, durations are told in Go's form.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

TOKEN = "the-token-of-the-fake"
"""May do everything."""
ORG = "farm"
ORG_ID = "0" * 16

Answered = tuple[int, Any]


class Setup2:
    """What ``/api/v2`` sets up. ``tokens`` maps a token to its permissions; None: everything."""

    def __init__(self, version: str) -> None:
        self.buckets: dict[str, dict[str, Any]] = {}
        self.mappings: list[dict[str, Any]] = []
        self.authorizations: dict[str, dict[str, Any]] = {}
        self.tokens: dict[str, list[dict[str, Any]] | None] = {TOKEN: None}
        self._maps = tuple(map(int, version.split(".")[:2])) >= (2, 5)
        self._last = 0

    def _id(self) -> str:
        self._last += 1
        return f"{self._last:016x}"

    def make(self, name: str) -> dict[str, Any]:
        """A bucket without retention, unless it is there."""
        return self.buckets.setdefault(name, {"id": self._id(), "orgID": ORG_ID, "name": name, "retentionRules": []})

    def listed_mappings(self) -> list[dict[str, Any]]:
        """Explicit ones, and where this version has them those from names."""
        listed = list(self.mappings)
        for bucket in self.buckets.values() if self._maps else ():
            database, slash, policy = bucket["name"].partition("/")
            policy = policy if slash else "autogen"
            explicit = [one for one in self.mappings if one["database"] == database]
            if not any(one["retention_policy"] == policy for one in explicit):
                default = not slash and not any(one["default"] for one in explicit)
                listed.append(_mapping(bucket["id"], bucket["id"], database, policy, default, virtual=True))
        return listed

    def leads_to(self, database: str) -> str | None:
        """Name of the bucket that InfluxQL finds for ``database``."""
        names = {bucket["id"]: bucket["name"] for bucket in self.buckets.values()}
        found = [one for one in self.listed_mappings() if one["database"] == database and one["default"]]
        return names.get(found[0]["bucketID"]) if found else None

    def may(self, token: str, action: str, bucket: str) -> bool:
        """Whether ``token`` may do that; unknown tokens are not asked about."""
        permissions = self.tokens.get(token)
        if permissions is None:
            return True
        identity = self.buckets.get(bucket, {}).get("id")
        return any(
            one["action"] == action
            and one["resource"]["type"] == "buckets"
            and one["resource"].get("id") in (None, identity)
            for one in permissions
        )

    def metrics(self, shard_bytes: int) -> str:
        """Prometheus' text: two shards of ``shard_bytes`` for each bucket, and two of a bucket that is gone."""
        lines = [
            f'storage_shard_disk_size{{bucket="{identity}",engine="tsm1",id="{number}",path="/x",walPath="/y"}} '
            f"{shard_bytes:.6e}"
            for identity in (*(bucket["id"] for bucket in self.buckets.values()), "gone")
            for number in (1, 2)
        ]
        return "\n".join(["# TYPE storage_shard_disk_size gauge", *lines, "go_threads 7", ""])

    def answer(self, method: str, path: str, params: Mapping[str, str], body: bytes, token: str) -> Answered | None:
        """Status and document, None for a path that this server does not have."""
        room = "/".join(path.split("/")[:4])
        asked = json.loads(body) if body else {}
        if room == "/api/v2/orgs":
            known = params.get("org") == ORG and self.tokens.get(token) is None
            return 200, {"orgs": [{"id": ORG_ID, "name": ORG}] if known else []}
        if room not in ("/api/v2/buckets", "/api/v2/dbrps", "/api/v2/authorizations"):
            return None
        if method != "GET" and self.tokens.get(token) is not None:
            return 401, {"code": "unauthorized", "message": f"write:orgs/{ORG_ID} is unauthorized"}
        if room == "/api/v2/buckets":
            return self._bucket(method, path, params, asked)
        if room == "/api/v2/dbrps":
            return self._mapping(method, asked)
        return self._authorization(method, path, asked)

    def _bucket(self, method: str, path: str, params: Mapping[str, str], asked: dict[str, Any]) -> Answered:
        if method == "GET":
            found = [bucket for name, bucket in self.buckets.items() if params.get("name") in (None, name)]
            return 200, {"buckets": found[: int(params.get("limit", 20))]}
        if method == "POST":
            if asked["name"] in self.buckets:
                return 422, {"code": "conflict", "message": f"bucket with name {asked['name']} already exists"}
            bucket = self.make(asked["name"])
        else:
            bucket = next(one for one in self.buckets.values() if one["id"] == path.rsplit("/", 1)[1])
        if asked.get("retentionRules"):
            bucket["retentionRules"] = asked["retentionRules"]
        return 201 if method == "POST" else 200, bucket

    def _mapping(self, method: str, asked: dict[str, Any]) -> Answered:
        if method == "GET":
            return 200, {"content": self.listed_mappings()}
        if any(
            (one["database"], one["retention_policy"]) == (asked["database"], asked["retention_policy"])
            for one in self.mappings
        ):
            return 422, {"code": "conflict", "message": "another DBRP mapping with same orgID, db, and rp exists"}
        made = _mapping(
            self._id(), asked["bucketID"], asked["database"], asked["retention_policy"], asked["default"], virtual=False
        )
        self.mappings.append(made)
        return 201, made

    def _authorization(self, method: str, path: str, asked: dict[str, Any]) -> Answered:
        if method == "GET":
            return 200, {"authorizations": [*self.authorizations.values()]}
        if method == "DELETE":
            gone = self.authorizations.pop(path.rsplit("/", 1)[1])
            self.tokens = {token: p for token, p in self.tokens.items() if p is not gone["permissions"]}
            return 204, None
        identity = self._id()
        token = f"token-of-{asked['description']}-{identity}"
        made = {"id": identity, "orgID": asked["orgID"], "status": "active", "description": asked["description"]}
        made["permissions"] = asked["permissions"]
        self.authorizations[identity] = made
        self.tokens[token] = made["permissions"]
        return 201, {**made, "token": token}


class Setup3:
    """Databases and their retention in seconds; None: for ever."""

    def __init__(self, build: str) -> None:
        self.databases: dict[str, int | None] = {}
        self.changes_retention = True
        self._most = 5 if build == "Core" else 100

    def answer(self, method: str, path: str, params: Mapping[str, str], body: bytes, _token: str) -> Answered | None:
        """See :meth:`Setup2.answer`."""
        if path == "/api/v3/query_influxql" and params.get("q") == "SHOW RETENTION POLICIES":
            all_of_them = {**self.databases, "_internal": 7 * 86_400}
            return 200, [
                {"iox::database": name, "name": "autogen", "duration": _in_go(seconds or 0)}
                for name, seconds in sorted(all_of_them.items())
            ]
        if path != "/api/v3/configure/database":
            return None
        asked = json.loads(body)
        name, period = asked["db"], asked.get("retention_period")
        if method == "PUT" and not self.changes_retention:
            return 405, {"error": "method not allowed"}
        if method == "POST" and name in self.databases:
            return 409, {"error": "attempted to create a resource that already exists"}
        if method == "POST" and len(self.databases) >= self._most:
            return 422, {"error": f"Adding a new database would exceed limit of {self._most} databases"}
        if method == "PUT" and name not in self.databases:
            return 404, {"error": "database not found"}
        self.databases[name] = None if period is None else int(period.removesuffix("h")) * 3600
        return 200, None


def _mapping(identity: str, bucket: str, database: str, policy: str, default: bool, *, virtual: bool) -> dict[str, Any]:
    return {
        "id": identity, "bucketID": bucket, "orgID": ORG_ID, "database": database, "retention_policy": policy,
        "default": default, "virtual": virtual,
    }  # fmt: skip


def _in_go(seconds: int) -> str:
    hours, rest = divmod(seconds, 3600)
    return f"{hours}h{rest // 60}m{rest % 60}s" if seconds else "0s"
