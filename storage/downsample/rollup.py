"""One roll-up: rows of a tier in, rows of the next tier out. Pure; the columns are those of the declaration.

Sums and counts are carried, so a day made of hours equals the day made of raw rows.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa

from storage.declaration import Measurement, Type
from storage.declaration.rollup import RollupColumn, rollup_columns
from storage.downsample.windows import Column, Groups

HOUR_S = 3600
DAY_S = 86400

_ARROW = {Type.FLOAT: pa.float64(), Type.INTEGER: pa.int64(), Type.BOOLEAN: pa.bool_(), Type.STRING: pa.string()}


def hours_of_raw(measurement: Measurement, raw: pa.Table, before: pa.Table) -> pa.Table:
    """Hourly rows of ``raw`` (as a Store reads it, sorted by tags and time; whole hours only).

    ``before`` holds earlier hourly rows, sorted alike; its newest ``<counter>_last`` of a series is where the counter
    stood before ``raw`` begins.
    """
    groups = Groups.of(raw, measurement.tag_names, HOUR_S)

    def fold(column: RollupColumn) -> Column:
        values = Column.of(raw[column.field.name])
        if column.aggregate == "value_count":
            return groups.count_equal(values, column.value)
        if column.aggregate == "true_count":
            return groups.count_equal(values, True)
        if column.aggregate == "inc":
            return groups.increase(values, _stand_before(measurement, column, raw, before, groups))
        return _FOLDS[column.aggregate](groups, values)

    return _table(measurement, raw, groups, fold)


def days_of_hours(measurement: Measurement, hourly: pa.Table) -> pa.Table:
    """Daily rows (UTC days) of ``hourly`` rows, exact: sums of sums over sums of counts, newest of newest."""
    groups = Groups.of(hourly, measurement.tag_names, DAY_S)

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


def _stand_before(
    measurement: Measurement, column: RollupColumn, raw: pa.Table, before: pa.Table, groups: Groups
) -> Column:
    """Where the counter stood before ``raw``, one entry per series of ``raw``."""
    firsts = raw.select(list(measurement.tag_names)).take(pa.array(np.flatnonzero(groups.series_starts)))
    keys = list(zip(*(firsts[tag].to_pylist() for tag in measurement.tag_names), strict=True))
    earlier = Groups.of(before, measurement.tag_names, _FOREVER_S)
    newest = earlier.last(Column.of(before[f"{column.field.name}_last"])) if len(earlier) else None
    stand: dict[tuple[str | None, ...], int | float] = {}
    if newest is not None:
        series = earlier.first_rows(before, measurement.tag_names)
        rows = zip(*(series[tag].to_pylist() for tag in measurement.tag_names), strict=True)
        stand = {
            key: value
            for key, value, valid in zip(rows, newest.values.tolist(), newest.valid.tolist(), strict=True)
            if valid
        }
    dtype = np.float64 if column.type is Type.FLOAT else np.int64
    return Column(
        np.array([stand.get(key, 0) for key in keys], dtype=dtype),
        np.array([key in stand for key in keys], dtype=np.bool_),
    )


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
    arrays = [pa.array(groups.windows).cast(pa.timestamp("s", tz="UTC")), *(tags[tag] for tag in measurement.tag_names)]
    for column in columns:
        arrays.append(fold(column).arrow(_ARROW[column.type]))
    return pa.table(arrays, names=names)


def window_of(time: int, every_s: int) -> int:
    """Start of the epoch-aligned window that holds ``time``."""
    return time - time % every_s
