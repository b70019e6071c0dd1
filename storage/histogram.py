"""How long something took, counted by length: a few numbers that add up over ticks, restarts and files.

Counts are of what took at most each bound and more than the bound before, the last one of what took longer than all.
Bounds belong to the code that counts; counts of other bounds, which only another version wrote, begin anew.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence

import msgspec

SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Bounds for answers of miners and services, seconds."""
DELAYS = (1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3_600.0, 21_600.0, 86_400.0)
"""Bounds for what waits to be stored, seconds."""


class Histogram(msgspec.Struct, frozen=True, kw_only=True):
    """Counts by length, and the sum of all lengths in seconds; see :func:`empty`."""

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    sum: float = 0.0

    @property
    def count(self) -> int:
        """How many there are."""
        return sum(self.counts)

    def plus(self, seconds: Iterable[float], weight: int = 1) -> Histogram:
        """With each of ``seconds`` counted ``weight`` times more."""
        counts, total = list(self.counts), self.sum
        for length in seconds:
            counts[bisect_left(self.bounds, length)] += weight
            total += weight * length
        return Histogram(bounds=self.bounds, counts=tuple(counts), sum=total)

    def merged(self, other: Histogram) -> Histogram:
        """Both together, which have the same bounds."""
        counts = tuple(one + more for one, more in zip(self.counts, other.counts, strict=True))
        return Histogram(bounds=self.bounds, counts=counts, sum=self.sum + other.sum)

    def since(self, before: Histogram | None) -> Histogram:
        """What came after ``before``; all of it where that is none, of other bounds, or has counted more."""
        if before is None or before.bounds != self.bounds:
            return self
        counts = tuple(now - then for now, then in zip(self.counts, before.counts, strict=True))
        if min(counts) < 0:  # begun anew in between
            return self
        return Histogram(bounds=self.bounds, counts=counts, sum=max(0.0, self.sum - before.sum))

    def quantile(self, part: float) -> float | None:
        """The length that ``part`` (0 to 1) of them do not exceed, seconds; None where there are none.

        Straight between the bounds that it lies in, as Prometheus' histogram_quantile has it; the last bound where it
        is longer than that.
        """
        if self.count == 0:
            return None
        wanted, passed = part * self.count, 0
        for number, count in enumerate(self.counts[:-1]):
            if count and passed + count >= wanted:
                lower = self.bounds[number - 1] if number else 0.0
                return lower + (self.bounds[number] - lower) * (wanted - passed) / count
            passed += count
        return self.bounds[-1]


def empty(bounds: Sequence[float]) -> Histogram:
    """Nothing counted yet, by ``bounds`` (seconds, rising)."""
    return Histogram(bounds=tuple(bounds), counts=(0,) * (len(bounds) + 1))


def continued(kept: Histogram | None, bounds: Sequence[float]) -> Histogram:
    """``kept`` to be counted on, or an empty one where it is none or was counted by other bounds."""
    if kept is None or kept.bounds != tuple(bounds) or len(kept.counts) != len(bounds) + 1:
        return empty(bounds)
    return kept
