"""From deviations to scores between 0 and 1, from several scores to one, and from points to something that lasts.

A z of 3.5 (warn) is worth 0.5, of 6 (critical) 0.8, which is the usual alert threshold; up to 1 it is worth nothing, so
that four signals that waver as ever do not add up to an alarm. NaN is *too little data*, and never counts as 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tasks.derive.anomaly.own_history import Floats

WARN_Z, CRITICAL_Z = 3.5, 6.0
_HARMLESS_Z = 1.0
_WARN_SCORE, _CRITICAL_SCORE = 0.5, 0.8
_BEND = math.log(math.log(1 - _CRITICAL_SCORE) / math.log(1 - _WARN_SCORE)) / math.log(
    (CRITICAL_Z - _HARMLESS_Z) / (WARN_Z - _HARMLESS_Z)
)
Sensitivity = Literal["low", "medium", "high"]
SENSITIVITY: Mapping[Sensitivity, float] = {"low": 0.75, "medium": 1.0, "high": 1.25}
"""What z is multiplied with."""
SUSTAINED, OF_LAST = 3, 5


def score_of(z: ArrayLike, sensitivity: Sensitivity = "medium") -> Floats:
    """Score of a deviation to either side."""
    size = SENSITIVITY[sensitivity] * np.abs(np.asarray(z, dtype=np.float64))
    beyond = np.maximum(size - _HARMLESS_Z, 0.0) / (WARN_Z - _HARMLESS_Z)
    return 1.0 - (1.0 - _WARN_SCORE) ** (beyond**_BEND)


def combined(scores: Sequence[ArrayLike]) -> Floats:
    """``1 - product of (1 - s)`` over the scores that are known; NaN where none is."""
    every = np.stack([np.asarray(one, dtype=np.float64) for one in scores])
    together = 1.0 - np.prod(1.0 - np.nan_to_num(every, nan=0.0), axis=0)
    return np.where(np.isnan(every).all(axis=0), np.nan, together)


def remembered(bits: ArrayLike, odd: ArrayLike) -> NDArray[np.uint8]:
    """The last OF_LAST verdicts of each miner as bits, with ``odd`` as the newest."""
    known = np.asarray(bits, dtype=np.uint8)
    newest = (known << 1) | np.asarray(odd, dtype=np.uint8)
    return np.asarray(newest & np.uint8(2**OF_LAST - 1), dtype=np.uint8)


def lasting(bits: ArrayLike, before: ArrayLike) -> NDArray[np.bool_]:
    """Whether a miner is anomalous: from SUSTAINED odd verdicts of the last OF_LAST on, until none of them is odd."""
    kept = np.asarray(bits, dtype=np.uint8)
    odd = np.unpackbits(kept[..., None], axis=-1).sum(axis=-1)
    return np.asarray((odd >= SUSTAINED) | (np.asarray(before, dtype=bool) & (odd > 0)), dtype=np.bool_)


def plain(scores: Floats) -> list[float | None]:
    """Scores as they are stored; None where there is none."""
    return [None if math.isnan(value) else value for value in np.round(scores, 4).tolist()]
