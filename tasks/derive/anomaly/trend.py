"""Does a miner lose slowly what no single value shows? One-sided CUSUM of z against a baseline of days."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from tasks.derive.anomaly.own_history import Floats

SLACK = 0.5
"""Deviations that are forgiven at each step (k)."""
LIMIT = 5.0
"""Sum from which it is a shift (h)."""


def cusum_step(total: ArrayLike, z: ArrayLike, slack: float = SLACK) -> Floats:
    """The next sum of upward shift, ``max(0, total + z - slack)``; give ``-z`` for loss. An unknown z keeps it."""
    before, step = np.asarray(total, dtype=np.float64), np.asarray(z, dtype=np.float64)
    return np.where(np.isnan(step), before, np.maximum(0.0, before + step - slack))


def cusum(z: ArrayLike, slack: float = SLACK) -> Floats:
    """Sums along the last axis."""
    values = np.asarray(z, dtype=np.float64)
    sums, total = np.empty_like(values), np.zeros(values.shape[:-1])
    for at in range(values.shape[-1]):
        total = cusum_step(total, values[..., at], slack)
        sums[..., at] = total
    return sums
