"""Days and weeks of a time zone that are over. Pure."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum
from zoneinfo import ZoneInfo


class Kind(StrEnum):
    """How long a report's period is."""

    DAILY = "daily"
    WEEKLY = "weekly"


@dataclass(frozen=True, slots=True)
class Period:
    """``[start, stop)`` in Unix seconds: the days from ``first`` to ``last`` of ``zone``, 23 or 25 hours long where its
    clocks change."""

    kind: Kind
    first: dt.date
    last: dt.date
    zone: str
    start: int
    stop: int

    @property
    def name(self) -> str:
        """Of its files: 2026-11-28, or 2026-W48 by ISO 8601."""
        if self.kind is Kind.DAILY:
            return self.first.isoformat()
        year, week, _ = self.first.isocalendar()
        return f"{year}-W{week:02}"

    @property
    def title(self) -> str:
        """For people."""
        days = self.first.isoformat() if self.first == self.last else f"{self.first} to {self.last}"
        return f"{self.kind.capitalize()} report of {days} ({self.zone})"


def period_of(kind: Kind, day: dt.date, zone: str) -> Period:
    """The day, or the week from Monday to Sunday that ``day`` is in."""
    first = day if kind is Kind.DAILY else day - dt.timedelta(days=day.weekday())
    last = first if kind is Kind.DAILY else first + dt.timedelta(days=6)
    start, stop = (_midnight(one, zone) for one in (first, last + dt.timedelta(days=1)))
    return Period(kind, first, last, zone, start, stop)


def newest_period(kind: Kind, now: float, zone: str) -> Period:
    """The newest one that is over at ``now`` (Unix seconds)."""
    today = dt.datetime.fromtimestamp(now, ZoneInfo(zone)).date()
    back = dt.timedelta(days=1 if kind is Kind.DAILY else 7)
    return period_of(kind, today - back, zone)


def _midnight(day: dt.date, zone: str) -> int:
    return int(dt.datetime.combine(day, dt.time(), ZoneInfo(zone)).timestamp())
