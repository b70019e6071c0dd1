"""Indicators of a coin from its daily closes. Null until there are enough closes without a gap, never 0 or 50.

Closes are one a UTC day, oldest first; a day without one is NaN. All results have the shape of the closes given: the
value of day n is made from days up to n alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Closes = npt.NDArray[np.float64]

RSI_DAYS = 14
VOLATILITY_DAYS = 30
DAYS_A_YEAR = 365
"""Coins are traded every day; 252 is the habit of stock exchanges."""


@dataclass(frozen=True, slots=True)
class Indicators:
    """One value a day; NaN where it is not known. Ratios are fractions, changes percent.

    ``closes_in_a_row`` says how many closes without a gap end on that day.
    """

    rsi_14: Closes
    ma_50: Closes
    ma_200: Closes
    volatility_30d_daily: Closes
    volatility_30d: Closes
    change_1d_percent: Closes
    change_7d_percent: Closes
    change_30d_percent: Closes
    closes_in_a_row: npt.NDArray[np.int64]


def indicators(closes: Closes) -> Indicators:
    """All of them."""
    daily = volatility(closes, VOLATILITY_DAYS)
    return Indicators(
        rsi_14=rsi(closes, RSI_DAYS),
        ma_50=moving_average(closes, 50),
        ma_200=moving_average(closes, 200),
        volatility_30d_daily=daily,
        volatility_30d=daily * np.sqrt(DAYS_A_YEAR),
        change_1d_percent=change_percent(closes, 1),
        change_7d_percent=change_percent(closes, 7),
        change_30d_percent=change_percent(closes, 30),
        closes_in_a_row=closes_in_a_row(closes),
    )


def rsi(closes: Closes, days: int = RSI_DAYS) -> Closes:
    """Wilder's relative strength index: the first mean is the plain one of ``days`` changes, then each new change
    weighs 1/``days``.

    100 where nothing fell; NaN where nothing moved at all, for which implementations disagree (0, 50, 100). A gap
    starts it anew.
    """
    index = np.full(len(closes), np.nan)
    for start, stop in _runs(closes):
        changes = np.diff(closes[start:stop])
        if len(changes) < days:
            continue
        gains, losses = np.maximum(changes, 0.0), np.maximum(-changes, 0.0)
        gain, loss = gains[:days].mean(), losses[:days].mean()
        index[start + days] = _strength(gain, loss)
        for day in range(days, len(changes)):  # each mean needs the one before; a year has 365
            gain += (gains[day] - gain) / days
            loss += (losses[day] - loss) / days
            index[start + day + 1] = _strength(gain, loss)
    return index


def moving_average(closes: Closes, days: int) -> Closes:
    """The plain mean of the last ``days`` closes; NaN where one of them is missing."""
    return _windowed(closes, days, lambda windows: windows.mean(axis=1))


def volatility(closes: Closes, days: int = VOLATILITY_DAYS) -> Closes:
    """The sample deviation (n - 1) of the last ``days`` daily log returns, of a day; NaN where a close is missing."""
    if not len(closes):
        return np.array([])
    with np.errstate(divide="ignore", invalid="ignore"):
        returns = np.concatenate([[np.nan], np.diff(np.log(np.where(closes > 0, closes, np.nan)))])
    return _windowed(returns, days, lambda windows: windows.std(axis=1, ddof=1))


def change_percent(closes: Closes, days: int) -> Closes:
    """The close against the one ``days`` before, in percent; days between them may be missing."""
    change = np.full(len(closes), np.nan)
    if len(closes) > days:
        before = np.where(closes[:-days] > 0, closes[:-days], np.nan)
        change[days:] = (closes[days:] / before - 1.0) * 100.0
    return change


def closes_in_a_row(closes: Closes) -> npt.NDArray[np.int64]:
    """How many closes without a gap end on each day."""
    counts = np.zeros(len(closes), dtype=np.int64)
    for start, stop in _runs(closes):
        counts[start:stop] = np.arange(1, stop - start + 1)
    return counts


def _strength(gain: float, loss: float) -> float:
    if gain <= 0.0 and loss <= 0.0:
        return float("nan")
    return 100.0 * gain / (gain + loss)


def _windowed(values: Closes, days: int, fold: Callable[[Closes], Closes]) -> Closes:
    result = np.full(len(values), np.nan)
    if len(values) >= days:
        windows = np.lib.stride_tricks.sliding_window_view(values, days)
        whole = ~np.isnan(windows).any(axis=1)
        result[days - 1 :][whole] = fold(windows[whole])
    return result


def _runs(closes: Closes) -> list[tuple[int, int]]:
    """Stretches [start, stop) without a gap."""
    known = np.concatenate([[False], ~np.isnan(closes), [False]])
    edges = np.flatnonzero(known[1:] != known[:-1])
    return [(int(start), int(stop)) for start, stop in zip(edges[::2], edges[1::2], strict=True)]
