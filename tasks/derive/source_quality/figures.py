"""From readings of a day, as arrays, to the figures of each source. Pure; docs/source-quality.md has the formulas."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from storage.downsample.rollup import HOUR_S
from tasks.derive.hour_grid import Floats, ratio

Whole = npt.NDArray[np.int64]
Truth = npt.NDArray[np.bool_]

FRESH_INTERVALS = 1.5
"""How many intervals old the newest row may be. A poll may take up to half an interval without being late."""

OUTLIER_DEVIATIONS = 5.0
"""Deviations from the median from which an hour is an outlier: of normal noise one hour in 1.7 million."""
NORMAL_MAD = 1.4826
"""Standard deviation of normal noise / its median absolute deviation."""
OUTLIER_FLOOR = 0.02
"""Least deviation, of the median: a series that stood still for a week is not odd when it moves by a little."""
LEAST_HOURS = 24
"""Hours of the seven days before that must be known."""


@dataclass(frozen=True, slots=True)
class Lags:
    """Of each source, NaN where it is not known. ``fresh``: part of its time at which its newest row was young."""

    fresh: Floats
    median_s: Floats
    worst_s: Floats


def slots_due(begins: Floats, stop: int, intervals: Floats) -> Floats:
    """Slots of the interval that each source has from ``begins`` to ``stop``, one begun counts; NaN without either."""
    return np.asarray(np.ceil(ratio(stop - begins, intervals)), dtype=np.float64)


def slots_filled(sources: Whole, series: Whole, times: Whole, intervals: Floats, count: int) -> Floats:
    """Of each of ``count`` sources the slots with a row, of each series its own; rows at the interval NaN each count,
    once a time."""
    every = np.where(np.isnan(intervals), 1.0, intervals).astype(np.int64)[sources]
    slots = pd.DataFrame({"source": sources, "series": series, "slot": times // every}).drop_duplicates()
    return np.bincount(slots["source"], minlength=count).astype(np.float64)


def lags(sources: Whole, times: Whole, begins: Floats, stop: int, intervals: Floats) -> Lags:
    """How rows at ``times`` of ``sources`` followed each other from ``begins`` to ``stop``.

    Rows from before a source's begin tell how old its newest was by then; their own lags end at the begin.
    """
    count = len(begins)
    known = ~np.isnan(begins)
    marks = pd.DataFrame({"source": sources, "time": times}).drop_duplicates()
    marks = marks[known[marks["source"]]]
    marks["row"] = True
    early = np.zeros(count, dtype=np.bool_)
    early[marks["source"][marks["time"] <= begins[marks["source"]]]] = True
    bare = np.flatnonzero(known & ~early)  # nothing to go by at its begin: the first lag starts there
    starts = pd.DataFrame({"source": bare, "time": begins[bare].astype(np.int64), "row": False})
    every = pd.concat([marks, starts]).sort_values(["source", "time"], kind="stable")
    of, at = every["source"].to_numpy(), every["time"].to_numpy().astype(np.float64)
    last = np.append(of[1:] != of[:-1], True) if len(of) else np.zeros(0, dtype=np.bool_)
    after = np.where(last, stop, np.append(at[1:], stop)[: len(at)])
    begin, young = begins[of], at + FRESH_INTERVALS * intervals[of]
    fresh_s = np.maximum(np.minimum(after, young) - np.maximum(at, begin), 0.0)
    fresh_s[~every["row"].to_numpy(dtype=np.bool_)] = 0.0
    fresh = np.bincount(of, weights=np.nan_to_num(fresh_s), minlength=count)
    gap_s = after - np.maximum(at, begin)
    inside = gap_s > 0
    grouped = pd.Series(gap_s[inside]).groupby(of[inside])
    return Lags(
        np.where(np.isnan(intervals), np.nan, ratio(fresh.astype(np.float64), stop - begins)),
        grouped.median().reindex(range(count)).to_numpy(),
        grouped.max().reindex(range(count)).to_numpy(),
    )


def outliers(values: Floats, start: int, begin: int) -> tuple[Whole, Truth]:
    """Of each series the hours from ``start`` on that are outliers, and whether there was enough to tell.

    ``values``: series x hours from ``begin`` (Unix seconds) on, NaN where not known. An hour is an outlier when it is
    further than OUTLIER_DEVIATIONS deviations off the median of the hours before ``start``; the deviation is their
    median absolute one x NORMAL_MAD, and at least OUTLIER_FLOOR of the median.
    """
    before, now = np.hsplit(values, [(start - begin) // HOUR_S])
    enough = ((~np.isnan(before)).sum(axis=1) >= LEAST_HOURS) & ~np.isnan(now).all(axis=1)
    found = np.zeros(len(values), dtype=np.int64)
    if not enough.any():
        return found, enough
    middle = np.nanmedian(before[enough], axis=1, keepdims=True)
    deviation = NORMAL_MAD * np.nanmedian(np.abs(before[enough] - middle), axis=1, keepdims=True)
    reach = OUTLIER_DEVIATIONS * np.maximum(deviation, OUTLIER_FLOOR * np.abs(middle))
    found[enough] = (np.abs(now[enough] - middle) > reach).sum(axis=1)
    return found, enough


def score(parts: Floats) -> Floats:
    """Geometric mean over the first axis of the parts that are known; NaN where none is."""
    known = ~np.isnan(parts)
    product = np.where(known, parts, 1.0).prod(axis=0)
    counts = known.sum(axis=0)
    return np.where(counts > 0, product ** (1.0 / np.maximum(counts, 1)), np.nan)
