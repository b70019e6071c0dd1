"""One roll-up: rows of a tier in, rows of the next tier out. Pure; the columns are those of the declaration.

Sums and counts are carried, so a day made of hours equals the day made of raw rows.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa

from storage.arrow_schema import integers
from storage.declaration import Kind, Measurement, Type
from storage.declaration.rollup import RollupColumn, rollup_columns, timed_fields
from storage.downsample.carried import Carried, series_of
from storage.downsample.growth import Growth, by_order, by_uptime, growth
from storage.downsample.spans import Spans
from storage.downsample.windows import Column, Groups

HOUR_S = 3600
DAY_S = 86400

_ARROW = {Type.FLOAT: pa.float64(), Type.INTEGER: pa.int64(), Type.BOOLEAN: pa.bool_(), Type.STRING: pa.string()}


def hours_of_raw(measurement: Measurement, raw: pa.Table, before: pa.Table, every_s: int = HOUR_S) -> pa.Table:
    """Hourly rows (or of ``every_s``) of ``raw`` (as a Store reads it, sorted by tags and time; whole windows only).

    ``before`` holds the carried columns of the hourly rows of the COUNTER_MEMORY_S before, sorted alike: where counters
    and states stand when ``raw`` begins.
    """
    groups = Groups.of(raw, measurement.tag_names, every_s)
    if not len(groups):
        return _empty(measurement)
    columns = {field.name: Column.of(raw[field.name]) for field in measurement.fields}
    firsts = raw.select(list(measurement.tag_names)).take(integers(np.flatnonzero(groups.series_starts)))
    carried = Carried.of(measurement, before).of_series(series_of(firsts))
    growths = _growths(measurement, groups, columns, carried)
    timed = [field.name for field in timed_fields(measurement)]
    spans = Spans.of(
        groups,
        {name: columns[name] for name in timed},
        {name: carried.standings[name] for name in timed},
        measurement.stands_s,
    )

    def fold(column: RollupColumn) -> Column:
        name = column.field.name
        values = columns[name]
        match column.aggregate:
            case "value_count":
                return groups.count_equal(values, column.value)
            case "true_count":
                return groups.count_equal(values, True)
            case "inc":
                return groups.sum(Column(growths[name].grown, values.valid))
            case "last" if name in growths:
                return groups.last(Column(growths[name].stands, values.valid))
            case "last_at":
                times = growths[name].stands_at if name in growths else groups.times
                return groups.last(Column(times, values.valid))
            case "seconds":
                return spans.seconds(name, values.valid, carried.standings[name].column.valid)
            case "true_seconds" | "value_seconds":
                value = True if column.value is None else column.value
                return spans.seconds(name, values.equal(value), carried.standings[name].column.equal(value))
            case "integral":
                return spans.integral(name, values, carried.standings[name].column)
        return _FOLDS[column.aggregate](groups, values)

    return _table(measurement, raw, groups, fold)


def _growths(
    measurement: Measurement, groups: Groups, columns: dict[str, Column], carried: Carried
) -> dict[str, Growth]:
    found: dict[str, Growth] = {}
    order, uptime = None, columns.get(measurement.uptime or "")
    if measurement.uptime is not None and uptime is not None:
        order = growth(groups, uptime, carried.standings[measurement.uptime], by_uptime(groups, uptime))
        found[measurement.uptime] = order
    for field in measurement.fields:
        if field.kind is Kind.COUNTER and field.name not in found:
            values = columns[field.name]
            found[field.name] = growth(
                groups, values, carried.standings[field.name], by_order(groups, order, uptime, values)
            )
    return found


def days_of_hours(measurement: Measurement, hourly: pa.Table, every_s: int = DAY_S) -> pa.Table:
    """Daily rows (UTC days, or windows of ``every_s``) of ``hourly`` rows, exact: sums of sums over sums of counts,
    newest of newest."""
    groups = Groups.of(hourly, measurement.tag_names, every_s)
    if not len(groups):
        return _empty(measurement)

    def fold(column: RollupColumn) -> Column:
        if column.aggregate == "mean":
            return _mean(groups.sum(_of(hourly, column, "sum")), groups.sum(_of(hourly, column, "count")))
        values = Column.of(hourly[column.name])
        if column.aggregate in ("min", "max", "last", "last_at"):
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
    "last_at": Groups.last,
}


def _empty(measurement: Measurement) -> pa.Table:
    tags = [pa.field(tag, pa.string()) for tag in measurement.tag_names]
    columns = [pa.field(column.name, _ARROW[column.type]) for column in rollup_columns(measurement)]
    return pa.schema([pa.field("time", pa.timestamp("s", tz="UTC")), *tags, *columns]).empty_table()


def _table(
    measurement: Measurement, source: pa.Table, groups: Groups, fold: Callable[[RollupColumn], Column]
) -> pa.Table:
    columns = rollup_columns(measurement)
    names = ["time", *measurement.tag_names, *(column.name for column in columns)]
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
