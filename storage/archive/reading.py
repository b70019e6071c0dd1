"""Rows of the archive, read as rows of a store are: nobody who asks has to know where they are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from storage.archive.catalogue import Catalogue
from storage.archive.part import ArchivedPart, State
from storage.archive.writing import fault_of, footer_fault_of, order_of
from storage.arrow_schema import ANSWER_TIME, INGEST_MS, INGEST_VERSION, answer_schema, file_schema
from storage.declaration import Measurement, Tier
from storage.errors import NeedsHuman
from storage.lake.merge import merged
from storage.lake.parquet import read_rows
from storage.lake.query import refuse_unknown_tags
from storage.store import Where


class ArchiveReader:
    """Reads the archive under ``root``."""

    def __init__(self, root: Path) -> None:
        self._catalogue = Catalogue.open(root)

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
        """See :meth:`storage.store.Store.read`. The catalogue chooses files and their footers groups of rows, which are
        read with page checksums.

        Raises:
            NeedsHuman: a file of the answer is missing or damaged; named, with both hashes.
        """
        schema = answer_schema(measurement, tier, columns)
        wanted = _values(where)
        refuse_unknown_tags(measurement, wanted)
        ingest = [INGEST_MS, INGEST_VERSION] if tier is Tier.RAW else []
        whole = file_schema(measurement, tier)
        needed = pa.schema([whole.field(name) for name in dict.fromkeys([*schema.names, *ingest])])
        rows = [
            _chosen(self._rows(part, needed, start, stop, wanted), start, stop, wanted)
            for part in order_of(self._catalogue.parts(measurement, tier, start, stop))
            if all(any(part.holds(tag, value) for value in values) for tag, values in wanted.items())
        ]
        rows = [piece for piece in rows if piece.num_rows]
        if not rows:
            return schema.empty_table()
        answer = merged(pa.concat_tables(rows), sorted(measurement.tag_names)).select(schema.names)
        return pa.Table.from_arrays([_plain(answer[field.name], field.type) for field in schema], schema=schema)

    def _rows(
        self, part: ArchivedPart, schema: pa.Schema, start: int, stop: int, where: dict[str, list[str]]
    ) -> pa.Table:
        path = self._catalogue.path(part)
        damage = footer_fault_of(path, part)
        if part.state is State.DAMAGED:
            damage = fault_of(path, part) or f"{part.path} was found damaged"
        if damage is None:
            try:
                return read_rows(path, schema, _row_groups(path, start, stop, where))
            except (OSError, ValueError, pa.ArrowException) as error:
                damage = fault_of(path, part) or f"{part.path}: {error}"
        raise NeedsHuman(
            f"archive: {damage}",
            remedy="Put a whole copy in its place and run `lodeline archive verify`, or leave its time out",
        )


def _values(where: Where | None) -> dict[str, list[str]]:
    return {tag: [said] if isinstance(said, str) else list(said) for tag, said in (where or {}).items()}


def _row_groups(path: Path, start: int, stop: int, where: dict[str, list[str]]) -> list[int]:
    """Groups of rows that can hold any of what is asked for."""
    with pq.ParquetFile(path) as file:
        at = {name: file.schema_arrow.get_field_index(name) for name in ("time", *where)}
        metadata = file.metadata

    def may_hold(group: int) -> bool:
        columns = metadata.row_group(group)
        return _may_be_then(columns.column(at["time"]).statistics, start, stop) and all(
            at[tag] < 0 or _may_have(columns.column(at[tag]).statistics, values) for tag, values in where.items()
        )

    return [group for group in range(metadata.num_row_groups) if may_hold(group)]


def _may_be_then(times: pq.Statistics | None, start: int, stop: int) -> bool:
    if times is None or not times.has_min_max:
        return True
    return bool(times.max_raw >= start * 1_000_000 and times.min_raw < stop * 1_000_000)  # a datetime ends in year 9999


def _may_have(words: pq.Statistics | None, values: Sequence[str]) -> bool:
    if words is None or not words.has_min_max:
        return True
    return any(words.min <= value <= words.max for value in values)


def _chosen(rows: pa.Table, start: int, stop: int, where: dict[str, list[str]]) -> pa.Table:
    time = rows["time"]
    kind = time.type
    mask = pc.and_(
        pc.greater_equal(time, pa.scalar(start * 1_000_000, pa.int64()).cast(kind)),
        pc.less(time, pa.scalar(stop * 1_000_000, pa.int64()).cast(kind)),
    )
    for tag, values in where.items():
        mask = pc.and_(mask, pc.is_in(rows[tag].cast(pa.string()), value_set=pa.array(values, pa.string())))
    return rows.filter(mask)


def _plain(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    return column.cast(kind) if kind != ANSWER_TIME else column.cast(ANSWER_TIME, safe=False)
