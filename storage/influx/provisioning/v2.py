"""InfluxDB 2.x: buckets, mappings for InfluxQL, tokens. All of it by influxdb-client (its annotations are incomplete).

Traps of the client (reference/influx-portable.md 4): a look-up by name sends no organisation; a bucket without rules
keeps everything for ever; lists come in pages of 20; an update with no rules changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from influxdb_client.client.exceptions import InfluxDBError
from influxdb_client.domain.authorization import Authorization
from influxdb_client.domain.dbrp_create import DBRPCreate
from influxdb_client.domain.permission import Permission
from influxdb_client.domain.permission_resource import PermissionResource
from influxdb_client.rest import ApiException
from influxdb_client.service.dbr_ps_service import DBRPsService
from pydantic import SecretStr
from urllib3.exceptions import HTTPError

from storage.errors import NeedsHuman, TryAgain
from storage.influx.client import answer_of, expire_rule, open_client
from storage.influx.connection import raise_common_troubles
from storage.influx.provisioning.plan import ChangeKeeping, CreateBucket, CreateMapping, GiveAccess, Step
from storage.influx.provisioning.server import Minted, refused, user_of
from storage.influx.provisioning.state import ACCESSES, DAY_S, Access, Desired, Found, Keeping
from storage.influx.settings import InfluxSettings

_Authorization: Any = Authorization  # none of these is annotated
_DBRPCreate: Any = DBRPCreate
_DBRPsService: Any = DBRPsService
_Permission: Any = Permission
_PermissionResource: Any = PermissionResource

VIRTUAL_SINCE = (2, 5)
"""Version whose InfluxQL finds a bucket by its name alone; 2.4 maps, and its queries do not follow."""

DEFAULT_SHARDS = ((2 * DAY_S, 3600), (180 * DAY_S, DAY_S))
"""Retention below which a bucket that names no length of shards has so long ones; 7 days above."""

_EVERYTHING = "every bucket"
"""Stands for a right that names no bucket."""


class Server2:
    """See :class:`storage.influx.provisioning.server.Provisionable`. Open it with :meth:`open`."""

    def __init__(self, client: Any, settings: InfluxSettings, version: str) -> None:
        self._client = client
        self._settings = settings
        self._version = version
        self._org_id = ""
        self._ids: dict[str, str] = {}
        self._tokens: dict[str, list[str]] = {}
        self._minted: dict[str, str] = {}

    @classmethod
    @contextmanager
    def open(cls, settings: InfluxSettings, version: str) -> Iterator[Server2]:
        """With a token and an organisation; every error of the client comes out as one of ours."""
        with open_client(settings) as client, _client_errors(settings.url):
            yield cls(client, settings, version)

    def found(self, desired: Desired, /) -> Found:
        """Buckets that are wanted, what databases lead to, and tokens that have our descriptions."""
        buckets = {}
        for name in desired.buckets:
            bucket = self._bucket(name)
            if bucket is not None:
                self._ids[name], self._org_id = bucket.id, bucket.org_id
                buckets[name] = _keeping(bucket.retention_rules or ())
        maps_by_name = _version(self._version) >= VIRTUAL_SINCE
        return Found(buckets, self._mappings(), maps_by_name, self._accesses() if desired.accesses else {})

    def _bucket(self, name: str) -> Any:
        listed = self._client.buckets_api().find_buckets(name=name, org=self._settings.org).buckets
        return next((bucket for bucket in listed if bucket.name == name), None)

    def _organisation(self) -> str:
        """Its id, as a bucket tells it where one is there: a token may see buckets and no organisation."""
        if not self._org_id:
            listed = self._client.organizations_api().find_organizations(org=self._settings.org)
            if not listed:
                raise NeedsHuman(f"no organisation {self._settings.org}", remedy="Correct LODELINE_INFLUX__ORG")
            self._org_id = listed[0].id
        return self._org_id

    def _mappings(self) -> dict[str, str]:
        """The default of each database; of others InfluxQL would have to name the retention policy."""
        names = {identity: name for name, identity in self._ids.items()}
        listed = _DBRPsService(self._client.api_client).get_dbr_ps(org_id=self._organisation()).content or ()
        return {one.database: names.get(one.bucket_id, f"of id {one.bucket_id}") for one in listed if one.default}

    def _accesses(self) -> dict[str, Access]:
        names = {identity: name for name, identity in self._ids.items()}
        rights: dict[str, dict[str, set[str]]] = {}
        for token in self._client.authorizations_api().find_authorizations(org_id=self._organisation()):
            known = next((name for name in ACCESSES if token.description == user_of(name)), None)
            if known is None or token.status != "active":
                continue
            self._tokens.setdefault(known, []).append(token.id)
            may = rights.setdefault(known, {"read": set(), "write": set()})
            for permission in token.permissions:
                resource = permission.resource
                if resource.type != "buckets":
                    may[permission.action].add(f"{resource.type} (not a bucket)")
                elif resource.id is None:
                    may[permission.action].add(_EVERYTHING)
                else:
                    may[permission.action].add(names.get(resource.id, f"bucket of id {resource.id}"))
        return {name: Access(name, frozenset(may["read"]), frozenset(may["write"])) for name, may in rights.items()}

    def take(self, step: Step) -> Minted | None:
        """A token is made beside the one before it: rights and secret of a token never change."""
        api = self._client.buckets_api()
        if isinstance(step, CreateBucket):
            made = api.create_bucket(
                bucket_name=step.bucket, org=self._settings.org, retention_rules=_rule(step.keeping)
            )
            self._ids[step.bucket] = made.id
        elif isinstance(step, ChangeKeeping):
            bucket = self._bucket(step.bucket)
            bucket.retention_rules = [_rule(step.after)]
            api.update_bucket(bucket)
        elif isinstance(step, CreateMapping):
            _DBRPsService(self._client.api_client).post_dbrp(
                dbrp_create=_DBRPCreate(
                    org_id=self._organisation(),
                    bucket_id=self._ids[step.bucket],
                    database=step.database,
                    retention_policy="autogen",
                    default=True,
                )
            )
        elif isinstance(step, GiveAccess):
            return self._give(step.access)
        return None

    def _give(self, access: Access) -> Minted:
        org_id = self._organisation()
        permissions = [
            _Permission(
                action=action, resource=_PermissionResource(type="buckets", id=self._ids[bucket], org_id=org_id)
            )
            for action, buckets in (("read", access.reads), ("write", access.writes))
            for bucket in sorted(buckets)
        ]
        made = self._client.authorizations_api().create_authorization(
            authorization=_Authorization(org_id=org_id, description=user_of(access.name), permissions=permissions)
        )
        self._minted[access.name] = made.id
        return Minted(access.name, SecretStr(made.token))

    def withdraw(self, minted: Minted) -> None:
        """The new token goes; those before it stay."""
        self._client.authorizations_api().delete_authorization(self._minted.pop(minted.access))

    def retire(self, minted: Minted) -> None:
        """All tokens of this access that were there before."""
        for identity in self._tokens.pop(minted.access, ()):
            self._client.authorizations_api().delete_authorization(identity)


def _keeping(rules: Any) -> Keeping:
    rule = next((rule for rule in rules if rule.every_seconds), None)
    retention_s = int(rule.every_seconds) if rule else 0
    shard_s = rule.shard_group_duration_seconds if rule else None
    usual = next((shard for below, shard in DEFAULT_SHARDS if 0 < retention_s < below), 7 * DAY_S)
    return Keeping(retention_s, int(shard_s or usual))


def _rule(keeping: Keeping) -> Any:
    return expire_rule(keeping.retention_s, keeping.shard_s or 0)


def _version(text: str) -> tuple[int, int]:
    major, _, rest = text.removeprefix("v").partition(".")
    minor = rest.partition(".")[0]
    return int(major), int(minor) if minor.isdecimal() else 0


@contextmanager
def _client_errors(url: str) -> Iterator[None]:
    try:
        yield
    except ApiException as error:
        answer = answer_of(error, url)
        raise_common_troubles(url, answer)
        raise refused(url, answer, "Correct org and token; provisioning needs one that may write buckets") from error
    except InfluxDBError as error:  # found by the client itself: no such organisation, or not for this token
        raise NeedsHuman(str(error), remedy="Correct org, or take a token that may see it") from error
    except HTTPError as error:
        raise TryAgain(f"no answer from InfluxDB at {url}: {type(error).__name__}") from error
