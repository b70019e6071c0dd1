"""Merging small files: every closed hour, day, month and year of a table into as few files as memory allows.

Inputs are chosen from one handle and removed through the very same one: what somebody else deleted meanwhile makes the
commit fail, and nothing deleted comes back (reference/lake.md 2.2). Appends are never in the way and never wait for
the rewriting, which happens outside the lock. Inputs are read with their page checksums: damage is never copied.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake.exceptions import CommitFailedError

from storage.arrow_schema import integers
from storage.errors import StoreError
from storage.lake.damage import damage_named
from storage.lake.layout import DAY_S, Period, date_of
from storage.lake.location import readable
from storage.lake.parquet import read_file
from storage.lake.snapshot import Part, Snapshot
from storage.lake.table import LakeTable

CELLS_AT_ONCE = 24_000_000
"""Rows times columns rewritten at a time, which bounds memory to some 500 MB; larger windows get several files."""

_CELLS_OF_LONG = 400
"""A long text, some 8 kB, weighs as much as so many cells."""

_CLOSED_AFTER_S = {Period.HOUR: 600, Period.DAY: 7200, Period.MONTH: 7 * DAY_S, Period.YEAR: 7 * DAY_S}
_QUIET_S = 3600
"""Days and longer are merged once no file was added for this long: a late host would rewrite them every time."""


def compact(
    table: LakeTable, now: int, *, stop: Callable[[], bool] = lambda: False, leave: frozenset[str] = frozenset()
) -> int:
    """Merge the files of every closed window of ``table`` at ``now`` (Unix seconds); the number of files merged.

    Files whose schema is one of ``leave`` are left as they are.

    Raises:
        DamagedFile: a file is damaged; it is left as it is, its window unmerged.
        StoreError: somebody else removed what was being merged; the next run finds what is left.
    """
    count = 0
    for groups in _steps(table, now, leave):
        for parts in groups:
            if stop():
                return count
            snapshot = table.snapshot()
            if snapshot is not None and {part.path for part in parts} <= {part.path for part in snapshot.parts}:
                _merge(table, snapshot, parts)
                count += len(parts)
    return count


def _steps(table: LakeTable, now: int, leave: frozenset[str]) -> Iterator[list[list[Part]]]:
    """What is to be merged with what: first into the right partitions, then window by window, the finest first."""

    def parts() -> list[Part]:
        snapshot = table.snapshot()
        return [] if snapshot is None else [part for part in snapshot.parts if part.schema not in leave]

    found = parts()  # which tells the table's period as well
    yield _misplaced(table, found, now)
    for period in table.period.up_to():
        yield _closed(table, parts(), period, now)


def rows_at_once(table: LakeTable) -> int:
    """Rows of ``table`` that are rewritten at a time."""
    long = sum(field.long for field in table.measurement.fields)
    return max(1, CELLS_AT_ONCE // (len(table.schema) + long * _CELLS_OF_LONG))


def _misplaced(table: LakeTable, parts: Sequence[Part], now: int) -> list[list[Part]]:
    """Parts that are not in the partition of their rows, since those of the table were longer or shorter before."""
    groups: dict[int, list[Part]] = {}
    for part in parts:
        first, after = table.period.window(part.first)
        if (part.last >= after or part.date != date_of(first)) and part.modified_ms / 1000 + _QUIET_S <= now:
            groups.setdefault(first, []).append(part)
    return list(groups.values())


def _closed(table: LakeTable, parts: Sequence[Part], period: Period, now: int) -> list[list[Part]]:
    """Groups of parts that lie in one closed window and are more than they need to be."""
    groups: dict[int, list[Part]] = {}
    for part in parts:
        first, after = period.window(part.first)
        if part.last < after and after + _CLOSED_AFTER_S[period] <= now:
            groups.setdefault(first, []).append(part)
    limit = rows_at_once(table)
    return [
        group
        for group in groups.values()
        if len(group) > -(-sum(part.rows for part in group) // limit)
        and (period is Period.HOUR or all(part.modified_ms / 1000 + _QUIET_S <= now for part in group))
    ]


def _merge(table: LakeTable, snapshot: Snapshot, parts: Sequence[Part]) -> None:
    added = []
    for low, high in _ranges(table, parts):
        added += table.write(pa.concat_tables([_read(table, part, low, high) for part in parts]))
    with table.locked(), table.failures():
        try:
            table.commit(snapshot.handle, added, parts)
        except CommitFailedError as error:
            if isinstance(table.folder, Path):  # on an object store the commit may be there and its answer got lost
                for action in added:
                    (table.folder / action.path).unlink()
            raise StoreError(f"lake table {table.name}: its files were changed while they were merged") from error


def _ranges(table: LakeTable, parts: Sequence[Part]) -> list[tuple[str | None, str | None]]:
    """Ranges ``low <= entity < high`` that together hold all rows, each no larger than memory allows if it can be."""
    total, limit = sum(part.rows for part in parts), rows_at_once(table)
    if total <= limit or not table.order:
        return [(None, None)]
    entity = table.order[0]
    column = pa.chunked_array([chunk for part in parts for chunk in _entities(table, part, entity)])
    counts = column.value_counts()
    words, rows = counts.field("values").to_pylist(), counts.field("counts").to_pylist()
    order = sorted(range(len(words)), key=words.__getitem__)
    share = total / -(-total // limit)
    bounds: list[str] = []
    filled = 0
    for at in order:
        if filled >= share * (len(bounds) + 1):
            bounds.append(words[at])
        filled += rows[at]
    return list(zip([None, *bounds], [*bounds, None], strict=True))


def _entities(table: LakeTable, part: Part, entity: str) -> list[pa.Array]:
    with _still_there(table, part):
        column = read_file(part.path, pa.schema([table.schema.field(entity)]))[entity].cast(pa.string())
    return pc.fill_null(column, "").chunks  # type: ignore[no-any-return]


def _read(table: LakeTable, part: Part, low: str | None, high: str | None) -> pa.Table:
    """Rows of one file in a range, from the row groups that can hold any."""
    entity = table.order[0] if table.order else ""
    with _still_there(table, part):
        whole = low is None and high is None
        rows = read_file(part.path, table.schema, None if whole else _row_groups(part, entity, low, high))
    if whole:
        return rows
    words = pc.fill_null(rows[entity].cast(pa.string()), "")
    keep = np.ones(rows.num_rows, dtype=np.bool_)
    if low is not None:
        keep &= np.asarray(pc.greater_equal(words, low))
    if high is not None:
        keep &= np.asarray(pc.less(words, high))
    return rows.take(integers(np.flatnonzero(keep)))


def _row_groups(part: Part, entity: str, low: str | None, high: str | None) -> list[int]:
    with damage_named(part.path), pq.ParquetFile(readable(part.path)) as file:
        at = file.schema_arrow.get_field_index(entity)
        metadata = file.metadata

        def may_hold(group: int) -> bool:
            statistics = metadata.row_group(group).column(at).statistics
            if statistics is None or not statistics.has_min_max or statistics.null_count:
                return True
            return (high is None or statistics.min < high) and (low is None or statistics.max >= low)

        return [group for group in range(metadata.num_row_groups) if may_hold(group)]


@contextlib.contextmanager
def _still_there(table: LakeTable, part: Part) -> Iterator[None]:
    with table.failures():
        try:
            yield
        except FileNotFoundError as error:
            raise StoreError(f"lake table {table.name}: {part.path} went away while it was merged") from error
