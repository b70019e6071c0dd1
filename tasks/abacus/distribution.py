"""Drift out of the two distributions that the service tells of a feature. Pure.

Its package (abacusai 1.4.119, ``FeatureDistribution``) hands over no PSI and no KS: it has the kind (numerical or
categorical) and, of either side, a dict "describing the range of values". Read here as label: weight, a weight being a
count or a part; labels of numbers are ordered by the first number in them. Any other form is told, not guessed at.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from tasks.features.drift import ENOUGH_ROWS, Drift, psi

NUMERICAL = "numerical"
MISSING = frozenset({"", "null", "none", "nan"})
"""Labels of values that are not there."""

_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|[-+]?inf(?:inity)?", re.IGNORECASE)
_LEAST_PART = 1e-4
"""Stands for a part of nothing where only parts are told: so that no logarithm is infinite."""


class ToldDrift(NamedTuple):
    """``drift``, and where it lacks something, why; rows of either side, where they are told."""

    drift: Drift
    reason: str
    reference_rows: int | None = None
    current_rows: int | None = None


def drift_of_distribution(kind: str | None, reference: object, current: object) -> ToldDrift:
    """Drift from ``reference`` to ``current``, the service's distributions of before and of now."""
    nothing = Drift(None, None, None)
    sides = [_weights(reference), _weights(current)]
    if sides[0] is None or sides[1] is None:
        return ToldDrift(nothing, f"the service tells the distribution in another form: {_shown(reference, current)}")
    old, new = sides[0], sides[1]
    labels = sorted({*old, *new}, key=_order) if kind == NUMERICAL else sorted({*old, *new})
    p, q = (np.array([side.get(label, 0.0) for label in labels]) for side in (old, new))
    if p.sum() <= 0 or q.sum() <= 0:  # also of sides that are empty
        return ToldDrift(nothing, "the service tells no row of one side")
    rows = tuple(int(side.sum()) if _is_counted(side) else None for side in (p, q))
    if any(count is not None and count < ENOUGH_ROWS for count in rows):
        return ToldDrift(nothing, f"{rows[0]} rows of before and {rows[1]} of now; {ENOUGH_ROWS} are needed", *rows)
    if None in rows:
        p, q = np.maximum(p / p.sum(), _LEAST_PART), np.maximum(q / q.sum(), _LEAST_PART)
        index = float(np.sum((q / q.sum() - p / p.sum()) * np.log((q / q.sum()) / (p / p.sum()))))
    else:
        index = psi(p.astype(np.int64), q.astype(np.int64))
    present = [at for at, label in enumerate(labels) if label.strip().lower() not in MISSING]
    distance, reason = None, ""
    if kind == NUMERICAL:
        if any(_first(labels[at]) is None for at in present):
            reason = "no KS: the service's labels are no numbers"
        elif present and p[present].sum() > 0 and q[present].sum() > 0:
            steps = p[present].cumsum() / p[present].sum() - q[present].cumsum() / q[present].sum()
            distance = float(np.abs(steps).max())
    return ToldDrift(Drift(index, distance, None), reason, *rows)


def _weights(told: object) -> dict[str, float] | None:
    if not isinstance(told, Mapping):
        return None
    made: dict[str, float] = {}
    for label, weight in told.items():
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not math.isfinite(weight) or weight < 0:
            return None
        made[str(label)] = float(weight)
    return made


def _is_counted(weights: np.ndarray[tuple[int], np.dtype[np.float64]]) -> bool:
    """Whether they are counts: whole numbers. A single whole 1 (all in one bin, as a part) is none."""
    return bool(np.all(weights == np.floor(weights)) and weights.sum() > 1)


def _first(label: str) -> float | None:
    found = _NUMBER.search(label)
    return float(found.group()) if found else None


def _order(label: str) -> tuple[float, str]:
    first = _first(label)
    return (math.inf if first is None else first, label)


def _shown(*sides: object) -> str:
    return ", ".join(repr(side)[:60] for side in sides)
