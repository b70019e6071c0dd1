"""Prices at times past: the provider that counted then."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tasks.market.price_then import PricesThen
from tests.pools.telling import H, T, table


def told(time: int, usd: float | None, source: str = "coingecko", age: float | None = None) -> dict[str, Any]:
    return {"time": time, "source": source, "coin_id": "litecoin", "price_usd": usd, "age_s": age}


@pytest.mark.parametrize(
    ("rows", "price"),
    [
        ([told(T - 60, 80.0)], 80.0),
        ([told(T, 80.0)], 80.0),
        ([told(T + 1, 80.0)], None),  # nobody looks ahead
        ([told(T - H, 80.0)], 80.0),
        ([told(T - H - 1, 80.0)], None),
        ([told(T - 60, 80.0, age=H)], None),  # what came late was old
        ([told(T - 600, 80.0), told(T - 60, 81.0)], 81.0),
        ([told(T - 60, None), told(T - 600, 80.0), told(T - 30, 0.0)], 80.0),
        ([told(T - 600, 80.0), told(T - 60, 90.0, "coinmarketcap")], 80.0),  # both fresh: the first by priority
        ([told(T - 2_000, 80.0), told(T - 60, 90.0, "coinmarketcap")], 90.0),
        ([told(T - 2_000, 80.0), told(T - 1_900, 90.0, "coinmarketcap")], 90.0),  # none is fresh: the youngest
        ([told(T - 60, 70.0, "another"), told(T - 600, 90.0, "coinmarketcap")], 90.0),
        ([], None),
    ],
)
def test_the_price_that_counted(rows: list[dict[str, Any]], price: float | None) -> None:
    assert PricesThen(table("market_data", rows)).usd_at("litecoin", T) == price


def test_many_times_at_once() -> None:
    prices = PricesThen(table("market_data", [told(T, 80.0), told(T + H, 90.0)]))
    found = prices.usd("litecoin", np.array([T - 1, T, T + H, T + 3 * H]))
    assert np.array_equal(found, [np.nan, 80.0, 90.0, np.nan], equal_nan=True)
    assert prices.usd_at("dogecoin", T) is None
