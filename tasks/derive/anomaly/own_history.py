"""Is a miner odd against itself? Robust z of a value against the values that ended before it.

``z = 0.6745 (x - median) / MAD``, MAD floored by 1 % of the median, by the sensor's step, since the MAD of a quantised
sensor is 0, and by half of what it would be if the values were normally distributed: of a series that is flat but for
spikes a spike is no news.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

SIGMA_OF_MAD = 0.6745
"""MAD of a normal distribution in units of its deviation."""
LEAST_POINTS = 30
"""Points without which nothing is said."""
FLOOR_SHARE = 0.01
TAILS = 0.5
"""What share of the MAD of a normal distribution with the same standard deviation the MAD is at least."""
REPEAT_SHARE = 0.2
"""What is left of a deviation that repeats one of late."""


def median_and_mad(
    history: ArrayLike, step: float = 0.0, tails: float = 0.0
) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """Median, floored MAD and number of known points of each row of ``history``; NaN where a row has none.

    ``step`` is the sensor's resolution in the unit of the values, ``tails`` see TAILS.
    """
    values = np.asarray(history, dtype=np.float64)
    points = (~np.isnan(values)).sum(axis=-1)
    middle = _median(values, points)
    spread = _median(np.abs(values - middle[..., None]), points)
    floor = np.maximum(FLOOR_SHARE * np.abs(middle), step)
    if tails:
        floor = np.maximum(floor, tails * SIGMA_OF_MAD * _deviation(values, points))
    return middle, np.maximum(spread, floor), points


def robust_z(x: ArrayLike, history: ArrayLike, step: float = 0.0, least: int = LEAST_POINTS) -> Floats:
    """z of each ``x`` against its row of ``history``, which has to end before x. NaN where there is too little."""
    middle, spread, points = median_and_mad(history, step, TAILS)
    return z_of(x, middle, spread, points >= least)


def z_of(x: ArrayLike, middle: Floats, spread: Floats, enough: ArrayLike = True) -> Floats:
    """The same from a median and MAD at hand. NaN where it is not known or not ``enough``; a floor of 0 (a history of
    zeros and no step) tells nothing either, unless x is the same."""
    off = np.asarray(x, dtype=np.float64) - middle
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.where(spread > 0, SIGMA_OF_MAD * off / spread, np.where(off == 0, 0.0, np.nan))
    return np.where(np.asarray(enough), z, np.nan)


def same_hour(history: ArrayLike, least_days: int = 7) -> Floats:
    """What the hour after each row of ``history`` (hourly, oldest first) was like at its hour of the day: the median
    over whole days back. NaN with fewer than ``least_days`` known."""
    values = np.asarray(history, dtype=np.float64)
    days = values.shape[-1] // 24
    at_hour = values[..., values.shape[-1] - 24 * days :: 24] if days else values[..., :0]
    points = (~np.isnan(at_hour)).sum(axis=-1)
    return np.where(points >= least_days, _median(at_hour, points), np.nan)


def unrepeated(z: ArrayLike, window: int) -> Floats:
    """``z`` (one series) where it exceeds in size all of the ``window`` points before, else REPEAT_SHARE of it: what
    happens all the time is no news. Not known stays so."""
    values = np.asarray(z, dtype=np.float64)
    if not values.size:
        return values
    size = np.nan_to_num(np.abs(values), nan=-1.0)
    padded = np.concatenate([np.full(window, -1.0), size[:-1]])
    before = np.lib.stride_tricks.sliding_window_view(padded, window).max(axis=-1)
    return np.where(size > before, values, REPEAT_SHARE * values)


def _deviation(values: Floats, points: NDArray[np.int64]) -> Floats:
    known = ~np.isnan(values)
    number = np.maximum(points, 1)
    mean = np.where(known, values, 0.0).sum(axis=-1) / number
    squares = np.where(known, values - mean[..., None], 0.0) ** 2
    return np.asarray(np.sqrt(squares.sum(axis=-1) / number))


def _median(values: Floats, points: NDArray[np.int64]) -> Floats:
    """Medians of rows, without what is not known; sorts once, where nanmedian would go row by row."""
    if values.shape[-1] == 0:
        return np.full(values.shape[:-1], np.nan)
    ordered = np.sort(values, axis=-1)  # NaN last
    low, high = np.maximum(points - 1, 0) // 2, points // 2
    high = np.minimum(high, values.shape[-1] - 1)
    pair = np.take_along_axis(ordered, np.stack([low, high], axis=-1), axis=-1)
    return np.where(points > 0, pair.mean(axis=-1), np.nan)
