"""Models of hourly series, each over a batch at once: series x hours without a gap in, series x horizon out. Pure.

All know a day of 24 hours; some a week of 168 as well. None is fitted by search: a grid, a ridge, or nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

DAY, WEEK = 24, 168

_DAMPING = 0.95
"""What is left of a trend after each further hour."""
_LEVEL, _TREND, _SEASON = (0.02, 0.1, 0.3, 0.6, 0.9), (0.0, 0.05), (0.02, 0.1, 0.3, 0.6)
"""The grid of smoothing weights."""
_RIDGE = 1e-3
"""How strongly an autoregression is held to a plain repetition of yesterday (and last week)."""
_DAILY_LAGS = (1, 2, 24, 25)
_WEEKLY_LAGS = (1, 2, 23, 24, 25, 48, 144, 167, 168, 169)


@dataclass(frozen=True, slots=True)
class Model:
    """``predict(history, horizon)`` needs ``least`` hours of history."""

    name: str
    least: int
    predict: Callable[[Floats, int], Floats]


def repeated(season: int) -> Callable[[Floats, int], Floats]:
    """Seasonal naive: the last ``season`` hours over and over."""

    def predict(history: Floats, horizon: int) -> Floats:
        return np.asarray(history[:, -season:][:, np.arange(horizon) % season])

    return predict


def last_day_mean(history: Floats, horizon: int) -> Floats:
    """The mean of the last day, or of what there is of it."""
    return np.repeat(history[:, -DAY:].mean(axis=1, keepdims=True), horizon, axis=1)


def drifting(history: Floats, horizon: int) -> Floats:
    """Seasonal naive and a damped drift: the last day was this much above the day before; less of it comes each day."""
    step = (history[:, -DAY:] - history[:, -2 * DAY : -DAY]).mean(axis=1, keepdims=True)
    days = np.arange(horizon) // DAY
    share: Floats = np.cumsum(0.5 ** np.arange(1, days[-1] + 2))[days]
    told: Floats = repeated(DAY)(history, horizon) + step * share
    return told


def holt_winters(history: Floats, horizon: int) -> Floats:
    """Additive level, damped trend and daily season (ETS A,Ad,A), the weights of each series those of the grid with the
    least squared error one hour ahead. All series and all weights go through the hours together."""
    level_weight, trend_weight, season_weight = np.array(list(product(_LEVEL, _TREND, _SEASON))).T
    rows, hours = history.shape
    grid = len(level_weight)
    first = history[:, :DAY].mean(axis=1, keepdims=True)
    level, trend = np.repeat(first, grid, axis=1), np.zeros((rows, grid))
    season = np.repeat((history[:, :DAY] - first).T[:, :, None], grid, axis=2)
    squared = np.zeros((rows, grid))
    for hour in range(DAY, hours):
        carried = _DAMPING * trend
        part = season[hour % DAY]
        error = history[:, hour, None] - (level + carried + part)
        if hour >= 2 * DAY:
            squared += error * error
        level = level + carried + level_weight * error
        trend = carried + level_weight * trend_weight * error
        season[hour % DAY] = part + season_weight * (1 - level_weight) * error
    own, best = np.arange(rows), squared.argmin(axis=1)
    ahead = np.arange(1, horizon + 1)
    slope = np.cumsum(_DAMPING**ahead)
    seasons = season[(hours + ahead - 1) % DAY][:, own, best].T
    return np.asarray(level[own, best, None] + trend[own, best, None] * slope + seasons)


def theta(history: Floats, horizon: int) -> Floats:
    """The theta method (Assimakopoulos and Nikolopoulos) on the series without its daily course: half the slope of a
    straight line through all hours, on exponential smoothing of the level (weight 0.1 to 0.9, the best of five)."""
    rows, hours = history.shape
    course = _daily_course(history)
    plain = history - course[:, np.arange(hours) % DAY]
    middle = np.arange(hours) - (hours - 1) / 2
    slope = (plain * middle).sum(axis=1) / (middle**2).sum()
    weights = np.array([0.1, 0.3, 0.5, 0.7, 0.9])
    level = np.repeat(plain[:, :1], len(weights), axis=1)
    squared = np.zeros_like(level)
    for hour in range(1, hours):
        error = plain[:, hour, None] - level
        squared += error * error
        level = level + weights * error
    ends = level[np.arange(rows), squared.argmin(axis=1), None]
    ahead = np.arange(1, horizon + 1)
    return np.asarray(ends + 0.5 * slope[:, None] * ahead + course[:, (hours + ahead - 1) % DAY])


def autoregression(lags: Sequence[int]) -> Callable[[Floats, int], Floats]:
    """Least squares on the hours ``lags`` before, with a ridge towards repeating the seasons among them, run forward
    hour by hour. Held within the range that the series ever had, once more on both sides."""
    seasons = [season for season in (DAY, WEEK) if season in lags]
    towards = np.array([1 / len(seasons) if lag in seasons else 0.0 for lag in lags] + [0.0])

    def predict(history: Floats, horizon: int) -> Floats:
        rows, hours = history.shape
        longest, terms = max(lags), len(lags) + 1
        middle, spread = history.mean(axis=1, keepdims=True), history.std(axis=1, keepdims=True)
        flat = spread <= 1e-12 * np.abs(middle)
        scaled = (history - middle) / np.where(flat, 1.0, spread)
        known = np.stack(
            [scaled[:, longest - lag : hours - lag] for lag in lags] + [np.ones((rows, hours - longest))], axis=1
        )
        held = _RIDGE * (hours - longest)
        squares = known @ known.transpose(0, 2, 1) + held * np.eye(terms)
        moments = known @ scaled[:, longest:, None] + held * towards[None, :, None]
        weights = np.linalg.solve(squares, moments)[..., 0]
        path = np.concatenate([scaled[:, -longest:], np.zeros((rows, horizon))], axis=1)
        low, high = scaled.min(axis=1), scaled.max(axis=1)
        room = high - low
        for hour in range(longest, longest + horizon):
            before = path[:, [hour - lag for lag in lags]]
            path[:, hour] = np.clip((before * weights[:, :-1]).sum(axis=1) + weights[:, -1], low - room, high + room)
        return np.asarray(middle + path[:, longest:] * np.where(flat, 0.0, spread))

    return predict


def _daily_course(history: Floats) -> Floats:
    """Mean of each hour of the day less the mean of all, over whole days; hour 0 is that of the first column."""
    rows, hours = history.shape
    days = hours // DAY
    whole = history[:, hours - days * DAY :].reshape(rows, days, DAY)
    course = np.roll(whole.mean(axis=1), (hours - days * DAY) % DAY, axis=1)
    return np.asarray(course - course.mean(axis=1, keepdims=True))


SEASONAL_NAIVE = Model("seasonal_naive_24", DAY, repeated(DAY))
LAST_DAY_MEAN = Model("last_day_mean", 1, last_day_mean)
MODELS = (
    SEASONAL_NAIVE,
    Model("seasonal_naive_168", WEEK, repeated(WEEK)),
    Model("seasonal_drift", 2 * DAY, drifting),
    Model("holt_winters", 3 * DAY, holt_winters),
    Model("theta", 3 * DAY, theta),
    Model("autoregression_24", 3 * DAY, autoregression(_DAILY_LAGS)),
    Model("autoregression_168", 2 * WEEK, autoregression(_WEEKLY_LAGS)),
)
"""Those that a back-test chooses from. Each one more is a line here."""
