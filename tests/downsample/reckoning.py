"""Roll-ups reckoned slowly, in plain Python: row by row from the rules as docs/decisions state them, no library."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import zip_longest
from typing import Any

import pyarrow as pa
import pytest

from storage.declaration import Kind, Measurement, Type
from storage.declaration.field import Field
from storage.declaration.rollup import RollupColumn, rollup_columns

HOUR, DAY = 3600, 86400
Row = Mapping[str, Any]
Key = tuple[Any, ...]
"""Tag values, then the start of the window."""


def reckoned(measurement: Measurement, rows: Iterable[Row], every: int) -> dict[Key, dict[str, Any]]:
    """Every window of every series that has a row. Rows hold ``time``, tags and fields; no two of them one key."""
    series: dict[Key, list[Row]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: int(row["time"])):
        series[tuple(row[tag] for tag in measurement.tag_names)].append(row)
    found: dict[Key, dict[str, Any]] = {}
    for tags, own in series.items():
        order = _order(measurement, own)
        counters = {field.name: _counter(field, own, order) for field in measurement.fields}
        for window in sorted({row["time"] // every * every for row in own}):
            inside = [row for row in own if window <= row["time"] < window + every]
            found[*tags, window] = {
                column.name: _value(measurement, column, own, inside, counters[column.field.name], window, every)
                for column in rollup_columns(measurement)
            }
    return found


def _order(measurement: Measurement, rows: list[Row]) -> dict[int, bool | None]:
    """Time of a row: whether its uptime says that it was read before one dated earlier; None: it says nothing."""
    found: dict[int, bool | None] = {}
    stands: tuple[int, int] | None = None  # uptime and time of the row by which it stands
    for row in rows:
        time, uptime = row["time"], row[measurement.uptime] if measurement.uptime else None
        found[time] = None
        if uptime is None:
            continue
        if stands is not None and time - stands[1] <= DAY:
            has_been_up = time - uptime < stands[1] - 120
            found[time] = uptime < stands[0] and has_been_up and time - stands[1] <= DAY / 2
        if not found[time]:
            stands = uptime, time
    return found


def _counter(field: Field, rows: list[Row], order: dict[int, bool | None]) -> dict[int, tuple[float, float, int]]:
    """Time of a row with the counter: how much it grew, where it stands since, and the time of the row of that."""
    found: dict[int, tuple[float, float, int]] = {}
    if field.kind is not Kind.COUNTER:
        return found
    stands: tuple[float, int] | None = None
    newest = 0
    for row in rows:
        value, time = row[field.name], row["time"]
        if value is None:
            continue
        grown: float = 0
        goes_on = newest // HOUR >= time // HOUR - 1
        newest = time
        if stands is not None and time - stands[1] <= DAY:
            was_read_before = order[time] if order[time] is not None else goes_on and value > stands[0] / 2
            if value >= stands[0]:
                grown = value - stands[0]
            elif was_read_before and time - stands[1] <= DAY / 2:
                found[time] = 0, *stands
                continue
            else:
                grown = value
        stands = value, time
        found[time] = grown, *stands
    return found


def _value(
    measurement: Measurement,
    column: RollupColumn,
    series: list[Row],
    inside: list[Row],
    counter: dict[int, tuple[float, float, int]],
    window: int,
    every: int,
) -> Any:
    name = column.field.name
    having = [row for row in inside if row[name] is not None]
    values = [row[name] for row in having]
    match column.aggregate:
        case "count":
            return len(values)
        case "true_count":
            return sum(1 for value in values if value)
        case "value_count":
            return sum(1 for value in values if value == column.value)
        case "seconds":
            return sum(lasts for _, lasts in _stood(measurement, name, series, window, every))
        case "true_seconds":
            return sum(lasts for value, lasts in _stood(measurement, name, series, window, every) if value)
        case "value_seconds":
            spells = _stood(measurement, name, series, window, every)
            return sum(lasts for value, lasts in spells if value == column.value)
        case "integral":
            return math.fsum(value * lasts for value, lasts in _stood(measurement, name, series, window, every))
        case _ if not values:
            return None
        case "inc":
            return sum(counter[row["time"]][0] for row in having)
        case "last":
            return counter[having[-1]["time"]][1] if counter else values[-1]
        case "last_at":
            return counter[having[-1]["time"]][2] if counter else having[-1]["time"]
        case "mean":
            return math.fsum(values) / len(values)
        case "sum":
            return math.fsum(values)
        case "min":
            return min(values)
        case "max":
            return max(values)
    raise AssertionError(column)


def _stood(
    measurement: Measurement, name: str, series: list[Row], window: int, every: int
) -> Iterable[tuple[Any, int]]:
    """Spells of ``name``: value and the seconds of the window, hour by hour, that it stood; unknown ones not."""
    timed = [field.name for field in measurement.fields if field.kind is Kind.STATE or field.integrated]
    telling = [row for row in series if any(row[other] is not None for other in timed)]
    hours = {row["time"] // HOUR for row in telling} if every >= HOUR else set()
    for row, after in zip_longest(telling, telling[1:]):
        if row[name] is None:
            continue
        until = row["time"] + measurement.stands_s
        if after is not None:
            until = min(until, after["time"])
        for part in range(window, window + every, min(every, HOUR)):
            lasts = min(until, part + HOUR) - max(row["time"], part)
            if lasts > 0 and part // HOUR in hours:
                yield row[name], lasts


def check_equal(measurement: Measurement, rolled: pa.Table, expected: dict[Key, dict[str, Any]]) -> None:
    """Equal; sums and means of floats up to the last bits, which depend on the order of addition."""
    got = {}
    for row in rolled.to_pylist():
        time = int(row.pop("time").timestamp())
        got[*(row.pop(tag) for tag in measurement.tag_names), time] = row
    assert got.keys() == expected.keys()
    for key, wanted in expected.items():
        for column in rollup_columns(measurement):
            value = got[key][column.name]
            if column.aggregate in ("mean", "sum", "inc", "integral") and isinstance(wanted[column.name], float):
                assert value == pytest.approx(wanted[column.name], rel=1e-12, abs=1e-9), (key, column.name)
            else:
                assert value == wanted[column.name], (key, column.name)
            assert value is None or column.type is not Type.INTEGER or type(value) is int
