"""Roll-ups against a plain Python reckoning, over random rows with gaps, resets, nulls and missing tags."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.declaration import Kind, Measurement, Tag, Tier, Type
from storage.declaration.field import counter, flag, gauge, level, state, text, work
from storage.declaration.rollup import rollup_columns
from storage.downsample.rollup import days_of_hours, hours_of_raw

PROBE = Measurement(
    "probe",
    "test",
    "every kind of field",
    (Tag("id", "a"), Tag("part", "b")),
    (
        gauge("temp", "degC", "float level"),
        level("rpm", "rpm", "whole level"),
        counter("shares", "shares", "counter"),
        work("work", "float counter"),
        flag("up", "boolean state"),
        state("mode", ("mining", "auto-tuning"), "string state"),
        text("url", "text"),
    ),
    {Tier.RAW: "mining_raw", Tier.HOURLY: "mining_hourly", Tier.DAILY: "mining_daily"},
)
_TYPES = {Type.FLOAT: pa.float64(), Type.INTEGER: pa.int64(), Type.BOOLEAN: pa.bool_(), Type.STRING: pa.string()}
SECONDS = pa.timestamp("s", tz="UTC")
T = 1795478400  # 2026-11-24T00:00Z

Row = dict[str, Any]


def table(rows: list[Row]) -> pa.Table:
    ordered = sorted(rows, key=lambda row: (row["id"], row["part"] or "", row["time"]))
    schema = pa.schema(
        [("time", SECONDS), ("id", pa.string()), ("part", pa.string())]
        + [(field.name, _TYPES[field.type]) for field in PROBE.fields]
    )
    return pa.Table.from_pylist([{"time": None, **row} for row in ordered], schema=schema)


def nothing_before() -> pa.Table:
    return hours_of_raw(PROBE, table([]), pa.table({}))


def reckoned(rows: list[Row], every: int) -> dict[tuple[Any, ...], Row]:
    """The same by hand: one pass a series, no library."""
    out: dict[tuple[Any, ...], Row] = {}
    series: dict[tuple[Any, Any], list[Row]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: row["time"]):
        series[row["id"], row["part"]].append(row)
    for key, items in series.items():
        before: dict[str, tuple[float, int]] = {}
        for row in items:
            window = row["time"] // 3600 * 3600
            got = out.setdefault((*key, row["time"] // every * every), defaultdict(list))
            for field in PROBE.fields:
                value = row[field.name]
                if value is None:
                    continue
                got[field.name].append(value)
                if field.kind is Kind.COUNTER:
                    old, seen = before.get(field.name, (value, window))
                    if window - seen > 24 * 3600 or field.name not in before:
                        step = 0
                    else:
                        step = value - old if value >= old else value
                    got[field.name + "/inc"].append(step)
                    before[field.name] = (value, window)
    return {key: summary(got) for key, got in out.items()}


def summary(got: Row) -> Row:
    row: Row = {}
    for column in rollup_columns(PROBE):
        values = got[column.field.name]
        match column.aggregate:
            case "count":
                row[column.name] = len(values)
            case "true_count":
                row[column.name] = sum(1 for value in values if value)
            case "value_count":
                row[column.name] = sum(1 for value in values if value == column.value)
            case "inc":
                row[column.name] = sum(got[column.field.name + "/inc"]) if values else None
            case _ if not values:
                row[column.name] = None
            case "mean":
                row[column.name] = math.fsum(values) / len(values)
            case "sum":
                row[column.name] = math.fsum(values)
            case "min":
                row[column.name] = min(values)
            case "max":
                row[column.name] = max(values)
            case "last":
                row[column.name] = values[-1]
    return row


def check_equal(rolled: pa.Table, expected: dict[tuple[Any, ...], Row]) -> None:
    got = {(row.pop("id"), row.pop("part"), int(row.pop("time").timestamp())): row for row in rolled.to_pylist()}
    assert got.keys() == expected.keys()
    for key, row in expected.items():
        for name, value in row.items():
            if isinstance(value, float):
                assert got[key][name] == pytest.approx(value, rel=1e-12, abs=1e-9), (key, name)
            else:
                assert got[key][name] == value, (key, name)


def maybe(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | values


rows_of_two_days = st.lists(
    st.fixed_dictionaries(
        {
            "time": st.integers(T, T + 2 * 86400 - 1),
            "id": st.sampled_from(["a", "b"]),
            "part": st.sampled_from([None, "1", "x,y z"]),
            "temp": maybe(st.floats(-40, 120)),
            "rpm": maybe(st.integers(0, 7000)),
            "shares": maybe(st.integers(0, 5000)),
            "work": maybe(st.floats(0, 1e12)),
            "up": maybe(st.booleans()),
            "mode": maybe(st.sampled_from(["mining", "auto-tuning"])),
            "url": maybe(st.sampled_from(["pool:1", "pool:2"])),
        }
    ),
    max_size=60,
    unique_by=lambda row: (row["time"], row["id"], row["part"]),
)


@settings(max_examples=100, deadline=None)
@given(rows_of_two_days)
def test_hours_and_days_equal_a_plain_reckoning(rows: list[Row]) -> None:
    hourly = hours_of_raw(PROBE, table(rows), nothing_before())
    check_equal(hourly, reckoned(rows, 3600))
    check_equal(days_of_hours(PROBE, hourly), reckoned(rows, 86400))


@settings(max_examples=100, deadline=None)
@given(rows_of_two_days, st.integers(1, 47))
def test_a_cut_at_any_hour_changes_nothing(rows: list[Row], hours: int) -> None:
    cut = T + hours * 3600
    whole = hours_of_raw(PROBE, table(rows), nothing_before())
    first = hours_of_raw(PROBE, table([row for row in rows if row["time"] < cut]), nothing_before())
    second = hours_of_raw(PROBE, table([row for row in rows if row["time"] >= cut]), first)
    joined = pa.concat_tables([first, second]).sort_by(
        [("id", "ascending"), ("part", "ascending"), ("time", "ascending")]
    )
    assert joined.equals(whole.sort_by([("id", "ascending"), ("part", "ascending"), ("time", "ascending")]))


REBOOT = [
    (0, 100),
    (600, 110),
    (1200, 125),
    (1800, 3),
    (2400, 10),
    (3000, 20),
    (3600, 30),
    (4200, 0),
    (4800, 5),
    (7200, 50),
]


def test_a_reboot_loses_nothing_counted_after_it() -> None:
    """Worked example of reference/influx-portable.md 6.5: 45, 15, 45."""
    empty = dict.fromkeys(field.name for field in PROBE.fields)
    rows = [{**empty, "time": T + offset, "id": "a", "part": None, "shares": value} for offset, value in REBOOT]
    hourly = hours_of_raw(PROBE, table(rows), nothing_before())
    assert hourly["shares_inc"].to_pylist() == [45, 15, 45]


def test_a_day_is_not_the_mean_of_hourly_means() -> None:
    """60 points of 1 in one hour and one point of 61 in the next: 121/61."""
    empty = dict.fromkeys(field.name for field in PROBE.fields)
    rows = [{**empty, "time": T + 60 * n, "id": "a", "part": None, "temp": 1.0} for n in range(60)]
    rows.append({**empty, "time": T + 3600, "id": "a", "part": None, "temp": 61.0})
    daily = days_of_hours(PROBE, hours_of_raw(PROBE, table(rows), nothing_before()))
    assert daily["temp_mean"].to_pylist() == [pytest.approx(121 / 61, rel=1e-15)]
