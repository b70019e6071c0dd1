"""Indicators against published vectors (StockCharts' closes, TA-Lib's numbers), and where they must be null."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.derive.indicators import change_percent, closes_in_a_row, indicators, moving_average, rsi, volatility

# Closes of the StockCharts lesson on RSI, 2009-12-14 to 2010-02-01.
CLOSES = np.array(
    [
        44.3389, 44.0902, 44.1497, 43.6124, 44.3278, 44.8264, 45.0955, 45.4245, 45.8433, 46.0826, 45.8931,
        46.0328, 45.6140, 46.2820, 46.2820, 46.0028, 46.0328, 46.4116, 46.2222, 45.6439, 46.2122, 46.2521,
        45.7137, 46.4515, 45.7835, 45.3548, 44.0288, 44.1783, 44.2181, 44.5672, 43.4205, 42.6628, 43.1314,
    ]
)  # fmt: skip
RSI = [
    70.5328, 66.3186, 66.5498, 69.4063, 66.3552, 57.9749, 62.9296, 63.2571, 56.0593, 62.3771, 54.7076, 50.4228,
    39.9898, 41.4605, 41.8689, 45.4632, 37.3040, 33.0795, 37.7730,
]  # fmt: skip


def test_rsi_as_published() -> None:
    index = rsi(CLOSES)
    assert np.isnan(index[:14]).all()
    assert [round(value, 4) for value in index[14:]] == RSI


def test_volatility_as_published() -> None:
    assert volatility(CLOSES)[-1] == pytest.approx(0.012078852563, abs=5e-13)
    assert indicators(CLOSES).volatility_30d[-1] == pytest.approx(0.2307661542, abs=5e-11)


@pytest.mark.parametrize("enough", [15])
def test_rsi_is_null_until_there_are_closes_enough(enough: int) -> None:
    assert np.isnan(rsi(CLOSES[: enough - 1])).all()
    assert not np.isnan(rsi(CLOSES[:enough])[-1])


@pytest.mark.parametrize(
    ("closes", "last"),
    [
        (np.arange(1.0, 17.0), 100.0),  # nothing fell
        (np.arange(17.0, 1.0, -1.0), 0.0),  # nothing rose
        (np.full(20, 5.0), None),  # nothing moved
    ],
)
def test_rsi_at_the_edges(closes: np.ndarray, last: float | None) -> None:
    value = rsi(closes)[-1]
    assert (None if np.isnan(value) else value) == last


def test_a_gap_starts_rsi_anew() -> None:
    with_gap = np.concatenate([np.linspace(1, 9, 30), [np.nan], CLOSES])
    assert np.isnan(rsi(with_gap)[31 : 31 + 14]).all()
    assert [round(value, 4) for value in rsi(with_gap)[45:]] == RSI


@pytest.mark.parametrize("days", [50, 200])
def test_a_mean_needs_all_its_closes(days: int) -> None:
    closes = np.arange(float(days))
    assert np.isnan(moving_average(closes, days)[:-1]).all()
    assert moving_average(closes, days)[-1] == (days - 1) / 2  # of 0, 1, ..., days - 1
    closes[3] = np.nan
    assert np.isnan(moving_average(closes, days)).all()


def test_change_is_against_the_day_itself_however_many_are_missing_between() -> None:
    closes = np.array([100.0, np.nan, 50.0, 110.0])
    assert change_percent(closes, 3)[-1] == pytest.approx(10.0)
    assert np.isnan(change_percent(closes, 2)[-1])
    assert np.isnan(change_percent(np.array([0.0, 1.0]), 1)[-1])  # against nothing there is no change


def test_closes_in_a_row() -> None:
    assert closes_in_a_row(np.array([1.0, 2.0, np.nan, 3.0])).tolist() == [1, 2, 0, 1]


def test_no_closes_at_all() -> None:
    assert len(indicators(np.array([])).rsi_14) == 0


@given(st.lists(st.one_of(st.none(), st.floats(1e-6, 1e6)), max_size=80))
def test_a_day_knows_nothing_of_the_next(closes: list[float | None]) -> None:
    values = np.array([np.nan if close is None else close for close in closes], dtype=float)
    whole, shorter = indicators(values), indicators(values[:-1])
    for name in ("rsi_14", "ma_50", "volatility_30d", "change_7d_percent"):
        np.testing.assert_array_equal(getattr(whole, name)[:-1], getattr(shorter, name))
    known = whole.rsi_14[~np.isnan(whole.rsi_14)]
    assert ((known >= 0) & (known <= 100)).all()
