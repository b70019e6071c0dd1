"""Is a miner odd against others of its kind at the same time? Tells the heat of a room from one miner's fan."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tasks.derive.anomaly.own_history import Floats, median_and_mad, z_of

LEAST_PEERS = 5


def peer_z(x: ArrayLike, group: ArrayLike, step: float = 0.0, least: int = LEAST_PEERS) -> tuple[Floats, Floats]:
    """z of each value against the others of its ``group`` at this time, and the group's median.

    ``group`` is a whole number for each miner: one model, preset and site. NaN where fewer than ``least`` other miners
    of it are known: nobody is a peer of itself, but the median is taken with it, which of six values is hardly moved.
    """
    values, codes = np.asarray(x, dtype=np.float64), np.asarray(group)
    z, middle = np.full(values.shape, np.nan), np.full(values.shape, np.nan)
    order = np.argsort(codes, kind="stable")
    starts = np.flatnonzero(np.diff(codes[order], prepend=codes[order[:1]] - 1))
    for rows in np.split(order, starts[1:]) if order.size else ():
        if _known(values[rows]) <= least:
            continue
        centre, spread, _ = median_and_mad(values[rows][None, :], step)
        middle[rows] = centre[0]
        z[rows] = z_of(values[rows], np.broadcast_to(centre, rows.shape), np.broadcast_to(spread, rows.shape))
    return z, middle


def _known(values: NDArray[np.float64]) -> int:
    return int((~np.isnan(values)).sum())
