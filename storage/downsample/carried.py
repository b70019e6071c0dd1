"""Where each series stood when a window began: what it takes over from the windows before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from storage.declaration import Measurement
from storage.declaration.rollup import carried_columns, carried_fields, timed_fields
from storage.downsample.windows import Column, Groups, unix_seconds

Series = tuple[str | None, ...]
"""Tag values, in the order of ``Measurement.tag_names``."""

FOREVER_S = 1 << 40


@dataclass(frozen=True, slots=True)
class Standing:
    """One field: where it stands in each series, not valid where it does not, and the Unix time of that row.

    ``windows``: starts of the newest windows that have a row with the field.
    """

    column: Column
    times: npt.NDArray[np.int64]
    windows: npt.NDArray[np.int64]

    def taken(self, rows: npt.NDArray[np.int64]) -> Standing:
        """The series of ``rows``, by number; -1 stands nowhere."""
        valid = self.column.valid
        times, windows = (Column(values, valid).taken(rows).values for values in (self.times, self.windows))
        return Standing(self.column.taken(rows), times, windows)


@dataclass(frozen=True, slots=True)
class Carried:
    """Standings of the carried fields by name, each in the order of ``series``."""

    series: list[Series]
    standings: dict[str, Standing]

    @staticmethod
    def of(measurement: Measurement, rolled: pa.Table) -> Carried:
        """At the end of ``rolled``: rows of a roll-up with at least its carried columns, sorted by tags, then time."""
        if not rolled.num_rows:
            none = np.zeros(0, np.int64)
            nowhere = Standing(Column(none, np.zeros(0, np.bool_)), none, none)
            return Carried([], {field.name: nowhere for field in carried_fields(measurement)})
        groups = Groups.of(rolled, measurement.tag_names, FOREVER_S)
        standings = {}
        for field in carried_fields(measurement):
            values, at = Column.of(rolled[f"{field.name}_last"]), Column.of(rolled[f"{field.name}_last_at"])
            # Roll-ups of before there was _last_at do not have it: the start of their window is the safe guess.
            times = np.where(at.valid, at.values, groups.times)
            newest_times, windows = (groups.last(Column(each, values.valid)).values for each in (times, groups.times))
            standings[field.name] = Standing(groups.last(values), newest_times, windows)
        return Carried(series_of(groups.first_rows(rolled, measurement.tag_names)), standings)

    def of_series(self, series: Sequence[Series]) -> Carried:
        """The same in the order of ``series``; one that is not known stands nowhere."""
        numbers = {known: number for number, known in enumerate(self.series)}
        rows = np.array([numbers.get(one, -1) for one in series], dtype=np.int64)
        return Carried(list(series), {name: standing.taken(rows) for name, standing in self.standings.items()})

    def told(self, field: str) -> dict[Series, tuple[Any, ...]]:
        """What is known of ``field`` by series, to be compared."""
        standing = self.standings[field]
        values = standing.column.values
        if standing.column.words is not None:
            words = standing.column.words.to_pylist()
            values = np.array([words[code] if words else None for code in values.tolist()], dtype=object)
        known = zip(values.tolist(), standing.times.tolist(), standing.windows.tolist(), strict=True)
        rows = zip(self.series, known, standing.column.valid.tolist(), strict=True)
        return {series: told for series, told, valid in rows if valid}


def series_of(tags: pa.Table) -> list[Series]:
    """Rows of a table of tags as tuples."""
    return list(zip(*(column.to_pylist() for column in tags.columns), strict=True))


def carried_rows(measurement: Measurement, rolled: pa.Table) -> pa.Table:
    """``rolled`` with what the next window starts from, and nothing else."""
    return rolled.select(["time", *measurement.tag_names, *carried_columns(measurement)])


Moves = dict[str, set[Series]]
"""Series that end otherwise than before, by the field in which they do."""


def moves(measurement: Measurement, before: pa.Table, now: pa.Table) -> Moves:
    """What ends ``now`` otherwise than ``before``: carried columns of the same windows, sorted by tags, then time."""
    was, ends = Carried.of(measurement, before), Carried.of(measurement, now)
    moved = {}
    for field in carried_fields(measurement):
        old, new = was.told(field.name), ends.told(field.name)
        moved[field.name] = {series for series in old.keys() | new.keys() if old.get(series) != new.get(series)}
    return {name: series for name, series in moved.items() if series}


def heirs(measurement: Measurement, moved: Moves, after: pa.Table) -> set[int]:
    """Windows that start from what ``moved``: of each field and series the first of ``after`` that has the field.

    ``after`` holds carried columns of the windows that follow. Timed fields go together: a row ends what all of them
    said in the row before.
    """
    if not after.num_rows:
        return set()
    groups = Groups.of(after, measurement.tag_names, FOREVER_S)
    bounds = [*groups.starts.tolist(), after.num_rows]
    rows_of = dict(zip(series_of(groups.first_rows(after, measurement.tag_names)), pairwise(bounds), strict=True))
    windows = unix_seconds(after)
    has = {field.name: Column.of(after[f"{field.name}_last"]).valid for field in carried_fields(measurement)}
    timed = {field.name for field in timed_fields(measurement)}
    has_timed = np.any([np.zeros(after.num_rows, np.bool_), *(has[name] for name in timed)], axis=0)
    found: set[int] = set()
    for name, changed in moved.items():
        having = has_timed if name in timed else has[name]
        for first, stop in (rows_of[series] for series in changed & rows_of.keys()):
            rows = np.flatnonzero(having[first:stop])
            if len(rows):
                found.add(int(windows[first + rows[0]]))
    return found
