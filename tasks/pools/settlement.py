"""Days that pools settle by, and sums of money. Pure.

Amounts are ledgers: each float is taken at its shortest decimal text, added up as Decimal, and made a float once, at
the end. So 0.1 ten times is 1, in any order.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from tasks.pools.due import HOUR_S

KIND_ZONES = {"mining_dutch": "Europe/Amsterdam"}
"""Zones of pools that say none with a payout; UTC is that of all others."""


@dataclass(frozen=True, slots=True)
class Day:
    """A pool's day, ``start <= time < stop`` in Unix seconds: 23 or 25 hours where its zone changes its clocks.

    Zones lie off UTC by half hours as well, so a day need not start at a full hour.
    """

    label: str
    zone: str
    start: int
    stop: int

    def hours(self) -> dict[int, int]:
        """Full hours of UTC that lie in it, each with its seconds in it."""
        first = self.start // HOUR_S * HOUR_S
        return {hour: min(hour + HOUR_S, self.stop) - max(hour, self.start) for hour in range(first, self.stop, HOUR_S)}


def days_of(zone: str, first: int, stop: int) -> list[Day]:
    """Days of ``zone`` that have ended by ``stop`` and end after ``first``.

    Raises:
        ValueError: there is no such zone.
    """
    try:
        clock = ZoneInfo(zone)
    except (OSError, KeyError) as error:  # ZoneInfoNotFoundError is a KeyError
        raise ValueError(f"{zone!r} is no time zone") from error
    found = []
    day = datetime.fromtimestamp(first, UTC).astimezone(clock).date()
    while (end := _midnight(day + timedelta(days=1), clock)) <= stop:
        found.append(Day(day.isoformat(), zone, _midnight(day, clock), end))
        day += timedelta(days=1)
    return found


def total(amounts: Iterable[float]) -> float:
    """The sum of a ledger."""
    return float(sum((Decimal(repr(float(amount))) for amount in amounts), Decimal(0)))


def difference(later: float, earlier: float) -> float:
    """``later - earlier`` of a ledger."""
    return float(Decimal(repr(float(later))) - Decimal(repr(float(earlier))))


def _midnight(day: date, clock: ZoneInfo) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=clock).timestamp())
