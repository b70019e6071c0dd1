"""From bytes of days to growth, from growth to the day when a volume is full. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

REMEMBERED_DAYS = 28
"""Days that a total is followed for: the weekly archive makes steps, and four of them even out."""

RECENT_DAYS = 7
KNOWN_DAYS = 2
"""Fewer days than this say nothing of the next one."""

UNKNOWN_SHARE = 0.1
"""A forecast is made while no more than this part of the bytes has an unknown growth."""


@dataclass(frozen=True, slots=True)
class Growth:
    """Bytes that come each day; None with the ``reason`` where it is not known yet."""

    bytes_per_day: float | None
    reason: str | None = None


NOT_YET = Growth(None, f"known after {KNOWN_DAYS} whole days")


def growth_of_days(bytes_by_day: Mapping[int, float], today: int) -> Growth:
    """Mean of the last whole days, given what each day holds by its number (Unix seconds // 86400).

    Today is not over. Nor is the first day whole, as collecting began in it; it counts only while it must. Days without
    a byte in between count: what rests does not grow.
    """
    closed = [day for day, size in bytes_by_day.items() if day < today and size]
    if not closed:
        return NOT_YET
    first = min(closed)
    begin = max(first + 1 if today - first > KNOWN_DAYS else first, today - RECENT_DAYS)
    if today - begin < KNOWN_DAYS:
        return NOT_YET
    return Growth(sum(bytes_by_day.get(day, 0) for day in range(begin, today)) / (today - begin))


def growth_of_totals(totals: Mapping[int, int], today: int) -> Growth:
    """Slope (least squares) of totals, given the last total of each day; never below 0."""
    points = sorted((day, total) for day, total in totals.items() if today - REMEMBERED_DAYS <= day <= today)
    if len(points) < 2 or points[-1][0] - points[0][0] < KNOWN_DAYS:
        return NOT_YET
    middle = sum(day for day, _ in points) / len(points)
    mean = sum(total for _, total in points) / len(points)
    rise = sum((day - middle) * (total - mean) for day, total in points)
    return Growth(max(0.0, rise / sum((day - middle) ** 2 for day, _ in points)))


@dataclass(frozen=True, slots=True)
class Stock:
    """What lies in one place. ``ceiling``: bytes that it never passes, as by retention; None: it grows for ever."""

    bytes: int
    growth: Growth
    ceiling: float | None = None

    @property
    def rate(self) -> float:
        """Bytes a day from now on; 0 where unknown or at the ceiling."""
        if self.ceiling is not None and self.bytes >= self.ceiling:
            return 0.0
        return self.growth.bytes_per_day or 0.0

    @property
    def days_to_ceiling(self) -> float:
        """Days for which it grows."""
        if self.ceiling is None or not self.rate:
            return float("inf")
        return (self.ceiling - self.bytes) / self.rate


@dataclass(frozen=True, slots=True)
class Forecast:
    """Days until full; None: it is never full, or it is not known, and ``reason`` says which."""

    days: float | None
    reason: str | None = None


def days_until_full(stocks: Sequence[Stock], free: float) -> Forecast:
    """When ``stocks`` together have used up ``free`` bytes, each growing up to its ceiling."""
    total = sum(stock.bytes for stock in stocks)
    unknown = [stock for stock in stocks if stock.growth.bytes_per_day is None]
    share = sum(stock.bytes for stock in unknown) / total if total else 1.0
    if unknown and (share > UNKNOWN_SHARE or len(unknown) == len(stocks)):
        return Forecast(None, unknown[0].growth.reason)
    rate, day, left = sum(stock.rate for stock in stocks), 0.0, free
    for stock in sorted((stock for stock in stocks if stock.rate), key=lambda stock: stock.days_to_ceiling):
        span = stock.days_to_ceiling - day
        if rate * span >= left:
            break
        left, day, rate = left - rate * span, stock.days_to_ceiling, rate - stock.rate
    if rate <= 1e-9:
        return Forecast(None, f"levels off with {round(left)} bytes free")
    return Forecast(day + max(left, 0.0) / rate)
