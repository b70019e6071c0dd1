"""Swapping the rows of a time range in one transaction: what a roll-up does when it is done again. Adding such rows."""

from __future__ import annotations

import time as clock

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from deltalake import Transaction

from storage.arrow_schema import integers, numbers
from storage.declaration import Tier
from storage.errors import FrameError, NeedsHuman
from storage.lake.merge import merged, without_keys_of
from storage.lake.parquet import read_file
from storage.lake.snapshot import Part
from storage.lake.table import LakeTable


def replace_rows(table: LakeTable, start: int, stop: int, rows: pa.Table) -> None:
    """Make the rows of ``table`` (a roll-up) in ``[start, stop)`` exactly ``rows``, durably, in one version.

    Files inside the range go, files across its edge are written anew without it. Rows that are there already are not
    written again. Nobody else writes meanwhile, so that of two at once the later one stands whole.

    Raises:
        FrameError: a row outside of the range.
        NeedsHuman: a file that has to be written anew is damaged or missing.
    """
    if table.tier is Tier.RAW:
        raise ValueError(f"{table.name} holds raw rows, which are appended, never replaced")
    rows = merged(rows, table.order)
    if rows.num_rows and not _inside(rows, start, stop).all():
        raise FrameError(f"{table.name}: rows outside of [{start}, {stop}) were handed over to replace it")
    if not rows.num_rows and not table.exists():
        return

    def swap() -> None:
        snapshot = table.opened_for_writing()
        touched = [part for part in snapshot.parts if part.first < stop and part.last >= start]
        try:
            stored = [_read(table, part) for part in touched]
        except FileNotFoundError as error:
            raise NeedsHuman(
                f"lake table {table.name}: a file of the range is missing: {error}",
                remedy="Restore it from a backup, or move the table's folder aside and roll up again",
            ) from error
        there = pa.concat_tables([table.schema.empty_table(), *stored])
        inside = _inside(there, start, stop)
        if merged(_where(there, inside), table.order).equals(rows):
            return
        kept = _where(there, ~inside)
        whole = pa.concat_tables([kept, rows])
        table.commit(snapshot.handle, table.write(whole) if whole.num_rows else [], touched, strict=True)

    table.exclusively(swap)


def merge_rows(table: LakeTable, rows: pa.Table, *, app: str, sequence: int) -> int:
    """Add ``rows`` to ``table`` (a roll-up), durably; of a key that is there, their values win where they are not null.

    Exactly once for each ``sequence`` of ``app``, which rises: the number of rows, 0 where they were added before.

    Raises:
        NeedsHuman: a file that has to be written anew is damaged.
        StoreError: the disk failed, or others were always faster.
    """
    if table.tier is Tier.RAW:
        raise ValueError(f"{table.name} holds raw rows, which are merged when they are read")
    if not rows.num_rows:
        return 0
    times = numbers(rows["time"])
    first, last = int(times.min()) // 1_000_000, int(times.max()) // 1_000_000

    def add() -> int:
        snapshot = table.opened_for_writing()
        seen = snapshot.handle.transaction_version(app)
        if seen is not None and seen >= sequence:
            return 0
        near = [part for part in snapshot.parts if part.first <= last and part.last >= first]
        there = pa.concat_tables([table.schema.empty_table(), *(_read(table, part) for part in near)])
        is_new = without_keys_of(rows, there, table.order).num_rows == rows.num_rows
        whole, gone = (rows, []) if is_new else (pa.concat_tables([there, rows]), near)
        mark = Transaction(app, sequence, clock.time_ns() // 1_000_000)
        table.commit(snapshot.handle, table.write(whole), gone, [mark], strict=bool(gone))
        return int(rows.num_rows)

    return table.exclusively(add)


def _read(table: LakeTable, part: Part) -> pa.Table:
    return read_file(part.path, table.schema).cast(table.schema)


def _inside(rows: pa.Table, start: int, stop: int) -> npt.NDArray[np.bool_]:
    times = numbers(rows["time"])
    return (times >= start * 1_000_000) & (times < stop * 1_000_000)


def _where(rows: pa.Table, mask: npt.NDArray[np.bool_]) -> pa.Table:
    return rows.take(integers(np.flatnonzero(mask)))
