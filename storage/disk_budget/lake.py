"""Bytes of the lake by measurement and tier, and what each day added: its live files know their times."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from storage.disk_budget.files import bytes_in
from storage.disk_budget.forecast import Growth, growth_of_days
from storage.lake.layout import DAY_S, declared_tables
from storage.lake.location import LakeLocation
from storage.lake.snapshot import Part
from storage.lake.table import LakeTable


@dataclass(frozen=True, slots=True)
class TableBytes:
    """One table. ``bytes``: on the disk, also of files that vacuum will delete; on an object store of live files."""

    measurement: str
    tier: str
    bytes: int
    growth: Growth


def measure_lake(root: LakeLocation, today: int) -> Iterator[TableBytes]:
    """Every table that exists. ``today`` is the number of the day, Unix seconds // 86400.

    Raises:
        NeedsHuman, StoreError: a table cannot be read.
    """
    for measurement, tier in declared_tables():
        table = LakeTable(root, measurement, tier)
        snapshot = table.snapshot() if table.exists() else None
        if snapshot is None:
            continue
        live = sum(part.size for part in snapshot.parts)
        size = bytes_in(table.folder) if isinstance(table.folder, Path) else live
        yield TableBytes(measurement.name, str(tier), size, growth_of_days(bytes_by_day(snapshot.parts), today))


def bytes_by_day(parts: Iterable[Part]) -> dict[int, float]:
    """Bytes of each day; those of a file are spread evenly over the days between its first and its last row."""
    found: dict[int, float] = defaultdict(float)
    for part in parts:
        first, last = part.first // DAY_S, part.last // DAY_S
        for day in range(first, last + 1):
            found[day] += part.size / (last - first + 1)
    return dict(found)
