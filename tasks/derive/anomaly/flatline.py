"""Has a reading stood still? Real sensors waver; one that repeats itself exactly is frozen, whatever it says."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

LEAST_TICKS = 10
SAME = 1e-9
"""Relative difference up to which two values are the same."""


def run_step(run: ArrayLike, before: ArrayLike, x: ArrayLike) -> NDArray[np.int64]:
    """Ticks in a row that the value has been the same, counted from 1; 0 where it is not known."""
    last, now = np.asarray(before, dtype=np.float64), np.asarray(x, dtype=np.float64)
    same = np.abs(now - last) <= SAME * np.maximum(np.abs(now), 1.0)
    return np.where(np.isnan(now), 0, np.where(same, np.asarray(run, dtype=np.int64) + 1, 1))


def flat(run: ArrayLike, least: int = LEAST_TICKS) -> NDArray[np.bool_]:
    """Whether so long a run is a flatline. Only for readings that waver at every tick: hashrate, not whole degrees."""
    return np.asarray(run) >= least
