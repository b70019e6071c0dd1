"""One roll-up: rows of a tier in, rows of the next tier out. Pure; the columns are those of the declaration.

Sums and counts are carried, so a day made of hours equals the day made of raw rows.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from storage.declaration import Measurement, Type
from storage.declaration.rollup import RollupColumn, rollup_columns
from storage.downsample.windows import Column, Groups, unix_seconds

HOUR_S = 3600
DAY_S = 86400

COUNTER_MEMORY_S = 24 * HOUR_S
"""A counter that was silent for longer starts anew: growth over a longer hole belongs to no window."""

_ARROW = {Type.FLOAT: pa.float64(), Type.INTEGER: pa.int64(), Type.BOOLEAN: pa.bool_(), Type.STRING: pa.string()}


def hours_of_raw(measurement: Measurement, raw: pa.Table, before: pa.Table, every_s: int = HOUR_S) -> pa.Table:
    """Hourly rows (or of ``every_s``) of ``raw`` (as a Store reads it, sorted by tags and time; whole windows only).

    ``before`` holds the hourly rows of the COUNTER_MEMORY_S before, sorted alike; its newest ``<counter>_last`` of a
    series is where the counter stood before ``raw`` begins.
    """
    groups = Groups.of(raw, measurement.tag_names, every_s)
    columns = {field.name: Column.of(raw[field.name]) for field in measurement.fields}

    def fold(column: RollupColumn) -> Column:
        values = columns[column.field.name]
        if column.aggregate == "value_count":
            return groups.count_equal(values, column.value)
        if column.aggregate == "true_count":
            return groups.count_equal(values, True)
        if column.aggregate == "inc":
            firsts = raw.select(list(measurement.tag_names)).take(pa.array(np.flatnonzero(groups.series_starts)))
            return groups.increase(values, *_stands_of(firsts, standing(measurement, column, before)), COUNTER_MEMORY_S)
        return _FOLDS[column.aggregate](groups, values)

    return _table(measurement, raw, groups, fold)


def days_of_hours(measurement: Measurement, hourly: pa.Table, every_s: int = DAY_S) -> pa.Table:
    """Daily rows (UTC days, or windows of ``every_s``) of ``hourly`` rows, exact: sums of sums over sums of counts,
    newest of newest."""
    groups = Groups.of(hourly, measurement.tag_names, every_s)

    def fold(column: RollupColumn) -> Column:
        if column.aggregate == "mean":
            return _mean(groups.sum(_of(hourly, column, "sum")), groups.sum(_of(hourly, column, "count")))
        values = Column.of(hourly[column.name])
        if column.aggregate in ("min", "max", "last"):
            return _FOLDS[column.aggregate](groups, values)
        return groups.sum(values)

    return _table(measurement, hourly, groups, fold)


def _of(table: pa.Table, column: RollupColumn, aggregate: str) -> Column:
    return Column.of(table[f"{column.field.name}_{aggregate}"])


def _mean(sums: Column, counts: Column) -> Column:
    valid = counts.valid & (counts.values > 0)
    return Column(sums.values / np.where(valid, counts.values, 1), valid)


def _float_sum(groups: Groups, column: Column) -> Column:
    return groups.sum(Column(column.values.astype(np.float64), column.valid))


_FOLDS: dict[str, Callable[[Groups, Column], Column]] = {
    "mean": lambda groups, column: _mean(_float_sum(groups, column), groups.count(column)),
    "sum": _float_sum,
    "min": Groups.minimum,
    "max": Groups.maximum,
    "count": Groups.count,
    "last": Groups.last,
}


Standing = dict[tuple[str | None, ...], tuple[int | float, int]]
"""Where a counter stands: series (tag values) to newest value and the window it was in."""


def standing(measurement: Measurement, counter: RollupColumn, hourly: pa.Table) -> Standing:
    """Where ``counter`` stands at the end of ``hourly`` rows (sorted by tags, then time)."""
    if not hourly.num_rows:
        return {}
    series = Groups.of(hourly, measurement.tag_names, _FOREVER_S)
    lasts = Column.of(hourly[f"{counter.field.name}_last"])
    newest = series.last(lasts)
    windows = series.last(Column(unix_seconds(hourly), lasts.valid)).values
    tags = series.first_rows(hourly, measurement.tag_names)
    keys = zip(*(tags[tag].to_pylist() for tag in measurement.tag_names), strict=True)
    rows = zip(keys, newest.values.tolist(), windows.tolist(), newest.valid.tolist(), strict=True)
    return {key: (value, window) for key, value, window, valid in rows if valid}


def _stands_of(series: pa.Table, stands: Standing) -> tuple[Column, npt.NDArray[np.int64]]:
    """``stands`` in the order of the rows of ``series``."""
    found = [stands.get(key) for key in zip(*(column.to_pylist() for column in series.columns), strict=True)]
    known = np.array([stand is not None for stand in found], dtype=np.bool_)
    values = np.array([stand[0] if stand else 0 for stand in found])
    return Column(values, known), np.array([stand[1] if stand else 0 for stand in found], dtype=np.int64)


_FOREVER_S = 1 << 40


def _table(
    measurement: Measurement, source: pa.Table, groups: Groups, fold: Callable[[RollupColumn], Column]
) -> pa.Table:
    columns = rollup_columns(measurement)
    names = ["time", *measurement.tag_names, *(column.name for column in columns)]
    if not len(groups):
        empty = [pa.timestamp("s", tz="UTC"), *([pa.string()] * len(measurement.tag_names))]
        types = [*empty, *(_ARROW[column.type] for column in columns)]
        return pa.schema(list(zip(names, types, strict=True))).empty_table()
    tags = groups.first_rows(source, measurement.tag_names)
    arrays = [
        pa.array(groups.windows[groups.starts]).cast(pa.timestamp("s", tz="UTC")),
        *(tags[tag] for tag in measurement.tag_names),
    ]
    for column in columns:
        arrays.append(fold(column).arrow(_ARROW[column.type]))
    return pa.table(arrays, names=names)


def window_of(time: int, every_s: int) -> int:
    """Start of the epoch-aligned window that holds ``time``."""
    return time - time % every_s
