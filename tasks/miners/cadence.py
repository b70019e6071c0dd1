"""How often one class of readings of one miner is taken: faster while something goes on, slower while nothing does.

Pure: what a miner is polled at (a :class:`Cadence`), and what the last poll found, give what it is polled at next. One
state for telemetry and one for configuration. Intervals never leave their :class:`Bounds`, whatever happens.

- Something goes on (a flag, another state, a start): the fastest interval at once, for UNREST_POLLS polls at most. What
  lasts longer is how the miner is by now, and is polled as usual.
- Calm: after CALM_POLLS polls half as often, until it is the usual interval; after STEADY_POLLS polls at the usual
  interval slower, until it is the slowest.
- Failures: the usual interval first, then doubled with each further one and cut at random, so that miners that failed
  together do not come back together. A miner that asks for less (HTTP 429) is given the slowest interval at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import msgspec

CALM_POLLS = 3
"""Calm polls in a row before a fast pace is halved."""
STEADY_POLLS = 12
"""Calm polls in a row before the usual pace gets slower."""
UNREST_POLLS = 30
"""Polls in a row that one reason is worth the fastest pace."""
_SLOWER = 1.5


@dataclass(frozen=True, slots=True)
class Bounds:
    """Intervals in whole seconds: at least, as configured, at most."""

    fastest_s: int
    usual_s: int
    slowest_s: int

    def __post_init__(self) -> None:
        if not 1 <= self.fastest_s <= self.usual_s <= self.slowest_s:
            raise ValueError(f"expected 1 <= fastest <= usual <= slowest, got {self}")

    def within(self, interval_s: float) -> int:
        """``interval_s`` as a whole number that is not outside."""
        return min(max(round(interval_s), self.fastest_s), self.slowest_s)


class Cadence(msgspec.Struct, frozen=True, kw_only=True):
    """The present interval in seconds and ``why`` it is that, for a human; ``polls`` in a row found the same."""

    interval_s: int
    why: str = "as configured"
    calm: bool = True
    polls: int = 0

    def due(self, slot: int, last: int | None) -> bool:
        """Whether a new interval has begun at ``slot`` since ``last``. Intervals begin at multiples of their length, so
        that miners with one interval are read at the same times, by every run and every host."""
        return last is None or slot // self.interval_s != last // self.interval_s

    def next(self, last: int) -> int:
        """Where the interval after ``last`` begins; it is the first time that is due."""
        return (last // self.interval_s + 1) * self.interval_s


def at_first(bounds: Bounds) -> Cadence:
    """For a miner of which nothing is known."""
    return Cadence(interval_s=bounds.usual_s)


def recalled(cadence: Cadence, bounds: Bounds) -> Cadence:
    """What was remembered, perhaps of other settings; one that does not fit is of no use."""
    return cadence if bounds.within(cadence.interval_s) == cadence.interval_s else at_first(bounds)


def after_calm(cadence: Cadence, bounds: Bounds) -> Cadence:
    """The poll found nothing new."""
    interval_s = bounds.within(cadence.interval_s)
    polls = cadence.polls + 1 if cadence.calm else 1
    if interval_s < bounds.usual_s:
        if polls < CALM_POLLS:
            return _calm(interval_s, polls, cadence.why if cadence.calm else f"calm again after: {cadence.why}")
        interval_s = min(2 * interval_s, bounds.usual_s)
        return _calm(interval_s, 0, "as configured" if interval_s == bounds.usual_s else "calm again")
    if polls < STEADY_POLLS or interval_s >= bounds.slowest_s:
        polls = min(polls, STEADY_POLLS)
        return _calm(interval_s, polls, "as configured" if interval_s == bounds.usual_s else "steady")
    return _calm(bounds.within(_SLOWER * interval_s), 0, "steady")


def after_unrest(cadence: Cadence, bounds: Bounds, why: str) -> Cadence:
    """The poll found that something goes on; ``why`` names it in the same words as long as it is the same."""
    polls = cadence.polls + 1 if not cadence.calm and cadence.why.endswith(why) else 1
    if polls > UNREST_POLLS:
        polls = UNREST_POLLS + 1
        return Cadence(interval_s=bounds.usual_s, why=f"for long: {why}", calm=False, polls=polls)
    return Cadence(interval_s=bounds.fastest_s, why=why, calm=False, polls=polls)


def after_failure(bounds: Bounds, failures: int, why: str, random: Random, *, asked_for_less: bool = False) -> Cadence:
    """The poll gave no reading, for the ``failures``-th time in a row, counted from 1."""
    if asked_for_less:
        return Cadence(interval_s=bounds.slowest_s, why=why, calm=False)
    whole = min(bounds.slowest_s, bounds.usual_s * 2 ** min(failures - 1, 12))
    interval_s = bounds.usual_s if failures <= 1 else random.uniform(bounds.usual_s, whole)
    return Cadence(interval_s=bounds.within(interval_s), why=why, calm=False)


def _calm(interval_s: int, polls: int, why: str) -> Cadence:
    return Cadence(interval_s=interval_s, why=why, calm=True, polls=polls)
