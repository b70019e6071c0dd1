"""Building the warehouse: what is new or was redone since the last build, day by day; killed anywhere it goes on.

The order of writes makes a kill harmless: versions of miners, which facts refer to; rows of a fact; the pools and coins
seen in them; and last the mark that says from which state of the source they were made. Killed in between, the days are
due again and give the same rows again, which the lake then does not write a second time.

A day of a rolled-up source is due when the roll-up's own marks of it, or the versions of miners, are others than the
day was made of: late rows make hours due, the roll-up redoes them, the warehouse follows. A source that is not rolled
up is looked at anew for the last days in every build and as a whole in the first build of a day. Past the retention of
its source a fact goes, a file at a time, so up to the length of a partition later.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from storage.arrow_schema import END_OF_TIME_S, fingerprint
from storage.declaration import MEASUREMENTS, Tier
from storage.downsample.books import rolled_windows
from storage.downsample.growth import COUNTER_MEMORY_S
from storage.downsample.rollup import DAY_S, HOUR_S, window_of
from storage.lake.compaction import compact
from storage.lake.history import checkpoint
from storage.lake.layout import Period
from storage.lake.location import LakeLocation, locked_if_free
from storage.lake.maintenance import expire, vacuum
from storage.lake.replacement import replace_rows
from storage.progress import told
from storage.store import Store
from storage.warehouse.books import Books, stored_rows
from storage.warehouse.facts import fact_rows, source_columns
from storage.warehouse.hours import hours_of_months
from storage.warehouse.keys import Versions
from storage.warehouse.members import Coin, Members
from storage.warehouse.miners import History, sightings_of, steady
from storage.warehouse.remaking import BUILD_LOCK
from storage.warehouse.star import DIM_COIN, DIM_MINER, DIM_POOL, DIM_TIME, FACTS, STAR, VERSIONED, Fact, Source
from storage.warehouse.table import FOLDER, WarehouseTable, schema

AT_ONCE_DAYS = 7
"""Days of a fact that are built at a time: of 5,000 miners some 840,000 rows, and some 700 MB."""

_RAW_AT_ONCE_DAYS = 31
_SIGHTINGS_AT_ONCE = 100_000

LOOKED_AT_AGAIN_DAYS = 3
"""Days that are looked at in every build, whatever the books say: what comes later than that waits for the next day."""

_CONFIGURATION = MEASUREMENTS["miner_configuration"]
_TELEMETRY = MEASUREMENTS["miner_telemetry"]
_IN_CONFIGURATION = tuple(name for name in VERSIONED if name != "location")


@dataclass(slots=True)
class BuildReport:
    """What one build did: days built and rows in them by fact, and through which day each fact is built. Files expired
    held nothing within the retention of their source.

    ``skipped`` says that another process was at it.
    """

    days: dict[str, int] = field(default_factory=dict)
    rows: int = 0
    files_expired: int = 0
    watermark: dict[str, int] = field(default_factory=dict)
    skipped: bool = False


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the warehouse is told beside the store: days kept by bucket, zone of dim_time, places of miners, coins."""

    retention_days: Mapping[str, int]
    zone: str = "UTC"
    places: Mapping[str, str] = field(default_factory=dict)
    coins: Mapping[str, Coin] = field(default_factory=dict)


def build(
    store: Store,
    root: LakeLocation,
    now: int,
    surroundings: Surroundings,
    *,
    stop: Callable[[], bool] = lambda: False,
) -> BuildReport:
    """Bring the warehouse under the lake's ``root`` up to what ``store`` holds at ``now`` (Unix seconds).

    ``stop`` is asked between slices; a build that stops early leaves the rest due.

    Raises:
        TryAgain: the store or the lake cannot answer; whatever was not marked stays due.
        NeedsHuman: a table of the warehouse is damaged.
    """
    with locked_if_free(root / FOLDER / BUILD_LOCK) as ours:
        if not ours:
            return BuildReport(skipped=True)
        return _Build(store, root, now, surroundings, stop).run()


class _Build:
    def __init__(
        self, store: Store, root: LakeLocation, now: int, surroundings: Surroundings, stop: Callable[[], bool]
    ) -> None:
        self._store = store
        self._now = now
        self._told = surroundings
        self._stop = stop
        self._tables = {star.name: WarehouseTable(root, star) for star in STAR}
        self._books = Books(root)
        self._report = BuildReport()

    def run(self) -> BuildReport:
        history = self._miners()
        members = Members(self._tables[DIM_POOL.name], self._tables[DIM_COIN.name], self._told.coins)
        for number, fact in enumerate(FACTS):
            if not self._stop():
                self._fact(fact, history, members, number)
                self._report.files_expired += self._expire(fact)
        self._hours()
        for table in self._tables.values():
            if table.exists() and not self._stop():
                compact(table, self._now, stop=self._stop)
                vacuum(table)
                checkpoint(table)
        return self._report

    # Dimensions

    def _miners(self) -> Versions:
        table = self._tables[DIM_MINER.name]
        today = window_of(self._now, DAY_S)
        built = self._books.newest(DIM_MINER)
        since = self._horizon(Source(_TELEMETRY, Tier.HOURLY))
        if built is not None:
            since = max(since, built - LOOKED_AT_AGAIN_DAYS * DAY_S)
        history = History.of(stored_rows(table))
        told = history.taken_back(since)
        first, days = since, 1
        while first < self._now:
            after = min(first + days * DAY_S, today + DAY_S)
            read = self._store.read(_CONFIGURATION, Tier.RAW, first, after, columns=_fields(_IN_CONFIGURATION))
            hours = self._store.read(_TELEMETRY, Tier.HOURLY, first, after, columns=["reachable_count"])
            sightings = [sightings_of(read, _IN_CONFIGURATION), sightings_of(steady(hours), ("model", "site"))]
            history.see(pa.concat_tables([*sightings, _between(told, first, after)]))
            first = after
            many = read.num_rows + hours.num_rows > _SIGHTINGS_AT_ONCE
            days = max(1, days // 2) if many else min(2 * days, _RAW_AT_ONCE_DAYS)
        history.stand(self._told.places, window_of(self._now, HOUR_S))
        replace_rows(table, 0, END_OF_TIME_S, history.table())
        self._books.write(DIM_MINER, {today: "built"})
        return Versions(history.versions())

    def _hours(self) -> None:
        firsts = []
        for fact in FACTS:
            snapshot = self._tables[fact.name].snapshot(fresh=True)
            firsts += [part.first for part in (snapshot.parts if snapshot else ())]
        rows = hours_of_months(min(firsts, default=self._now), self._now, self._told.zone)
        replace_rows(self._tables[DIM_TIME.name], 0, END_OF_TIME_S, rows)

    # Facts

    def _fact(self, fact: Fact, versions: Versions, members: Members, number: int) -> None:
        due, done = self._due(fact, versions), 0
        table, source = self._tables[fact.name], fact.source
        at_once = _RAW_AT_ONCE_DAYS if source.tier is Tier.RAW else AT_ONCE_DAYS
        for days in _slices(sorted(due), fact.period, at_once):
            if self._stop():
                break
            first, after = days[0], days[-1] + DAY_S
            rows = self._store.read(
                source.measurement, source.tier, first, after, where=source.where, columns=source_columns(fact)
            )
            built = fact_rows(fact, rows, versions)
            replace_rows(table, first, after, built)
            members.see(built)
            self._books.write(fact, {day: state for day in days if (state := due[day]) is not None})
            self._report.days[fact.name] = self._report.days.get(fact.name, 0) + len(days)
            self._report.rows += built.num_rows
            done += len(days)
            told(number + done / len(due), len(FACTS), fact.name)
        newest = self._books.newest(fact)
        if newest is not None:
            self._report.watermark[fact.name] = newest

    def _expire(self, fact: Fact) -> int:
        table = self._tables[fact.name]
        return expire(table, self._now - self._kept_days(fact.source) * DAY_S) if table.exists() else 0

    def _due(self, fact: Fact, versions: Versions) -> dict[int, str | None]:
        """Days to build, each with the mark it is to get, if any."""
        source, shape = fact.source, fingerprint(schema(fact))
        start, today = self._horizon(source), window_of(self._now, DAY_S)
        if source.tier is Tier.RAW:  # no books are kept of it: today's mark says that all days were looked at today
            seen = f"{shape} looked at"
            if self._books.mark(fact, today) == seen:
                start = max(start, today - (LOOKED_AT_AGAIN_DAYS - 1) * DAY_S)
            return {day: seen if day == today else None for day in range(start, today + 1, DAY_S)}
        marks: dict[int, list[tuple[int, int]]] = {}
        for hour, mark in rolled_windows(self._store, source.measurement, source.tier, start, self._now).items():
            marks.setdefault(window_of(hour, DAY_S), []).append((hour, mark))
        # A late hour also changes the next one that goes on from it, whose own mark stays as it was.
        marks = {day: marks.get(day - COUNTER_MEMORY_S, []) + hours for day, hours in marks.items()}
        refers = any(column.name == "miner_key" for column in fact.columns)
        states = {
            day: f"{shape} {_digest(sorted(hours))} {versions.fingerprint(day + DAY_S) if refers else '-'}"
            for day, hours in marks.items()
        }
        return {day: state for day, state in states.items() if self._books.mark(fact, day) != state}

    def _horizon(self, source: Source) -> int:
        """First day of which the source still has everything."""
        return window_of(self._now - (self._kept_days(source) - 1) * DAY_S, DAY_S)

    def _kept_days(self, source: Source) -> int:
        return self._told.retention_days[source.measurement.buckets[source.tier]]


def _fields(names: Sequence[str]) -> list[str]:
    return [name for name in names if name in _CONFIGURATION.field_by_name]


def _between(sightings: pa.Table, start: int, stop: int) -> pa.Table:
    times = sightings["time"].to_pylist()
    return sightings.filter(pa.array([start <= time < stop for time in times], pa.bool_()))


def _digest(marks: Sequence[tuple[int, int]]) -> str:
    return hashlib.sha256(repr(marks).encode()).hexdigest()[:16]


def _slices(days: Sequence[int], period: Period, at_once: int) -> Iterator[list[int]]:
    """Runs of neighbouring days, each within one partition and no longer than ``at_once``."""
    run: list[int] = []
    for day in days:
        joins = run and day == run[-1] + DAY_S and len(run) < at_once and period.window(day) == period.window(run[0])
        if run and not joins:
            yield run
            run = []
        run.append(day)
    if run:
        yield run
