"""Growth and forecast as tables and properties; the right answers by walking day after day."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from storage.disk_budget.forecast import (
    KNOWN_DAYS,
    NOT_YET,
    Forecast,
    Growth,
    Stock,
    days_until_full,
    growth_of_days,
    growth_of_totals,
)
from storage.disk_budget.guard import Action, due
from storage.settings import DiskSettings

TODAY = 20_000


@pytest.mark.parametrize(
    ("ago", "per_day"),
    [
        ({}, None),
        ({0: 500}, None),
        ({1: 500, 0: 500}, None),
        ({2: 100, 1: 300}, 200),  # two whole days are all there is
        ({3: 10, 2: 100, 1: 300, 0: 7}, 200),  # collecting began in the first, today is not over
        ({9: 10_000, 8: 10_000, **dict.fromkeys(range(1, 8), 70)}, 70),
        ({4: 90, 1: 90}, 30),  # two days without a byte count
        ({30: 700}, 0),  # long at rest
    ],
)
def test_growth_of_days(ago: dict[int, float], per_day: float | None) -> None:
    found = growth_of_days({TODAY - days: size for days, size in ago.items()}, TODAY)
    assert found.bytes_per_day == per_day
    assert (found.reason is None) is (per_day is not None)


@pytest.mark.parametrize(
    ("ago", "per_day"),
    [
        ({0: 5}, None),
        ({1: 5, 0: 9}, None),
        ({2: 5, 0: 9}, 2),
        ({2: 100, 1: 110, 0: 120}, 10),
        ({2: 100, 1: 50, 0: 0}, 0),  # it shrinks: that is not relied on
        ({40: 10_000, 2: 100, 1: 110, 0: 120}, 10),
    ],
)
def test_growth_of_totals(ago: dict[int, int], per_day: float | None) -> None:
    found = growth_of_totals({TODAY - days: total for days, total in ago.items()}, TODAY)
    assert found.bytes_per_day == (None if per_day is None else pytest.approx(per_day, abs=1e-3))


def test_the_steps_of_a_weekly_archive_even_out() -> None:
    totals = {TODAY - ago: 700 * ((28 - ago) // 7) for ago in range(29)}
    slope = float(np.polyfit(list(totals), list(totals.values()), 1)[0])
    found = growth_of_totals(totals, TODAY).bytes_per_day
    assert found == pytest.approx(slope)
    assert found == pytest.approx(100, rel=0.1)


@given(st.floats(0, 1e12), st.integers(KNOWN_DAYS, 28))
def test_a_steady_growth_is_found_by_both(rate: float, days: int) -> None:
    totals = {TODAY - ago: int(rate) * (days - ago) for ago in range(days + 1)}
    assert growth_of_totals(totals, TODAY).bytes_per_day == pytest.approx(int(rate), rel=1e-9, abs=1e-6)
    by_day = {TODAY - ago: int(rate) + 1 for ago in range(1, days + 1)}
    assert growth_of_days(by_day, TODAY).bytes_per_day == pytest.approx(int(rate) + 1)


def stock(size: int, rate: float | None, ceiling: float | None = None) -> Stock:
    return Stock(size, NOT_YET if rate is None else Growth(rate), ceiling)


@pytest.mark.parametrize(
    ("stocks", "free", "expected"),
    [
        ([stock(100, 10)], 50, Forecast(5)),
        ([stock(100, 10), stock(5, 15)], 50, Forecast(2)),
        ([stock(100, 0)], 50, Forecast(None, "levels off with 50 bytes free")),
        ([stock(100, 10, 120)], 50, Forecast(None, "levels off with 30 bytes free")),
        ([stock(100, 10, 150)], 50, Forecast(5)),
        ([stock(100, 10, 120), stock(0, 5)], 50, Forecast(6)),  # 2 days of 15, then 4 of 5
        ([stock(100, 10, 90)], 50, Forecast(None, "levels off with 50 bytes free")),
        ([], 50, Forecast(None, "levels off with 50 bytes free")),
        ([stock(100, None)], 50, Forecast(None, NOT_YET.reason)),
        ([stock(100, 10), stock(50, None)], 50, Forecast(None, NOT_YET.reason)),
        ([stock(1000, 10), stock(50, None)], 50, Forecast(5)),  # small beside the rest
        ([stock(100, 10)], 0, Forecast(0)),
        (
            [stock(0, 2, 2), stock(0, 36, 21)],
            279,
            Forecast(None, "levels off with 256 bytes free"),
        ),  # 255.999... in floats
    ],
)
def test_days_until_full(stocks: list[Stock], free: float, expected: Forecast) -> None:
    assert days_until_full(stocks, free) == expected


sizes = st.integers(0, 1000)


@given(st.lists(st.builds(stock, sizes, st.integers(0, 50), st.none() | sizes), max_size=6), st.integers(0, 5000))
def test_the_forecast_is_what_walking_day_by_day_gives(stocks: list[Stock], free: int) -> None:
    found = days_until_full(stocks, free)

    def taken(days: float) -> float:
        return sum(
            min(one.rate * days, float("inf") if one.ceiling is None else max(0.0, one.ceiling - one.bytes))
            for one in stocks
        )

    if found.days is None:
        assert taken(1e6) <= free
        assert found.reason == f"levels off with {round(free - taken(1e6))} bytes free"
    else:
        assert taken(found.days) == pytest.approx(free, rel=1e-9, abs=1e-6)
        assert found.days == 0 or taken(found.days * 0.99) < free + 1e-6


@pytest.mark.parametrize(
    ("days", "percent", "expected"),
    [
        (None, 50, ()),
        (100, 50, ()),
        (29, 50, (Action.COMPACT,)),
        (20, 50, (Action.COMPACT, Action.ARCHIVE)),
        (13, 50, (Action.COMPACT, Action.ARCHIVE, Action.WARN)),
        (None, 19, (Action.COMPACT,)),
        (None, 14, (Action.COMPACT, Action.ARCHIVE)),
        (None, 9, (Action.COMPACT, Action.ARCHIVE, Action.WARN)),
        (20, 9, (Action.COMPACT, Action.ARCHIVE, Action.WARN)),
        (30, 20, ()),
    ],
)
def test_the_mildest_step_comes_first(days: float | None, percent: float, expected: tuple[Action, ...]) -> None:
    assert due(days, percent, DiskSettings()) == expected


@given(st.none() | st.floats(0, 1000), st.floats(0, 100))
def test_a_later_step_never_comes_without_those_before(days: float | None, percent: float) -> None:
    assert due(days, percent, DiskSettings()) in [tuple(Action)[:number] for number in range(4)]


@pytest.mark.parametrize(
    "wrong", [{"warn_below_days": 40}, {"archive_below_percent": 30}, {"compact_below_percent": 1}]
)
def test_limits_in_a_wrong_order(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match="compact before archive before warn"):
        DiskSettings.model_validate(wrong)
