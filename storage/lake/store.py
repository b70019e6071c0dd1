"""The embedded store: the lake behind the Store port, read by DuckDB from lists of files that the Delta log chose.

DuckDB never sees the Delta table (``delta_scan`` would be downloaded at run time) nor a pyarrow dataset (3 to 40 times
slower, reference/lake.md 5), and may load no extension: no query of this store ever opens a connection.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import duckdb
import pyarrow as pa

from storage.arrow_schema import ANSWER_TIME, END_OF_TIME_S, answer_schema, conformed, frame_to_table
from storage.declaration import MEASUREMENTS, Measurement, Tier
from storage.errors import LodelineError, StoreError
from storage.frame import Frame
from storage.lake.damage import first_damaged
from storage.lake.history import snapshot_as_of
from storage.lake.location import LakeLocation, require_usable, spill_of
from storage.lake.object_store import explanation
from storage.lake.query import (
    Query,
    Selection,
    aggregate,
    newest_rows,
    refuse_unknown_tags,
    sorted_rows,
    window_rows,
)
from storage.lake.replacement import replace_rows
from storage.lake.snapshot import Part
from storage.lake.table import LakeTable
from storage.store import Where


class EmbeddedStore:
    """Store ``embedded`` over the lake under ``root``. Threads may share it.

    With ``as_of`` (Unix seconds) it answers as it would have then, at most history.UNDO_HOURS back, and takes nothing.
    Who only reads makes no folder: whether ``root`` can hold a lake is looked at before the first write, which raises
    NeedsHuman where it cannot.
    """

    name = "embedded"

    def __init__(self, root: LakeLocation, *, as_of: int | None = None) -> None:
        self._root = root
        self._usable = False
        self._as_of = as_of
        self._tables: dict[tuple[str, Tier], LakeTable] = {}
        self._guard = threading.Lock()
        self._connection = duckdb.connect(
            ":memory:",
            config={
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
                "allow_community_extensions": False,
                "temp_directory": str(spill_of(root)),
                "preserve_insertion_order": False,
            },
        )
        self._connection.execute("SET GLOBAL TimeZone = 'UTC'")
        if not isinstance(root, Path):
            from storage.lake.object_reads import ObjectReads  # fsspec, which a lake on a disk does without

            self._connection.register_filesystem(ObjectReads(root.store))

    def read(
        self,
        measurement: Measurement,
        tier: Tier,
        start: int,
        stop: int,
        *,
        where: Where | None = None,
        columns: Sequence[str] | None = None,
    ) -> pa.Table:
        """See :meth:`storage.store.Store.read`."""
        schema = answer_schema(measurement, tier, columns)
        selection = Selection.of(measurement, tier, start, stop, where)
        fields = schema.names[1 + len(selection.tags) :]
        return self._answer(selection, schema, lambda parts: sorted_rows(selection, parts, fields))

    def windows(
        self,
        measurement: Measurement,
        start: int,
        stop: int,
        every_s: int,
        *,
        aggregates: Mapping[str, str],
        by: Sequence[str] = (),
        where: Where | None = None,
    ) -> pa.Table:
        """See :meth:`storage.store.Store.windows`. ``last`` is the newest value that is not null."""
        if every_s <= 0 or start % every_s or stop % every_s:
            raise ValueError(f"start {start} and stop {stop} must be multiples of every_s {every_s}")
        answer_schema(measurement, Tier.RAW, list(aggregates))  # refuses unknown fields
        refuse_unknown_tags(measurement, by)
        columns = {f"{name}_{how}": aggregate(measurement, name, how, by) for name, how in aggregates.items()}
        tags = [pa.field(tag, pa.string()) for tag in by]
        schema = pa.schema(
            [("time", ANSWER_TIME), *tags, *(pa.field(name, kind) for name, (_, kind) in columns.items())]
        )
        sqls = {name: sql for name, (sql, _) in columns.items()}
        selection = Selection.of(measurement, Tier.RAW, start, stop, where)
        return self._answer(selection, schema, lambda parts: window_rows(selection, parts, every_s, sqls, by))

    def newest(
        self, measurement: Measurement, since: int, *, before: int | None = None, where: Where | None = None
    ) -> pa.Table:
        """See :meth:`storage.store.Store.newest`."""
        schema = answer_schema(measurement, Tier.RAW)
        selection = Selection.of(measurement, Tier.RAW, since, END_OF_TIME_S if before is None else before, where)
        fields = [field.name for field in measurement.fields]
        return self._answer(selection, schema, lambda parts: newest_rows(selection, parts, fields))

    def replace(self, measurement: Measurement, tier: Tier, start: int, stop: int, rows: pa.Table) -> None:
        """See :meth:`storage.store.Store.replace`; here series that are missing in ``rows`` are gone as well."""
        self._require_writable()
        replace_rows(self._table(measurement, tier), start, stop, conformed(rows, measurement, tier))

    def write(self, frames: Sequence[Frame]) -> None:
        """See :meth:`storage.store.Store.write`."""
        self._require_writable()
        batches: dict[str, list[tuple[int, pa.Table]]] = {}
        for frame in frames:
            batches.setdefault(frame.measurement, []).append((0, frame_to_table(frame)))
        for name, tables in batches.items():
            self._table(MEASUREMENTS[name], Tier.RAW).append(tables)

    def close(self) -> None:
        """See :meth:`storage.store.Store.close`."""
        self._connection.close()

    def _require_writable(self) -> None:
        if self._as_of is not None:
            raise ValueError("a store of the past is read-only")
        if not self._usable:
            require_usable(self._root)
            self._usable = True

    def _table(self, measurement: Measurement, tier: Tier) -> LakeTable:
        key = (measurement.name, tier)
        with self._guard:
            if key not in self._tables:
                self._tables[key] = LakeTable(self._root, measurement, tier)
            return self._tables[key]

    def _answer(self, selection: Selection, schema: pa.Schema, query: Callable[[Sequence[Part]], Query]) -> pa.Table:
        """Run ``query`` over the files chosen; once more, freshly, when one was merged away and deleted under it."""
        table = self._table(selection.measurement, selection.tier)
        for fresh in (False, True):
            snapshot = table.snapshot(fresh=fresh) if self._as_of is None else snapshot_as_of(table, self._as_of)
            parts = [] if snapshot is None else selection.chosen(snapshot.parts)
            if not parts:
                return schema.empty_table()
            asked = query(parts)
            try:
                with self._connection.cursor() as cursor:
                    answer = cursor.sql(asked.text, params=asked.parameters).to_arrow_table()
            except (duckdb.Error, ValueError) as error:  # of damage: a name in a footer that is no UTF-8
                if damaged := first_damaged(part.path for part in parts):
                    raise damaged from error
                if fresh:
                    raise self._trouble(table, error) from error
                continue
            return answer.rename_columns(schema.names).cast(schema)
        raise AssertionError("unreachable: the second round returns or raises")

    def _trouble(self, table: LakeTable, error: Exception) -> LodelineError:
        what = f"lake table {table.name} cannot be read"
        if isinstance(self._root, Path):
            return StoreError(f"{what}: {error}")
        return explanation(what, self._root.store, str(error))
