"""Damaged files of the lake's tables, and taking one out: by a commit of its table, as any file leaves it."""

from __future__ import annotations

import time as clock
from collections.abc import Iterator, Mapping

from deltalake import Transaction

from storage.damaged.case import Case
from storage.errors import NeedsHuman
from storage.features.table import feature_table
from storage.features.views import VIEWS
from storage.lake.layout import declared_tables
from storage.lake.location import LakeLocation
from storage.lake.registry import SCHEMA_REGISTRY
from storage.lake.scrub import FILE_CHECKSUM, known_checksums, read_back
from storage.lake.snapshot import Part
from storage.lake.table import LakeTable
from storage.warehouse.star import STAR
from storage.warehouse.table import WarehouseTable

Known = Mapping[tuple[object, object], str]


def tables_of(root: LakeLocation) -> Iterator[LakeTable]:
    """Every table under ``root`` that exists: of measurements, features, warehouse, and the lake's own. They open
    although files are missing."""
    for table in (
        *(LakeTable(root, *declared) for declared in declared_tables()),
        *(feature_table(root, view) for view in VIEWS.values()),
        *(WarehouseTable(root, star) for star in STAR),
        SCHEMA_REGISTRY.of(root),
        FILE_CHECKSUM.of(root),
    ):
        table.despite_damage = True
        if table.exists():
            yield table


def checksums(root: LakeLocation) -> Known:
    """What tells of files whose names do not; nothing where the book of them is damaged itself."""
    try:
        return known_checksums(root)
    except NeedsHuman:
        return {}


def live_parts(table: LakeTable) -> tuple[Part, ...]:
    """Files that the table has now."""
    snapshot = table.snapshot(fresh=True)
    return () if snapshot is None else snapshot.parts


def case_of(table: LakeTable, part: Part, known: Known) -> Case | None:
    """The case of a live file that is not what was written, or missing; None where it is whole.

    Raises:
        StoreError: the disk does not give it.
    """
    read = read_back(table, part, known)
    if read is not None and read.is_sound:
        return None
    written = read.written_in_words if read is not None else f"{part.size} bytes"
    is_measured = table.measurement.buckets.get(table.tier) is not None
    return Case(
        table=table.name,
        path=str(part.path),
        measurement=table.measurement.name,
        tier=str(table.tier) if is_measured else None,
        first=part.first,
        last=part.last,
        rows=part.rows,
        written=written,
        sha256=None if read is None else read.sha256,
        entities={tag: (low, part.high[tag]) for tag, low in part.low.items() if low or part.high[tag]},
    )


def take_out(table: LakeTable, part: Part) -> None:
    """Commit that ``part`` is no longer of ``table``, durably, and who says so. Again is once.

    Raises:
        NeedsHuman: the table's log is torn.
        StoreError: others were always faster, or the disk failed.
    """

    def remove() -> None:
        snapshot = table.opened_for_writing()
        live = [other for other in snapshot.parts if other.path == part.path]
        if live:
            mark = Transaction(_app(part.path.name), 1, clock.time_ns() // 1_000_000)
            table.commit(snapshot.handle, [], live, [mark])

    table.exclusively(remove)


def was_taken_out(table: LakeTable, name: str) -> bool:
    """Whether :func:`take_out` ever committed the file ``name``."""
    snapshot = table.snapshot(fresh=True)
    return snapshot is not None and snapshot.handle.transaction_version(_app(name)) is not None


def _app(name: str) -> str:
    return f"set-aside/{name}"
