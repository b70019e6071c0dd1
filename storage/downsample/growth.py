"""How much a counter grew from row to row: resets counted from zero, rows that a clock misdated left aside.

Where a counter falls either the miner began to count anew, or the row was read *before* the one it follows and only
dated later: a wall clock that ran ahead and was set back gives rows of two times that lie among each other. Taking
each of those falls for a reset would count the whole counter again, over and over.

- A row that tells its **uptime** tells the order: it was read before another one exactly when its uptime is less
  although it had been up, by its own time and uptime, when the other was read. Otherwise the fall is a reset, also one
  of the mining program alone while the system stays up.
- Where uptime is not known, a fall by **less than half** is a clock's doing if the hour before, or the same, has a row
  of the counter too; any other fall is a reset.
- A fall more than 12 h after the row it fell from is a reset, whatever speaks against it: no mistake shall last.

A row that was read earlier grows nothing and does not lower where the counter stands.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from storage.downsample.carried import Standing
from storage.downsample.windows import Array, Column, Groups

HOUR_S = 3600

COUNTER_MEMORY_S = 24 * HOUR_S
"""A counter that was silent for longer starts anew: growth over a longer hole belongs to no window."""

MISDATED_WITHIN_S = 12 * HOUR_S
"""Only so long after the row it fell from can a fall be a clock's doing."""

READ_LATE_S = 120
"""A row is dated by its slot and may be read that much later: a boot seems earlier than it was by no more."""

IsMisdated = Callable[[int, float | int, int, int], bool]
"""Whether a row, by number, was read before the one it fell from: value and time of that, hour of the newest row."""


@dataclass(frozen=True, slots=True)
class Growth:
    """Per row of a table. ``grown``: growth since the row before, 0 where the counter is null or nobody saw it grow.

    ``stands`` and ``stands_at``: value and time of the row by which the counter stands. ``follows``: it has a row
    before it that is no older than COUNTER_MEMORY_S. ``misdated``: it was read before that row.
    """

    grown: Array
    stands: Array
    stands_at: npt.NDArray[np.int64]
    follows: npt.NDArray[np.bool_]
    misdated: npt.NDArray[np.bool_]


def growth(groups: Groups, counter: Column, before: Standing, is_misdated: IsMisdated) -> Growth:
    """Growth of ``counter``, whose rows are sorted by series, then time; ``before``: where each series stood."""
    rows = len(groups.times)
    found = Growth(
        np.zeros(rows, counter.values.dtype),
        counter.values.copy(),
        groups.times.copy(),
        np.zeros(rows, np.bool_),
        np.zeros(rows, np.bool_),
    )
    at = np.flatnonzero(counter.valid)
    if not len(at):
        return found
    values, times, series = counter.values[at], groups.times[at], groups.series()[at]
    first = np.ones(len(at), dtype=np.bool_)
    first[1:] = series[1:] != series[:-1]
    previous, previous_times, hours = np.roll(values, 1), np.roll(times, 1), np.roll(times - times % HOUR_S, 1)
    previous[first], previous_times[first] = before.column.values[series[first]], before.times[series[first]]
    hours[first] = before.windows[series[first]]
    follows = np.where(first, before.column.valid[series], True) & (times - previous_times <= COUNTER_MEMORY_S)
    falls = follows & (values < previous)
    found.follows[at] = follows
    found.grown[at] = np.where(follows, np.where(falls, values, values - previous), 0)
    # Falls are rare, and what a row after one grew depends on what was made of it: those series row by row.
    ends = np.append(np.flatnonzero(first)[1:], len(at))
    for number in np.unique(series[falls]):
        own = slice(np.searchsorted(series, number), ends[np.searchsorted(series[first], number)])
        begin = own.start + int(np.argmax(falls[own]))
        rest = slice(begin, own.stop)
        _row_by_row(found, at[rest], hours[rest], (previous[begin], int(previous_times[begin])), is_misdated)
    return found


def _row_by_row(
    found: Growth, rows: Array, newest_hours: Array, standing: tuple[float | int, int], is_misdated: IsMisdated
) -> None:
    """Go on at ``rows`` of one series, which stands at a value since a time."""
    stands, stands_at = standing
    own_values = zip(found.stands[rows].tolist(), found.stands_at[rows].tolist(), strict=True)
    for row, hour, (own, own_time) in zip(rows.tolist(), newest_hours.tolist(), own_values, strict=True):
        silent_s = own_time - stands_at
        found.follows[row] = silent_s <= COUNTER_MEMORY_S
        if silent_s > COUNTER_MEMORY_S:
            found.grown[row] = 0
        elif own >= stands:
            found.grown[row] = own - stands
        elif silent_s <= MISDATED_WITHIN_S and is_misdated(row, stands, stands_at, hour):
            found.grown[row], found.misdated[row] = 0, True
            found.stands[row], found.stands_at[row] = stands, stands_at
            continue
        else:
            found.grown[row] = own
        stands, stands_at = own, own_time


def by_uptime(groups: Groups, uptime: Column) -> IsMisdated:
    """For the growth of ``uptime`` itself: it had been up when the row it fell from was read."""
    booted = groups.times - uptime.values

    def is_misdated(row: int, _: float | int, stands_at: int, __: int) -> bool:
        return bool(booted[row] < stands_at - READ_LATE_S)

    return is_misdated


def by_order(groups: Groups, order: Growth | None, uptime: Column | None, counter: Column) -> IsMisdated:
    """For any other counter: what ``order``, the growth of ``uptime``, says of the row; else, whether half is left."""

    def is_misdated(row: int, stands: float | int, _: int, newest_hour: int) -> bool:
        if order is not None and uptime is not None and uptime.valid[row] and order.follows[row]:
            return bool(order.misdated[row])
        return bool(2 * counter.values[row] > stands and groups.times[row] < newest_hour + 2 * HOUR_S)

    return is_misdated
