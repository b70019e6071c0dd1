from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.page.charts import Line, line_chart
from deployments.page.history import (
    FLEET_AGGREGATES,
    MINER_AGGREGATES,
    SPANS,
    Columns,
    Grid,
    bridge,
    fleet_history,
    grid_of,
    miner_history,
    with_short_gaps_closed,
)

T = 1_795_478_400
GRID = Grid(T, T + 240, 60)


def windows(*rows: tuple[str, int, float | None, float | None]) -> Columns:
    """Rows (miner, window number, hashrate, power)."""
    names = [f"{field}_{aggregate}" for field, aggregate in FLEET_AGGREGATES.items()]
    columns: dict[str, list[Any]] = {"miner_id": [r[0] for r in rows], "time": [T + 60 * r[1] for r in rows]}
    columns |= {name: [None] * len(rows) for name in names}
    columns["hashrate_hs_mean"] = [r[2] for r in rows]
    columns["power_w_mean"] = [r[3] for r in rows]
    return columns


def test_sums_per_algorithm_and_a_hole_stays_a_hole():
    rows = windows(("a1", 0, 90.0, 3.0), ("a2", 0, 60.0, 2.0), ("l1", 0, 9.0, 4.0), ("a1", 2, 95.0, None))
    got = fleet_history(rows, GRID, {"a1": "sha256d", "a2": "sha256d", "l1": "scrypt"})
    assert got.hashrate_hs == {"sha256d": (150.0, None, 95.0, None), "scrypt": (9.0, None, None, None)}
    assert got.power_w == (9.0, None, None, None)
    assert got.reporting == (3, None, 1, None)


def test_expected_is_shown_where_all_who_report_say_it():
    columns = dict(windows(("a1", 0, 90.0, None), ("a2", 0, 60.0, None), ("a1", 1, 90.0, None), ("a2", 1, 60.0, None)))
    columns["hashrate_nominal_hs_mean"] = [100.0, 70.0, 100.0, None]
    assert fleet_history(columns, GRID, {}).expected_hs == {None: (170.0, None, None, None)}


def test_a_reading_of_zero_is_a_point():
    got = fleet_history(windows(("a1", 1, 0.0, 0.0)), GRID, {})
    assert got.hashrate_hs == {None: (None, 0.0, None, None)}


@given(
    span=st.sampled_from(list(SPANS.values())),
    now=st.floats(T, T + 10**7),
    interval_s=st.sampled_from([30, 60, 300, 900]),
)
def test_windows_cover_the_whole_span_and_are_over(span, now, interval_s):
    """Field case 29: a 24 h chart shows 24 h, however many rows there are."""
    grid = grid_of(span, now, interval_s)
    assert grid.stop - grid.start == len(grid.times) * grid.every_s
    assert span.seconds - grid.every_s < grid.stop - grid.start <= span.seconds or len(grid.times) == 1
    assert grid.stop <= now < grid.stop + grid.every_s
    assert grid.start % grid.every_s == 0
    assert grid.every_s >= interval_s


def test_gaps_are_drawn_as_gaps_and_a_lone_point_is_seen():
    (series,) = line_chart(GRID, [Line("x", (1.0, None, 3.0, 4.0), "#000")], "W", from_zero=True)["series"]
    assert series["connectNulls"] is False
    first, hole, third, _ = series["data"]
    assert first["value"] == [T * 1000, 1.0]
    assert first["symbol"] == "circle"
    assert hole == [(T + 60) * 1000, None]
    assert third == [(T + 120) * 1000, 3.0]


@pytest.mark.parametrize("key", ["7d", "30d"])
def test_long_spans_are_read_from_the_hourly_tier(key):
    assert SPANS[key].hourly
    assert grid_of(SPANS[key], T, 60).every_s == 3600


def test_short_gaps_of_a_miner_are_lines_of_their_own() -> None:
    start = GRID.start
    empty: dict[str, Any] = {f"{name}_{how}": [None, None] for name, how in MINER_AGGREGATES.items()}
    columns = empty | {"time": [start, start + 2 * GRID.every_s], "power_w_mean": [3_000.0, 3_020.0]}
    history = miner_history(columns, GRID)
    assert history.interpolated == {}
    rows: list[dict[str, Any]] = [
        {"time": start, "power_w": 3_000, "hashrate_hs": None, "interpolated": None},
        {"time": start + GRID.every_s, "power_w": 3_010, "hashrate_hs": 9e13, "interpolated": "hashrate_hs,power_w"},
        {"time": start + 2 * GRID.every_s, "power_w": 3_021, "interpolated": "power_w"},  # another row was read then
        {"time": GRID.stop, "power_w": 3_030, "interpolated": "power_w"},
        {"time": start + GRID.every_s, "voltage_v": 13.0, "interpolated": "voltage_v"},  # no line of the page
    ]
    closed = with_short_gaps_closed(history, rows)
    assert closed.lines == history.lines
    assert closed.interpolated == {
        "hashrate_hs_mean": (None, 9e13, None, None), "power_w_mean": (None, 3_010, None, None),
    }  # fmt: skip
    assert bridge(closed.lines["power_w_mean"], closed.interpolated["power_w_mean"]) == (3_000, 3_010, 3_020, None)
    assert bridge(closed.lines["hashrate_hs_mean"], closed.interpolated["hashrate_hs_mean"]) == (None, 9e13, None, None)
