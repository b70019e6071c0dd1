"""A budget in words for people."""

from __future__ import annotations

from storage.disk_budget.budget import Budget, VolumeBudget
from storage.disk_budget.forecast import Forecast

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


def size_in_words(size: float) -> str:
    """Bytes with a decimal prefix and three figures, e.g. ``1.23 GB``."""
    unit = 0
    while size >= 999.5 and unit < len(_UNITS) - 1:
        size, unit = size / 1000, unit + 1
    return f"{size:.0f} {_UNITS[unit]}" if unit == 0 else f"{size:.3g} {_UNITS[unit]}"


def days_in_words(forecast: Forecast) -> str:
    """Days until full, or why there are none."""
    return forecast.reason or "-" if forecast.days is None else f"full in {forecast.days:.0f} d"


def volume_in_words(one: VolumeBudget) -> str:
    """A volume in one line."""
    due = f"; due: {', '.join(one.actions)}" if one.actions else ""
    volume = one.volume
    free = f"{size_in_words(volume.free)} of {size_in_words(volume.total)} free ({volume.free_percent:.0f}%)"
    return f"{volume.path}: {free}, {days_in_words(one.forecast)}{due}"


def table_of(budget: Budget) -> list[str]:
    """The whole budget: volumes, then a line per item, the largest first, then notes."""
    rows = [("place", "of", "bytes", "a day", "alone")]
    for item in sorted(budget.items, key=lambda item: -item.stock.bytes):
        growth = item.stock.growth
        per_day = "" if growth.bytes_per_day is None else size_in_words(growth.bytes_per_day)
        of = f"{item.of} {item.tier}".strip()
        rows.append((item.place, of, size_in_words(item.stock.bytes), per_day, days_in_words(item.alone)))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    lines = [
        f"{row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]:>{widths[2]}}  {row[3]:>{widths[3]}}  {row[4]}"
        for row in rows
    ]
    cost = budget.bytes_per_miner_day
    per_miner = [] if cost is None else [f"A miner adds {size_in_words(cost)} a day to the lake."]
    return [*map(volume_in_words, budget.volumes), *lines, *per_miner, *budget.notes]
