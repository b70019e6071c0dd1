"""From what shall be and what is to the steps between them. Pure: asks nobody and changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from storage.errors import NeedsHuman
from storage.influx.provisioning.state import DAY_S, Access, Desired, Found, Keeping


@dataclass(frozen=True, slots=True)
class CreateBucket:
    """Make a bucket or database."""

    bucket: str
    keeping: Keeping

    def __str__(self) -> str:
        return f"make {self.bucket}, kept {_span(self.keeping.retention_s)}{_shards(self.keeping)}"


@dataclass(frozen=True, slots=True)
class ChangeKeeping:
    """Change retention or length of shards. Where retention gets shorter the server deletes what is older."""

    bucket: str
    before: Keeping
    after: Keeping

    @property
    def shortens(self) -> bool:
        """Whether data goes."""
        return 0 < self.after.retention_s < (self.before.retention_s or float("inf"))

    def __str__(self) -> str:
        before, after = self.before.retention_s, self.after.retention_s
        if before == after:
            return f"change {self.bucket}{_shards(self.after)} instead of {_span(self.before.shard_s or 0)}, new ones"
        text = f"change {self.bucket} from {_span(before)} to {_span(after)}{_shards(self.after)}"
        if not self.shortens:
            return text
        going = f"{_span(before - after)} of data" if before else f"all data older than {_span(after)}"
        return f"{text}: DELETES {going}"


@dataclass(frozen=True, slots=True)
class CreateMapping:
    """Let InfluxQL find ``bucket`` as ``database`` (2.x)."""

    database: str
    bucket: str

    def __str__(self) -> str:
        return f"map database {self.database} to bucket {self.bucket}"


@dataclass(frozen=True, slots=True)
class GiveAccess:
    """Make a token, or a user with a password. ``anew``: there is one, and it will not get in any more."""

    access: Access
    anew: bool = False

    def __str__(self) -> str:
        return f"{'make anew' if self.anew else 'make'} access {self.access.name}: {_rights(self.access)}"


@dataclass(frozen=True, slots=True)
class ChangeRights:
    """Change what a user may do; its password stays (1.x)."""

    access: Access
    before: Access

    def __str__(self) -> str:
        return f"change access {self.access.name}: {_difference(self.before, self.access)}"


@dataclass(frozen=True, slots=True)
class Drift:
    """Something is not as declared, and provisioning must not correct it by itself."""

    what: str
    remedy: str

    def __str__(self) -> str:
        return f"differs: {self.what}. {self.remedy}"


Step = CreateBucket | ChangeKeeping | CreateMapping | GiveAccess | ChangeRights | Drift


def plan(desired: Desired, found: Found, rotate: Iterable[str] = ()) -> list[Step]:
    """Steps from ``found`` to ``desired``, in the order they must be taken; none where all is as it shall be.

    ``rotate`` names accesses that get a new secret. Nothing is ever deleted by name.

    Raises:
        NeedsHuman: the server does not take so many buckets, or has no accesses to rotate.
    """
    missing = [name for name in desired.buckets if name not in found.buckets]
    if found.most_buckets is not None and missing and len(found.buckets) + len(missing) > found.most_buckets:
        raise NeedsHuman(
            f"InfluxDB 3 Core takes {found.most_buckets} databases: it has {len(found.buckets)}, and {len(missing)} "
            f"more are needed",
            remedy="Set LODELINE_INFLUX__DATABASES=five, which keeps all data in five (docs/decisions/0011), on a "
            "server that has no others",
        )
    if found.no_accesses is not None and (names := sorted(rotate)):
        raise NeedsHuman(f"{', '.join(names)} cannot be made anew", remedy=found.no_accesses)
    return [
        *(CreateBucket(name, desired.buckets[name]) for name in missing),
        *_changes(desired, found),
        *_mappings(desired, found),
        *(_accesses(desired, found, frozenset(rotate)) if found.no_accesses is None else ()),
    ]


def _changes(desired: Desired, found: Found) -> Iterator[Step]:
    for name, wanted in desired.buckets.items():
        present = found.buckets.get(name)
        if present is None:
            continue
        shard_s = None if present.shard_s is None else wanted.shard_s
        if present != Keeping(wanted.retention_s, shard_s):
            yield ChangeKeeping(name, present, Keeping(wanted.retention_s, shard_s))


def _mappings(desired: Desired, found: Found) -> Iterator[Step]:
    for database, bucket in desired.databases.items():
        leads_to = found.mappings.get(database, database if found.maps_by_name else None)
        if leads_to == bucket:
            continue
        if database not in found.mappings:
            yield CreateMapping(database, bucket)
        else:
            yield Drift(
                f"database {database} is mapped to bucket {leads_to} and not to {bucket}",
                "Delete that mapping (influx v1 dbrp delete), or name the bucket in LODELINE_INFLUX__BUCKET_NAMES",
            )


def _accesses(desired: Desired, found: Found, rotate: frozenset[str]) -> Iterator[Step]:
    for name, wanted in desired.accesses.items():
        present = found.accesses.get(name)
        if present is None or name in rotate:
            yield GiveAccess(wanted, anew=present is not None)
        elif present != wanted:
            if found.regrants:
                yield ChangeRights(wanted, present)
            else:
                yield Drift(
                    f"access {name} has other rights than declared ({_difference(present, wanted)})",
                    f"lodeline provision --rotate {name} makes a new token",
                )


def _span(seconds: int) -> str:
    if seconds == 0:
        return "for ever"
    return f"{seconds // DAY_S} d" if seconds % DAY_S == 0 else f"{seconds / 3600:g} h"


def _shards(keeping: Keeping) -> str:
    return "" if keeping.shard_s is None else f", shards of {_span(keeping.shard_s)}"


def _rights(access: Access) -> str:
    parts = [("reads", access.reads), ("writes", access.writes)]
    return "; ".join(f"{verb} {', '.join(sorted(names))}" for verb, names in parts if names)


def _difference(present: Access, wanted: Access) -> str:
    parts = [
        ("gets to read", wanted.reads - present.reads),
        ("gets to write", wanted.writes - present.writes),
        ("loses reading", present.reads - wanted.reads),
        ("loses writing", present.writes - wanted.writes),
    ]
    return "; ".join(f"{verb} {', '.join(sorted(names))}" for verb, names in parts if names)
