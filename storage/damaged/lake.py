"""Damaged files of the lake's tables; taking one out and putting it back by commits of its table, as any file comes
and goes. A transaction with the file's name counts them: after an odd number it is out."""

from __future__ import annotations

import json
import time as clock
from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow as pa
from deltalake import Transaction
from deltalake.transaction import AddAction

from storage.arrow_schema import PARTITION, numbers
from storage.damaged.case import Case
from storage.declaration import Tier
from storage.errors import NeedsHuman
from storage.features.table import feature_table
from storage.features.views import VIEWS
from storage.lake.layout import declared_tables
from storage.lake.location import LakeLocation, make_folder, put, sync
from storage.lake.merge import without_keys_of
from storage.lake.parquet import read_file
from storage.lake.registry import SCHEMA_REGISTRY
from storage.lake.scrub import FILE_CHECKSUM, known_checksums, read_back
from storage.lake.snapshot import Part, Snapshot
from storage.lake.table import LakeTable
from storage.warehouse.books import BUILT
from storage.warehouse.star import STAR
from storage.warehouse.table import WarehouseTable

Known = Mapping[tuple[object, object], str]


def tables_of(root: LakeLocation) -> Iterator[LakeTable]:
    """Every table under ``root`` that exists: of measurements, features, warehouse, and the lake's own. They open
    although files are missing."""
    for table in (
        *(LakeTable(root, *declared) for declared in declared_tables()),
        *(feature_table(root, view) for view in VIEWS.values()),
        *(WarehouseTable(root, star) for star in (*STAR, BUILT)),
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
            table.commit(snapshot.handle, [], live, [_next_turn(snapshot, part.path.name)])

    table.exclusively(remove)


def put_rows(table: LakeTable, name: str, rows: pa.Table) -> None:
    """Commit ``rows`` (file schema) of the file ``name``, which was taken out, durably. Again is once.

    Of a tier that is rolled up, rows that were made anew meanwhile stay as they are.

    Raises:
        NeedsHuman: another file of that time is damaged, or the table's log is torn.
        StoreError: others were always faster, or the disk failed.
    """

    def add() -> None:
        snapshot = table.opened_for_writing()
        if is_out(snapshot, name):
            new = rows if table.tier is Tier.RAW else without_keys_of(rows, _there(table, snapshot, rows), table.order)
            added = table.write(new) if new.num_rows else []
            table.commit(snapshot.handle, added, [], [_next_turn(snapshot, name)])

    table.exclusively(add)


def put_file(table: LakeTable, case: Case, content: pa.Buffer) -> None:
    """Commit the damaged file of ``case`` with the bytes that it had, at the path that it had, durably. Again is once.

    Raises:
        NeedsHuman: its windows were made anew meanwhile, so rows would be there twice.
        StoreError: others were always faster, or the disk failed.
    """
    date, name = case.path.rsplit("/", 2)[1:]
    low = {tag: ends[0] for tag, ends in case.entities.items() if ends[0]}
    high = {tag: ends[1] for tag, ends in case.entities.items() if ends[1]}
    # How many tags are null is not kept: none, some, or all.
    nulls = {tag: 1 if tag in high else case.rows for tag in table.measurement.tag_names if tag not in low}
    times = [str(np.datetime_as_string(np.datetime64(at, "s"), timezone="UTC")) for at in (case.first, case.last)]
    said = {
        "numRecords": case.rows,
        "minValues": {"time": times[0], **low},
        "maxValues": {"time": times[1], **high},
        "nullCount": nulls,
    }

    def add() -> None:
        snapshot = table.opened_for_writing()
        if not is_out(snapshot, name):
            return
        if case.tier not in (None, Tier.RAW) and any(_overlaps(part, case) for part in snapshot.parts):
            raise NeedsHuman(
                f"{table.name} has rows of the time of {name} that were made anew since",
                remedy="Leave it set aside; a whole copy can be put back",
            )
        folder = table.folder / date
        make_folder(folder)
        put(folder / name, content)
        for durable in (folder / name, folder, table.folder):
            sync(durable)
        action = AddAction(
            path=f"{date}/{name}",
            size=content.size,
            partition_values={PARTITION: date.removeprefix(f"{PARTITION}=")},
            modification_time=clock.time_ns() // 1_000_000,
            data_change=True,
            stats=json.dumps(said, separators=(",", ":")),
        )
        table.commit(snapshot.handle, [action], [], [_next_turn(snapshot, name)])

    table.exclusively(add)


def is_out(snapshot: Snapshot, name: str) -> bool:
    """Whether the file ``name`` was taken out of the table by :func:`take_out`, and not put back since."""
    return _turns(snapshot, name) % 2 == 1


def was_put_back(snapshot: Snapshot, name: str) -> bool:
    """Whether :func:`put_rows` or :func:`put_file` was the last to do anything with the file ``name``."""
    return _turns(snapshot, name) > 0 and not is_out(snapshot, name)


def _turns(snapshot: Snapshot, name: str) -> int:
    """How often the file was taken out and put back: the version of a transaction that has its name."""
    return snapshot.handle.transaction_version(f"set-aside/{name}") or 0


def _next_turn(snapshot: Snapshot, name: str) -> Transaction:
    return Transaction(f"set-aside/{name}", _turns(snapshot, name) + 1, clock.time_ns() // 1_000_000)


def _there(table: LakeTable, snapshot: Snapshot, rows: pa.Table) -> pa.Table:
    """Rows of the table in files that overlap with the time of ``rows``."""
    times = numbers(rows["time"]) // 1_000_000
    files = [
        part for part in snapshot.parts if part.first <= times.max(initial=0) and part.last >= times.min(initial=0)
    ]
    return pa.concat_tables([rows.slice(0, 0), *(read_file(part.path, table.schema) for part in files)])


def _overlaps(part: Part, case: Case) -> bool:
    return part.first <= case.last and part.last >= case.first
