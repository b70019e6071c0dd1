"""The circuit breaker of one miner: after failures in a row it is left alone, and probed ever more seldom.

Pure: state in, state out; the caller brings clock and chance. *Closed*: polled. *Open*: not asked, until a time that
jitter spreads. *Half-open*: that time has come; one request without a retry decides, a success closes the breaker and a
failure opens it for twice as long.

A miner that is not asked gives no row: nobody knows anything new of it (missing is not zero). Its last row says why it
failed, its standing since when the breaker is open and when the next probe is.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from random import Random

import msgspec


class BreakerState(StrEnum):
    """What a breaker does."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


@dataclass(frozen=True, slots=True)
class BreakerLimits:
    """It opens at ``failures`` in a row, for ``first_s`` to begin with and never for longer than ``longest_s``.

    Jitter cuts each wait by up to half.
    """

    failures: int
    first_s: float
    longest_s: float


class Breaker(msgspec.Struct, frozen=True, kw_only=True):
    """Closed while ``open_since`` is None. Times are Unix seconds; ``tripped`` is the last failure, ``trips`` how many
    times in a row it opened."""

    failures: int = 0
    trips: int = 0
    open_since: float | None = None
    tripped: float = 0.0
    probe_at: float = 0.0

    def state(self, now: float) -> BreakerState:
        """What it does at ``now``. A clock that was set back counts as the time of the probe, else it would be waited
        for until the clock caught up."""
        if self.open_since is None:
            return BreakerState.CLOSED
        return BreakerState.OPEN if self.tripped <= now < self.probe_at else BreakerState.HALF_OPEN


CLOSED = Breaker()


def after_failure(breaker: Breaker, now: float, limits: BreakerLimits, random: Random) -> Breaker:
    """One more failure at ``now``; the caller asked because the breaker was not open."""
    failures = breaker.failures + 1
    if failures < limits.failures:
        return Breaker(failures=failures)
    wait_s = min(limits.longest_s, limits.first_s * 2.0 ** min(breaker.trips, 32)) * random.uniform(0.5, 1.0)
    since = now if breaker.open_since is None else breaker.open_since
    return Breaker(failures=failures, trips=breaker.trips + 1, open_since=since, tripped=now, probe_at=now + wait_s)
