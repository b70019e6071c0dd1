"""How far values of a feature have moved from those of before: PSI and the two-sample Kolmogorov-Smirnov test. Pure.

**PSI**, the population stability index, is the sum over bins of (q - p) x ln(q / p), of p the part of the reference and
q the part of today that lies in the bin. Rule of thumb (Siddiqi, Credit Risk Scorecards, 2006): below 0.1 nothing has
moved, from 0.25 on the feature has drifted. Bins are the tenths of the reference; a value that fills a tenth or more
has a bin of its own; up to 20 distinct values, truths and texts are a bin each, with one for all that are new. Missing
values are a bin as well: a sensor that falls silent has drifted. Half a row is added to each bin, so that an empty one
has a logarithm.

**KS** is the greatest distance between the two distribution functions, of numbers that are there; its p-value by
Kolmogorov's limit, with Stephens' correction for finite samples (Numerical Recipes 14.3). Over a fleet of hundreds
every change is significant, so the p-value is told and the state goes by PSI.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

BINS = 10
FEW_VALUES = 20
ENOUGH_ROWS = 200
"""Of fewer rows on either side chance alone makes a PSI of some (BINS - 1) x (1/n + 1/m) = 0.09."""

SHIFTING, DRIFTED = 0.1, 0.25
_HALF = 0.5


@dataclass(frozen=True, slots=True)
class Drift:
    """``psi`` is None where there are too few rows or no value at all, ``ks`` and ``ks_p`` also of what is no number or
    is missing on one side.
    """

    psi: float | None
    ks: float | None
    ks_p: float | None

    @property
    def state(self) -> str:
        """stable, shifting, drifted or unknown."""
        if self.psi is None:
            return "unknown"
        return "drifted" if self.psi >= DRIFTED else "shifting" if self.psi >= SHIFTING else "stable"


def drift_of_numbers(reference: Floats, current: Floats) -> Drift:
    """Drift of values; NaN is a missing one."""
    if min(len(reference), len(current)) < ENOUGH_ROWS:
        return Drift(None, None, None)
    old, new = reference[~np.isnan(reference)], current[~np.isnan(current)]
    if not len(old) and not len(new):
        return Drift(None, None, None)
    distinct = np.unique(old)
    if len(distinct) <= FEW_VALUES:
        counts = [_of_values(distinct, side) for side in (old, new)]
    else:
        edges = _tenths(old)
        counts = [np.bincount(np.searchsorted(edges, side), minlength=len(edges) + 1) for side in (old, new)]
    missing = [len(reference) - len(old), len(current) - len(new)]
    index = psi(np.append(counts[0], missing[0]), np.append(counts[1], missing[1]))
    if not len(old) or not len(new):
        return Drift(index, None, None)
    distance = ks(old, new)
    return Drift(index, distance, ks_p(distance, len(old), len(new)))


def drift_of_counts(reference: dict[str | None, int], current: dict[str | None, int]) -> Drift:
    """Drift of texts and truths, given how often each was there; None is a missing one."""
    if min(sum(reference.values()), sum(current.values())) < ENOUGH_ROWS:
        return Drift(None, None, None)
    if set(reference) | set(current) == {None}:
        return Drift(None, None, None)
    known = sorted(value for value in reference if value is not None)
    sides = []
    for side in (reference, current):
        others = sum(count for value, count in side.items() if value is not None and value not in reference)
        sides.append(np.array([*(side.get(value, 0) for value in known), others, side.get(None, 0)]))
    return Drift(psi(*sides), None, None)


def psi(reference: npt.NDArray[np.int64], current: npt.NDArray[np.int64]) -> float:
    """PSI of counts in the same bins. A bin that is empty on both sides is none."""
    filled = (reference + current) > 0
    p, q = reference[filled] + _HALF, current[filled] + _HALF
    p, q = p / p.sum(), q / q.sum()
    return float(np.sum((q - p) * np.log(q / p)))


def ks(reference: Floats, current: Floats) -> float:
    """Greatest distance between the distribution functions of two samples."""
    old, new = np.sort(reference), np.sort(current)
    points = np.concatenate([old, new])
    parts = [np.searchsorted(side, points, side="right") / len(side) for side in (old, new)]
    return float(np.abs(parts[0] - parts[1]).max())


def ks_p(distance: float, n: int, m: int) -> float:
    """How likely so great a distance is of two samples of ``n`` and ``m`` from one distribution."""
    size = math.sqrt(n * m / (n + m))
    return kolmogorov((size + 0.12 + 0.11 / size) * distance)


def kolmogorov(x: float) -> float:
    """Chance that Kolmogorov's statistic is greater than ``x``: 2 x sum of (-1)^(k-1) exp(-2 k^2 x^2)."""
    if x < 0.2:  # it is 1 but for 1e-13, and the series would need hundreds of terms
        return 1.0
    terms = (2 * (-1) ** (k - 1) * math.exp(-2 * k * k * x * x) for k in range(1, 101))
    return min(1.0, max(0.0, math.fsum(terms)))


def _tenths(values: Floats) -> Floats:
    """Upper ends of bins, the last one open. A value that two or more of them meet at has a bin of its own."""
    ends, times = np.unique(np.quantile(values, np.arange(1, BINS) / BINS), return_counts=True)
    atoms = ends[times > 1]
    return np.unique(np.concatenate([ends, np.nextafter(atoms, -np.inf)]))


def _of_values(distinct: Floats, side: Floats) -> npt.NDArray[np.int64]:
    """How often each of ``distinct`` is in ``side``, and last how often anything else."""
    at = np.searchsorted(distinct, side)
    is_known = (at < len(distinct)) & (np.append(distinct, np.nan)[at] == side)
    return np.bincount(np.where(is_known, at, len(distinct)), minlength=len(distinct) + 1)
