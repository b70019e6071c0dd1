"""Return on investment, by the days of profit that are stored: cumulative profit, ROI, days until break-even. Pure."""

from __future__ import annotations

import numpy as np

from tasks.derive.financial import total
from tasks.derive.hour_grid import Floats, ratio

TRAILING_D = 30
"""Days whose mean profit says how fast the rest comes in."""


def cumulative(profit: Floats, before: Floats) -> Floats:
    """Profit of all days up to each (miners x days), on top of ``before`` (miners x 1); a day that is not known adds
    nothing. NaN until one is known."""
    started = np.logical_or.accumulate(~np.isnan(profit), axis=1) | ~np.isnan(before)
    return np.where(started, np.nan_to_num(before) + np.cumsum(np.nan_to_num(profit), axis=1), np.nan)


def trailing_mean(profit: Floats, days: int) -> Floats:
    """Mean of the known profits in the last :data:`TRAILING_D` days, of each of the last ``days`` days."""
    first = profit.shape[1] - days
    means = [
        ratio(total(part, 1), np.sum(~np.isnan(part), axis=1, keepdims=True).astype(np.float64))
        for day in range(first, profit.shape[1])
        for part in [profit[:, max(day + 1 - TRAILING_D, 0) : day + 1]]
    ]
    return np.hstack(means) if means else profit[:, :0]


def roi_percent(earned: Floats, price: Floats) -> Floats:
    """Cumulative profit as a part of the purchase price; NaN where that is 0 or not known."""
    return 100 * ratio(earned, np.broadcast_to(price, earned.shape))


def break_even_days(earned: Floats, price: Floats, daily: Floats) -> Floats:
    """Days until ``price`` is earned back at ``daily`` profit. 0 once it is; NaN where the price is not known or
    nothing is earned: never infinite, never negative."""
    left = price - earned
    return np.where(left <= 0, 0.0, ratio(left, np.where(daily > 0, daily, np.nan)))
