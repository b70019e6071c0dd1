"""What a server shall have, and what it has, in the same words."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from storage.declaration import BUCKETS, MEASUREMENTS, Tier
from storage.declaration.pipeline import WINDOW_ROLLED
from storage.influx.settings import InfluxSettings

DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Keeping:
    """How long a bucket keeps its rows and how long its shards are, in seconds.

    ``retention_s`` 0: for ever. ``shard_s`` None: the server has no shards (3.x).
    """

    retention_s: int
    shard_s: int | None = None


@dataclass(frozen=True, slots=True)
class Access:
    """What the holder of a token (2.x) or password (1.x) may do: buckets that it reads and writes."""

    name: str
    reads: frozenset[str]
    writes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Desired:
    """What shall be. ``databases`` maps every database that InfluxQL names to the bucket it must lead to."""

    buckets: Mapping[str, Keeping]
    databases: Mapping[str, str]
    accesses: Mapping[str, Access]


@dataclass(frozen=True, slots=True)
class Found:
    """What is.

    ``mappings``: database to bucket, where the server has such (2.x). ``maps_by_name``: a database that has none leads
    to the bucket of its name. ``no_accesses``: why this server has none that could be made. ``regrants``: rights can
    change while the secret stays. ``most_buckets``: it takes no more than so many.
    """

    buckets: Mapping[str, Keeping]
    mappings: Mapping[str, str]
    maps_by_name: bool
    accesses: Mapping[str, Access]
    no_accesses: str | None = None
    regrants: bool = False
    most_buckets: int | None = None


def desired_state(settings: InfluxSettings, retention_days: Mapping[str, int], accesses: Iterable[str] = ()) -> Desired:
    """All buckets of the declaration that InfluxDB has, by the names of ``settings``.

    ``retention_days`` goes over the declared days, by declared bucket. Several classes of data in one bucket: the
    longest retention counts, so that nothing goes early.

    Raises:
        ValueError: ``retention_days`` names an unknown bucket or less than a day; no such access.
    """
    wrong = [f"{name}: {days}" for name, days in retention_days.items() if name not in BUCKETS or days < 1]
    if wrong:
        raise ValueError(f"retention_days: expected at least 1 day for one of {list(BUCKETS)}, got {', '.join(wrong)}")
    kept: dict[str, list[tuple[int, int]]] = defaultdict(list)
    databases = {}
    for declared in BUCKETS.values():
        if declared.in_influx:
            days = retention_days.get(declared.name, declared.retention_days)
            kept[settings.bucket(declared.name)].append((days, min(declared.shard_days, days)))
            databases[settings.database(declared.name)] = settings.bucket(declared.name)
    buckets = {
        name: Keeping(max(days for days, _ in all_days) * DAY_S, max(shard for _, shard in all_days) * DAY_S)
        for name, all_days in kept.items()
    }
    known = declared_accesses(settings)
    return Desired(buckets, databases, {name: known[name] for name in accesses})


def declared_accesses(settings: InfluxSettings) -> dict[str, Access]:
    """Every access that Lodeline knows, each with the least that its holder needs.

    ``writer`` collects, ``downsampler`` rolls up and keeps the books of it, ``grafana`` reads, ``host`` is one machine
    that does it all (``lodeline up``, erasure).
    """
    everything = frozenset(settings.bucket(bucket.name) for bucket in BUCKETS.values() if bucket.in_influx)
    in_influx = [measurement for measurement in MEASUREMENTS.values() if measurement.in_influx]
    raw = {settings.bucket(measurement.buckets[Tier.RAW]) for measurement in in_influx}
    rolled = [measurement for measurement in in_influx if Tier.HOURLY in measurement.buckets]
    tiers = {
        tier: {settings.bucket(measurement.buckets[tier]) for measurement in rolled if tier in measurement.buckets}
        for tier in Tier
    }
    books = {settings.bucket(WINDOW_ROLLED.buckets[Tier.RAW])}
    accesses = (
        Access("writer", frozenset(), frozenset(raw)),
        Access(
            "downsampler",
            frozenset(tiers[Tier.RAW] | tiers[Tier.HOURLY] | books),
            frozenset(tiers[Tier.HOURLY] | tiers[Tier.DAILY] | books),
        ),
        Access("grafana", everything, frozenset()),
        Access("host", everything, everything),
    )
    return {access.name: access for access in accesses}


USUAL_ACCESSES = ("writer", "downsampler", "grafana")
ACCESSES = (*USUAL_ACCESSES, "host")
