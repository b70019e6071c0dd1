"""What the warehouse has built: a mark for every day of every fact that says which state of its source it was made of.

A table of its own beside the star, ``warehouse/built``: who deletes the warehouse deletes its books as well.
"""

from __future__ import annotations

import datetime as dt

import pyarrow as pa

from storage.lake.layout import Period
from storage.lake.location import LakeLocation
from storage.lake.parquet import read_file
from storage.lake.replacement import replace_rows
from storage.warehouse.star import Column, ColumnType, StarTable
from storage.warehouse.table import WarehouseTable, schema

BUILT = StarTable(
    "built",
    "what the warehouse is made of",
    "a table and a day",
    ("table_name",),
    (
        Column("table_name", ColumnType.TEXT, "table of the star"),
        Column("state", ColumnType.TEXT, "fingerprint of what the day was made of"),
    ),
    Period.YEAR,
)


class Books:
    """Marks of all tables, held in memory and written whole."""

    def __init__(self, root: LakeLocation) -> None:
        self._table = WarehouseTable(root, BUILT)
        self._marks: dict[tuple[str, int], str] = {}
        for row in stored_rows(self._table).to_pylist():
            self._marks[row["table_name"], int(row["time"].timestamp())] = row["state"]

    def mark(self, table: StarTable, day: int) -> str | None:
        """Mark of a day (its first second); None where it was never built."""
        return self._marks.get((table.name, day))

    def newest(self, table: StarTable) -> int | None:
        """The last day that is marked."""
        return max((day for name, day in self._marks if name == table.name), default=None)

    def write(self, table: StarTable, marks: dict[int, str]) -> None:
        """Mark days; durable on return. The last write of a build, since it says that all before is there."""
        new = {(table.name, day): state for day, state in marks.items()}
        if all(self._marks.get(key) == state for key, state in new.items()):  # none, or none that is new
            return
        self._marks |= new
        self._save(min(marks), max(marks))

    def forget(self, table: StarTable, first: int | None = None, last: int | None = None) -> int:
        """Take the marks of a table away, or those of days in ``[first, last]`` (Unix seconds): they are due then.
        Durable on return; their number."""
        gone = [
            (name, day)
            for name, day in self._marks
            if name == table.name and (first is None or day >= first) and (last is None or day <= last)
        ]
        for key in gone:
            del self._marks[key]
        if gone:
            self._save(min(day for _, day in gone), max(day for _, day in gone))
        return len(gone)

    def _save(self, earliest: int, latest: int) -> None:
        """Write the marks of all years from that of ``earliest`` to that of ``latest``."""
        first, after = Period.YEAR.window(earliest)[0], Period.YEAR.window(latest)[1]
        rows = [
            {"time": dt.datetime.fromtimestamp(day, dt.UTC), "table_name": name, "state": state}
            for (name, day), state in self._marks.items()
            if first <= day < after
        ]
        replace_rows(self._table, first, after, pa.Table.from_pylist(rows, schema=schema(BUILT)))


def stored_rows(table: WarehouseTable) -> pa.Table:
    """All rows of a small table.

    Raises:
        NeedsHuman, StoreError: it cannot be read.
    """
    snapshot = table.snapshot(fresh=True)
    parts = [] if snapshot is None else snapshot.parts
    with table.failures():
        return pa.concat_tables(
            [table.schema.empty_table(), *(read_file(part.path, table.schema).cast(table.schema) for part in parts)]
        )
