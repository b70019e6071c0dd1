"""Roll-ups against a plain Python reckoning, over random rows with gaps, resets, nulls, misdated rows, missing tags."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.declaration import Measurement, Tag, Tier, Type
from storage.declaration.field import counter, flag, gauge, level, state, text, work
from storage.downsample.rollup import days_of_hours, hours_of_raw
from tests.downsample.reckoning import check_equal, reckoned

PROBE = Measurement(
    "probe",
    "test",
    "every kind of field",
    (Tag("id", "a"), Tag("part", "b")),
    (
        gauge("temp", "degC", "float level"),
        gauge("power", "W", "float level that adds up over time", integrated=True),
        level("rate", "H/s", "whole level that adds up over time", integrated=True),
        level("rpm", "rpm", "whole level"),
        counter("shares", "shares", "counter"),
        work("work", "float counter"),
        counter("uptime", "s", "time since the start"),
        flag("up", "boolean state"),
        state("mode", ("mining", "auto-tuning"), "string state"),
        text("url", "text"),
    ),
    {Tier.RAW: "mining_raw", Tier.HOURLY: "mining_hourly", Tier.DAILY: "mining_daily"},
    stands_s=1500,
    uptime="uptime",
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


def maybe(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | values


rows_of_two_days = st.lists(
    st.fixed_dictionaries(
        {
            "time": st.integers(T + 7000, T + 15000) | st.integers(T, T + 2 * 86400 - 1),
            "id": st.sampled_from(["a", "b"]),
            "part": st.sampled_from([None, "x,y z"]),
            "temp": maybe(st.floats(-40, 120)),
            "power": maybe(st.floats(0, 5000)),
            "rate": maybe(st.integers(0, 10**15)),
            "rpm": maybe(st.integers(0, 7000)),
            "shares": maybe(st.integers(0, 5000)),
            "work": maybe(st.floats(0, 1e12)),
            "uptime": maybe(st.integers(0, 9000)),
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
    check_equal(PROBE, hourly, reckoned(PROBE, rows, 3600))
    check_equal(PROBE, days_of_hours(PROBE, hourly), reckoned(PROBE, rows, 86400))


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
