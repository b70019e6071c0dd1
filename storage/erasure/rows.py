"""Taking an entity out of rows: of Arrow tables (lake, archive) and of frames (spool)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from storage.declaration import MEASUREMENTS, Measurement, Tier
from storage.erasure.entity import Entity
from storage.frame import Frame

if TYPE_CHECKING:  # the extra [lake]; a host without it has a spool to clean all the same
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Scrubbed:
    """``kept`` is None where nothing had to change, which is told without copying anything."""

    kept: pa.Table | None
    removed: int = 0
    redacted: int = 0


def scrub_table(rows: pa.Table, tags: tuple[str, ...], tier: Tier, entity: Entity) -> Scrubbed:
    """``rows`` (any schema with ``time``, strings plain or dictionary-coded) without the entity in its range.

    Rows whose tags fit go; texts of other rows that hold its name lose the name.
    """
    import numpy as np
    import pyarrow as pa

    from storage.arrow_schema import integers

    if not rows.num_rows:
        return Scrubbed(None)
    times = np.asarray(rows["time"].cast(pa.timestamp("s", tz="UTC"), safe=False).cast(pa.int64()))
    start, stop = entity.span(tier)
    inside = (times >= start) & (times < stop)
    if not inside.any():
        return Scrubbed(None)
    mine = inside & _fits(rows, tags, entity)
    redacted, changed = np.zeros(len(mine), dtype=np.bool_), rows
    for at, name in enumerate(rows.column_names):
        column = rows[name]
        coded = pa.types.is_dictionary(column.type)
        if not pa.types.is_string(column.type.value_type if coded else column.type) or entity.in_text is None:
            continue
        where = mentioned(column, entity)
        where &= inside & ~mine
        if where.any():
            redacted |= where
            changed = changed.set_column(at, rows.field(name), _replaced(column, where, entity))
    removed = int(mine.sum())
    if not removed and not redacted.any():
        return Scrubbed(None)
    return Scrubbed(compacted(changed.take(integers(np.flatnonzero(~mine)))), removed, int(redacted.sum()))


def compacted(rows: pa.Table) -> pa.Table:
    """``rows`` whose dictionaries hold no word that no row has.

    A row that is taken out leaves its word in the dictionary, and Parquet writes the dictionary as it is.
    """
    import pyarrow as pa

    for at, field in enumerate(rows.schema):
        if pa.types.is_dictionary(field.type):
            column = rows[field.name].cast(pa.string()).combine_chunks().dictionary_encode()
            rows = rows.set_column(at, field.name, column.cast(field.type))
    return rows


def has_ghosts(rows: pa.Table, entity: Entity) -> bool:
    """Whether a dictionary of ``rows`` names ``entity`` in a word that no row has."""
    import numpy as np
    import pyarrow as pa

    for column in rows.columns:
        for chunk in column.chunks if pa.types.is_dictionary(column.type) else ():
            named = [at for at, word in enumerate(chunk.dictionary.to_pylist()) if word and entity.mentions(word)]
            if named and set(named) - set(np.unique(np.asarray(chunk.indices.drop_null())).tolist()):
                return True
    return False


def _fits(rows: pa.Table, tags: tuple[str, ...], entity: Entity) -> Any:
    import numpy as np

    def equal(name: str, value: str) -> Any:
        import pyarrow as pa
        import pyarrow.compute as pc

        return np.asarray(pc.fill_null(pc.equal(rows[name].cast(pa.string()), value), False))

    there = [name for name in tags if name in rows.column_names]
    if set(entity.tags) <= set(there):
        fits = np.logical_and.reduce([equal(name, value) for name, value in entity.tags.items()])
    else:
        fits = np.zeros(rows.num_rows, dtype=np.bool_)
    if entity.word is not None:  # e.g. pool_summary has workers under `key`
        for name in there:
            fits = fits | equal(name, entity.word)
    return fits


def mentioned(column: pa.ChunkedArray, entity: Entity) -> Any:
    """Rows of ``column`` whose text holds the name."""
    import numpy as np
    import pyarrow as pa

    coded = (column if pa.types.is_dictionary(column.type) else column.dictionary_encode()).combine_chunks()
    words = coded.dictionary.to_pylist()
    hits = np.array([word is not None and entity.mentions(word) for word in words] + [False], dtype=np.bool_)
    valid = np.asarray(coded.is_valid())
    codes = np.asarray(coded.indices.fill_null(0)).astype(np.int64)
    return hits[np.where(valid, codes, len(words))]


def _replaced(column: pa.ChunkedArray, where: Any, entity: Entity) -> pa.ChunkedArray:
    import pyarrow as pa

    plain = column.cast(pa.string()).to_pylist()
    texts = [entity.without_name(text) if hit and text is not None else text for text, hit in zip(plain, where)]  # noqa: B905
    return pa.chunked_array([pa.array(texts, pa.string())]).cast(column.type)


def scrub_frame(frame: Frame, entity: Entity) -> tuple[Frame, int]:
    """``frame`` without the entity, and the number of rows touched. As many rows as before: those of the entity are
    left empty, all columns null, so that the books of the spool stay true. An empty row is stored nowhere.
    """
    declared = MEASUREMENTS.get(frame.measurement)
    if declared is None or not entity.wants(declared):
        return frame, 0
    mine = [entity.start <= time < entity.stop and _is_of(declared, frame, row, entity) for row, time in
            enumerate(frame.times)]  # fmt: skip
    touched = set(at for at, hit in enumerate(mine) if hit)
    columns: dict[str, list[Any]] = {}
    for name, values in frame.columns.items():
        kept = [None if hit else value for value, hit in zip(values, mine, strict=True)]
        if entity.in_text is not None:
            for at, value in enumerate(kept):
                if isinstance(value, str) and entity.start <= frame.times[at] < entity.stop and entity.mentions(value):
                    kept[at] = entity.without_name(value)
                    touched.add(at)
        if any(value is not None for value in kept):  # an absent column is null in every row, and takes no room
            columns[name] = kept
    return (Frame(frame.measurement, frame.times, columns), len(touched)) if touched else (frame, 0)


def without_rows(frame: Frame, dropped: set[int]) -> Frame:
    """``frame`` without some of its rows."""
    kept = [row for row in range(len(frame)) if row not in dropped]
    columns = {name: [values[row] for row in kept] for name, values in frame.columns.items()}
    return Frame(frame.measurement, [frame.times[row] for row in kept], columns)


def tags_of(measurement: Measurement, columns: Mapping[str, list[Any]], row: int) -> dict[str, str]:
    """Tags of a row that are there."""
    return {name: columns[name][row] for name in measurement.tag_names if columns.get(name, ())[row : row + 1] != [None]
            and name in columns}  # fmt: skip


def _is_of(declared: Measurement, frame: Frame, row: int, entity: Entity) -> bool:
    tags = tags_of(declared, frame.columns, row)
    return all(tags.get(name) == value for name, value in entity.tags.items()) or (
        entity.word is not None and entity.word in tags.values()
    )
