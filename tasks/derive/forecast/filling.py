"""Gaps of an hourly series, closed before a model sees it. What is filled in is never stored nor taken for known."""

from __future__ import annotations

import numpy as np

from tasks.derive.forecast.models import DAY, Floats


def filled(series: Floats) -> Floats:
    """Each NaN as the same hour of the day before, of the day after where there is none before, else the row's mean.

    Rows of NaN alone stay as they are.
    """
    rows, hours = series.shape
    lead = -hours % DAY
    days = np.concatenate([np.full((rows, lead), np.nan), series], axis=1).reshape(rows, -1, DAY)
    days = _carried(_carried(days)[:, ::-1])[:, ::-1]
    whole = days.reshape(rows, -1)[:, lead:]
    known = ~np.isnan(series)
    means = np.where(known, series, 0.0).sum(axis=1) / np.where(known.any(axis=1), known.sum(axis=1), np.nan)
    return np.where(np.isnan(whole), means[:, None], whole)


def _carried(days: Floats) -> Floats:
    """Along the days, the last known of each hour."""
    places = np.where(np.isnan(days), 0, np.arange(days.shape[1])[None, :, None])
    return np.take_along_axis(days, np.maximum.accumulate(places, axis=1), axis=1)
