"""How long each row stands: until the next row of its series, for so many seconds at most, cut at windows' borders."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from storage.downsample.carried import Standing
from storage.downsample.windows import Array, Column, Groups

Seconds = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Spans:
    """Seconds of the rows ``at``, which are those that tell anything.

    ``own``: that a row stands within its own window. ``led``: before it, within its window, in which the row before it
    still stands; more than 0 only for the first of a window. ``leaders`` numbers that row in ``at``; -1: it lies before
    the table, where ``standing`` names, for each series, the fields that it has.
    """

    groups: Groups
    at: Seconds
    own: Seconds
    led: Seconds
    leaders: Seconds
    series: Seconds
    standing: dict[str, npt.NDArray[np.bool_]]

    @staticmethod
    def of(groups: Groups, columns: dict[str, Column], before: dict[str, Standing], stands_s: int) -> Spans:
        """``columns`` are the timed fields; ``before``: where each of them stood in each series."""
        tells = np.zeros(len(groups.times), dtype=np.bool_)
        for column in columns.values():
            tells |= column.valid
        at = np.flatnonzero(tells)
        times, windows, series = groups.times[at], groups.windows[at], groups.series()[at]
        leads = np.ones(len(at), dtype=np.bool_)
        leads[1:] = series[1:] != series[:-1]
        until = np.minimum(times + stands_s, windows + groups.every_s)
        until[:-1] = np.where(leads[1:], until[:-1], np.minimum(until[:-1], times[1:]))
        newest = np.full(np.count_nonzero(groups.series_starts), _NEVER)
        for one in before.values():
            newest = np.maximum(newest, np.where(one.column.valid, one.times, _NEVER))
        leaders = np.where(leads, -1, np.arange(len(at)) - 1)
        led_since = np.where(leads, newest[series], times[leaders])
        led = np.maximum(np.minimum(times, led_since + stands_s) - np.maximum(windows, led_since), 0)
        led[1:][~leads[1:] & (windows[1:] == windows[:-1])] = 0
        standing = {name: one.column.valid & (one.times == newest) for name, one in before.items()}
        return Spans(groups, at, until - times, led, leaders, series, standing)

    def total(self, rows: Array, before: Array) -> Column:
        """Seconds times a weight, summed per window: ``rows`` weighs rows, ``before`` what stood before each series."""
        weights = rows[self.at]
        totals = np.zeros(len(self.groups.times), dtype=np.result_type(rows, np.int64))
        totals[self.at] = self.own * weights + self.led * np.where(
            self.leaders >= 0, weights[self.leaders], before[self.series]
        )
        return self.groups.total(totals)

    def seconds(self, field: str, rows: npt.NDArray[np.bool_], before: npt.NDArray[np.bool_]) -> Column:
        """Seconds in which one of ``rows`` stood."""
        return self.total(rows.astype(np.int64), (before & self.standing[field]).astype(np.int64))

    def integral(self, field: str, column: Column, before: Column) -> Column:
        """Value times seconds; 0 where none is known, as the seconds say."""
        rows = np.where(column.valid, column.values, 0).astype(np.float64)
        return self.total(rows, np.where(before.valid & self.standing[field], before.values, 0).astype(np.float64))


_NEVER = -(1 << 40)
