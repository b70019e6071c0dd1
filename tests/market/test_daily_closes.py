"""Daily closes: the last price of each whole UTC day, whatever the step of the series, and never the one of now."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.market.daily_closes import closes_of

DAY = 86_400
HOUR = 3_600
MIDNIGHT = 1_800_000_000 // DAY * DAY
SLOT = MIDNIGHT + 8 * HOUR


def closes(prices: Any, now: int = SLOT, **more: Any) -> list[tuple[int, float | None]]:
    """Day relative to today, and close."""
    found = closes_of({"prices": prices, **more}, source="s", coin_id="c", now=now)
    return [((close.time - MIDNIGHT) // DAY, close.close_usd) for close in found]


def ms(days: float = 0.0, seconds: float = 0.0) -> int:
    return int((MIDNIGHT + days * DAY + seconds) * 1_000)


NOW = [ms(0, 8 * HOUR), 99.0]


@pytest.mark.parametrize(
    ("prices", "right"),
    [
        # daily: a point at 00:00 is the close of the day before, the last point is now
        ([[ms(-1), 1.0], [ms(0), 2.0], NOW], [(-2, 1.0), (-1, 2.0)]),
        ([[ms(0), 2.0], [ms(-1), 1.0], NOW], [(-2, 1.0), (-1, 2.0)]),
        ([[ms(-1), 1.0], [ms(-1), 1.5], NOW], [(-2, 1.5)]),
        # of today there is no close yet, nor of a day without a price near its end
        ([NOW], []),
        ([[ms(-1, 6 * HOUR), 1.0], NOW], []),
        ([[ms(1), 5.0]], []),
        # hourly and five-minutely, off the hour: the last one at or before midnight
        ([[ms(-1, 22 * HOUR + 61), 1.0], [ms(-1, 23 * HOUR + 62), 2.0], [ms(0, 63), 3.0], NOW], [(-1, 2.0)]),
        ([[ms(-1, DAY - 301), 1.0], [ms(-1, DAY - 1), 2.0], [ms(0, 299), 3.0], NOW], [(-1, 2.0)]),
        # no numbers, no close; never a zero
        ([[ms(-1), None], [ms(0), 0.0], NOW], []),
        ([[ms(-1), "1.5"], [ms(0), "1,250.5"], NOW], [(-2, 1.5)]),
        ([[ms(-1), -1.0], [ms(0), True], NOW], []),
        ([[None, 1.0], [ms(0)], [ms(0), 1.0, 2.0], "x", NOW], []),
        (None, []),
        ({}, []),
        ([], []),
        # one point that is of midnight itself
        ([[ms(0), 7.0]], [(-1, 7.0)]),
    ],
)
def test_closes(prices: Any, right: list[tuple[int, float]]) -> None:
    assert closes(prices) == right


def test_now_just_before_midnight_is_no_close_of_the_day() -> None:
    assert closes([[ms(-1), 1.0], [ms(0, -5), 9.0]], now=MIDNIGHT + 30) == [(-2, 1.0)]


def test_cap_and_volume_are_of_the_same_time_or_missing() -> None:
    series = {
        "prices": [[ms(-1), 1.0], [ms(0), 2.0], NOW],
        "market_caps": [[ms(-1), 0], [ms(0), 200.0]],
        "total_volumes": [[ms(-1), 0]],
    }
    first, second = closes_of(series, source="s", coin_id="c", now=SLOT)
    assert (first.market_cap_usd, first.volume_24h_usd) == (None, 0.0)
    assert (second.market_cap_usd, second.volume_24h_usd) == (200.0, None)


@given(st.lists(st.tuples(st.integers(-40 * 24 * 60, 8 * 60 - 1), st.floats(0.01, 1e6)), max_size=200))
def test_a_close_is_the_last_price_before_the_day_was_over(points: list[tuple[int, float]]) -> None:
    series = [[ms(0, minute * 60), price] for minute, price in points]
    for day, close in closes([*series, NOW]):
        end = ms(day + 1)
        before = [(at, number) for number, (at, _) in enumerate(series) if end - 2 * HOUR * 1_000 <= at <= end]
        assert close == series[max(before)[1]][1]
        assert day < 0
