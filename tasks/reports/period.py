"""Days, weeks and months of a time zone that are over. Pure."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum
from zoneinfo import ZoneInfo


class Kind(StrEnum):
    """How long a report's period is."""

    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"


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
        """Of its files: 2026-11-28, 2026-W48 by ISO 8601, or 2026-11."""
        if self.kind is Kind.DAILY:
            return self.first.isoformat()
        if self.kind is Kind.MONTHLY:
            return f"{self.first:%Y-%m}"
        year, week, _ = self.first.isocalendar()
        return f"{year}-W{week:02}"

    @property
    def title(self) -> str:
        """For people."""
        days = self.first.isoformat() if self.first == self.last else f"{self.first} to {self.last}"
        return f"{self.kind.capitalize()} report of {days} ({self.zone})"

    @property
    def before(self) -> Period:
        """The one that ends where this one begins."""
        return period_of(self.kind, self.first - dt.timedelta(days=1), self.zone)

    @property
    def word(self) -> str:
        """What it is."""
        return {Kind.DAILY: "day", Kind.WEEKLY: "week", Kind.MONTHLY: "month"}[self.kind]


def period_of(kind: Kind, day: dt.date, zone: str) -> Period:
    """The day, the week from Monday to Sunday, or the calendar month that ``day`` is in."""
    first = last = day
    if kind is Kind.WEEKLY:
        first = day - dt.timedelta(days=day.weekday())
        last = first + dt.timedelta(days=6)
    elif kind is Kind.MONTHLY:
        first = day.replace(day=1)
        last = (first + dt.timedelta(days=31)).replace(day=1) - dt.timedelta(days=1)
    start, stop = (_midnight(one, zone) for one in (first, last + dt.timedelta(days=1)))
    return Period(kind, first, last, zone, start, stop)


def newest_period(kind: Kind, now: float, zone: str) -> Period:
    """The newest one that is over at ``now`` (Unix seconds)."""
    today = dt.datetime.fromtimestamp(now, ZoneInfo(zone)).date()
    return period_of(kind, today, zone).before


def _midnight(day: dt.date, zone: str) -> int:
    return int(dt.datetime.combine(day, dt.time(), ZoneInfo(zone)).timestamp())
