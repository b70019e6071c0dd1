"""Where rows of a damaged file still are: what is told before it is set aside."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from storage.archive.catalogue import Catalogue
from storage.damaged.case import Case
from storage.damaged.lake import live_parts
from storage.declaration import BUCKETS, MEASUREMENTS, Measurement, Tier
from storage.downsample.books import rolled_windows
from storage.downsample.rollup import DAY_S, HOUR_S, window_of
from storage.errors import LodelineError
from storage.lake.location import LakeLocation
from storage.lake.table import LakeTable
from storage.store import Store
from storage.warehouse.table import FOLDER as WAREHOUSE

_WINDOW_S = {Tier.HOURLY: HOUR_S, Tier.DAILY: DAY_S}


def elsewhere(
    case: Case, *, lake: LakeLocation | None, archive: Catalogue | None, store: Store, has_influx: bool
) -> list[str]:
    """A line for each place: lake or archive, InfluxDB (of which an hour is looked at), roll-ups. ``store`` is the one
    that is rolled up. A place that cannot be asked says so in its line."""
    if case.table.startswith(f"{WAREHOUSE}/"):
        return ["tiers: the next build of the warehouse makes it anew of them"]
    if case.tier is None:
        return [f"{case.table} is in the lake only"]
    measurement, tier = MEASUREMENTS[case.measurement], Tier(case.tier)
    lines = []
    if case.archived and lake is not None:
        lines.append(_asked("lake", partial(_in_lake, LakeTable(lake, measurement, tier), case)))
    if not case.archived and archive is not None:
        lines.append(_asked("archive", partial(_in_archive, archive, measurement, tier, case)))
    if has_influx and BUCKETS[measurement.buckets[tier]].in_influx:
        lines.append(_asked("InfluxDB", partial(_in_influx, store, measurement, tier, case)))
    for coarser in (Tier.HOURLY, Tier.DAILY):
        if coarser in measurement.buckets and _WINDOW_S[coarser] > _WINDOW_S.get(tier, 0):
            lines.append(_asked(f"{coarser} tier", partial(_rolled, store, measurement, coarser, case)))
    return lines


def _asked(place: str, ask: Callable[[], str]) -> str:
    try:
        return f"{place}: {ask()}"
    except LodelineError as error:
        return f"{place}: unknown, {error}"


def _in_lake(table: LakeTable, case: Case) -> str:
    if not table.exists():
        return "no rows of this time"
    return _rows_at_most([part.rows for part in live_parts(table) if _overlaps(part.first, part.last, case)])


def _in_archive(archive: Catalogue, measurement: Measurement, tier: Tier, case: Case) -> str:
    parts = archive.parts(measurement, tier, case.first, case.last + 1)
    if any(part.source == case.path.rpartition("/")[2] for part in parts):
        return "a copy of this very file"
    return _rows_at_most([part.rows for part in parts])


def _overlaps(first: int, last: int, case: Case) -> bool:
    return first <= case.last and last >= case.first


def _rows_at_most(rows: list[int]) -> str:
    """Of files that overlap with the time, which need not hold the same rows."""
    return f"{len(rows)} files of this time with {sum(rows):,} rows, other ones" if rows else "no rows of this time"


def _in_influx(store: Store, measurement: Measurement, tier: Tier, case: Case) -> str:
    stop = min(case.last + 1, case.first + HOUR_S)
    rows = store.read(measurement, tier, case.first, stop).num_rows  # of no columns InfluxDB has no rows
    return f"{rows:,} rows of the first hour, read from there as ever" if rows else "no rows of the first hour"


def _rolled(store: Store, measurement: Measurement, tier: Tier, case: Case) -> str:
    length = _WINDOW_S[tier]
    windows = rolled_windows(store, measurement, tier, window_of(case.first, length), case.last + 1)
    of = (window_of(case.last, length) - window_of(case.first, length)) // length + 1
    return f"{len(windows)} of {of} windows of this time are rolled up, and stay"
