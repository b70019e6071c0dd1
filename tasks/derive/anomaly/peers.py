"""Is a miner odd against others of its kind at the same time? Tells the heat of a room from one miner's fan."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tasks.derive.anomaly.own_history import FLOOR_SHARE, Floats, z_of

LEAST_PEERS = 5


def peer_z(x: ArrayLike, group: ArrayLike, step: float = 0.0, least: int = LEAST_PEERS) -> tuple[Floats, Floats]:
    """z of each value against the others of its ``group`` at this time, and the group's median.

    ``group`` is a whole number for each miner: one model, preset and site. NaN where fewer than ``least`` other miners
    of it are known: nobody is a peer of itself, but the median is taken with it, which of six values is hardly moved.
    """
    values, groups = np.asarray(x, dtype=np.float64), _compact(group)
    centre, known = _medians(values, groups)
    middle = np.where(known > least, centre, np.nan)[groups]
    mads, _ = _medians(np.abs(values - middle), groups)
    spread = np.maximum(mads[groups], np.maximum(FLOOR_SHARE * np.abs(middle), step))
    return z_of(values, middle, spread), np.where(np.isnan(values), np.nan, middle)


def peer_medians(x: ArrayLike, group: ArrayLike, least: int = LEAST_PEERS) -> Floats:
    """The median of each value's ``group``, NaN where fewer than ``least`` others are known."""
    values, groups = np.asarray(x, dtype=np.float64), _compact(group)
    centre, known = _medians(values, groups)
    return np.asarray(np.where(known > least, centre, np.nan)[groups])


def _compact(group: ArrayLike) -> NDArray[np.intp]:
    return np.asarray(np.unique(np.asarray(group), return_inverse=True)[1])


def _medians(values: Floats, groups: NDArray[np.intp]) -> tuple[Floats, NDArray[np.intp]]:
    """Median and number of the known values of each group, all groups by one sort."""
    number = int(groups.max(initial=-1)) + 1
    known = np.bincount(groups[~np.isnan(values)], minlength=number)
    if not number:
        return np.empty(0), known
    ordered = values[np.lexsort((values, groups))]  # NaN last within a group
    starts = np.concatenate([[0], np.cumsum(np.bincount(groups, minlength=number))[:-1]])
    low, high = starts + np.maximum(known - 1, 0) // 2, starts + known // 2
    pair = ordered[low] + ordered[np.minimum(high, len(ordered) - 1)]
    return np.where(known > 0, pair / 2, np.nan), known
