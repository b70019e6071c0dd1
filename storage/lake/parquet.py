"""Data files: Parquet written sorted, with chosen encodings and page checksums, fsynced; read with checksums verified.

Measured on a day of 1,000 miners (reference/lake.md 4): half the bytes of the default encodings, and one flipped bit is
always found, where every reader would otherwise have given wrong numbers without an error. A file's name has its schema
and its hash in it: ``<fingerprint>-<random>-<sha256>.parquet``, so it tells itself whether it is what was written.
"""

from __future__ import annotations

import json
import time as clock
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake.transaction import AddAction

from storage.arrow_schema import INGEST_MS, INGEST_VERSION, PARTITION, converted, fingerprint, former_name, numbers
from storage.declaration import Kind, Measurement, Tier
from storage.lake.damage import damage_named, digest, sound
from storage.lake.layout import DEFAULT_COMPRESSION, date_of
from storage.lake.location import LakeLocation, make_folder, put, sync

ROW_GROUP_ROWS = 131_072
LONG_ROW_GROUP_ROWS = 4_096
"""Of tables with a long text: a reader of one miner unpacks some 20 MB."""

_LEVELS = {"zstd": 3, "gzip": 6, "brotli": 5}
"""Where a codec has levels: more costs several times the time for some five per cent (reference/lake.md 4)."""

SCHEMA_KEY = "lodeline.schema"
TABLE_KEY = "lodeline.table"
VERSION_KEY = "lodeline.version"


@dataclass(frozen=True, slots=True)
class Encoding:
    """How the columns of one table are written."""

    deltas: tuple[str, ...]
    dictionaries: tuple[str, ...]
    statistics: tuple[str, ...]
    rows_of_group: int
    fingerprint: str
    metadata: Mapping[str, str]
    compression: str = DEFAULT_COMPRESSION

    @staticmethod
    def of(measurement: Measurement, tier: Tier, schema: pa.Schema) -> Encoding:
        """Deltas for time and whole numbers that rise, dictionaries for the rest, statistics for tags and time only.

        No other statistics: they would carry accounts and addresses of pools into footers.
        """
        counters = {field.name for field in measurement.fields if field.kind is Kind.COUNTER}
        long = {field.name for field in measurement.fields if field.long and tier is Tier.RAW}
        deltas = tuple(
            field.name
            for field in schema
            if field.name in ("time", INGEST_MS, INGEST_VERSION)
            or (pa.types.is_integer(field.type) and (tier is not Tier.RAW or field.name in counters))
        )
        return Encoding(
            deltas=deltas,
            dictionaries=tuple(
                field.name
                for field in schema
                if field.name not in (*deltas, *long) and not pa.types.is_boolean(field.type)
            ),
            rows_of_group=LONG_ROW_GROUP_ROWS if long else ROW_GROUP_ROWS,
            statistics=("time", *measurement.tag_names),
            fingerprint=fingerprint(schema),
            metadata={
                SCHEMA_KEY: fingerprint(schema),
                TABLE_KEY: measurement.stored_name(tier),
                VERSION_KEY: version("lodeline"),
            },
        )


def write_file(
    folder: LakeLocation, rows: pa.Table, encoding: Encoding, tags: Sequence[str], partition: int
) -> AddAction:
    """Write ``rows`` (sorted, all of the partition that starts at ``partition``) into one new, durable file.

    Returns what the Delta log has to say of it; nothing refers to the file before that is committed.
    """
    stream = pa.BufferOutputStream()
    with pq.ParquetWriter(
        stream,
        rows.schema,
        compression=encoding.compression,
        compression_level=_LEVELS.get(encoding.compression),
        use_dictionary=list(encoding.dictionaries),
        column_encoding=dict.fromkeys(encoding.deltas, "DELTA_BINARY_PACKED"),
        write_statistics=list(encoding.statistics),
        write_page_checksum=True,
        store_schema=False,  # 1 KB a file that says nothing new; it would also carry the metadata, which is added
    ) as writer:
        writer.add_key_value_metadata(dict(encoding.metadata))
        writer.write_table(rows, row_group_size=encoding.rows_of_group)
    content = stream.getvalue()
    date = date_of(partition)
    path = folder / f"{PARTITION}={date}" / f"{encoding.fingerprint}-{uuid.uuid4().hex[:8]}-{digest(content)}.parquet"
    make_folder(path.parent)
    put(path, content)
    for durable in (path, path.parent, folder):
        sync(durable)
    return AddAction(
        path=f"{path.parent.name}/{path.name}",
        size=content.size,
        partition_values={PARTITION: date},
        modification_time=clock.time_ns() // 1_000_000,
        data_change=True,
        stats=_statistics(rows, tags),
    )


def _statistics(rows: pa.Table, tags: Sequence[str]) -> str:
    """Statistics of the Delta log: of time and tags only, so that nothing personal reaches the log."""
    times = numbers(rows["time"])
    low = {"time": _iso(int(times.min()))}
    high = {"time": _iso(int(times.max()))}
    nulls: dict[str, int] = {}
    for tag in tags:
        words = rows[tag].cast(pa.string())
        if words.null_count:
            nulls[tag] = words.null_count
        if words.null_count < rows.num_rows:
            span = pc.min_max(words)
            low[tag], high[tag] = span["min"].as_py(), span["max"].as_py()
    said = {"numRecords": rows.num_rows, "minValues": low, "maxValues": high, "nullCount": nulls}
    return json.dumps(said, separators=(",", ":"))


def _iso(microseconds: int) -> str:
    return str(np.datetime_as_string(np.datetime64(microseconds, "us"), timezone="UTC"))


def read_file(path: LakeLocation, schema: pa.Schema, row_groups: Sequence[int] | None = None) -> pa.Table:
    """Rows of one file of the lake, which is hashed first. See :func:`read_rows`.

    Raises:
        DamagedFile: it is not what was written.
        OSError: it is missing, or the disk does not give it.
    """
    source = sound(path)
    with damage_named(path):
        return read_rows(source, schema, row_groups)


def read_rows(source: Path | pa.BufferReader, schema: pa.Schema, row_groups: Sequence[int] | None = None) -> pa.Table:
    """Rows of one file as ``schema`` has them, strings dictionary-coded, checksums verified; absent columns are null.

    Of a field that was another before (Field.was), values of then are taken where there are none of its own.

    Raises:
        OSError, ValueError, pa.ArrowException: the file is missing or damaged.
    """
    former = {field.name: was for field in schema if (was := former_name(field))}
    metadata = pq.read_metadata(source)
    there = set(metadata.schema.names)
    strings = [field.name for field in schema if pa.types.is_string(field.type) and field.name in there]
    with pq.ParquetFile(source, metadata=metadata, page_checksum_verification=True, read_dictionary=strings) as file:
        wanted = [name for name in (*schema.names, *former.values()) if name in there]
        rows = file.read(wanted) if row_groups is None else file.read_row_groups(list(row_groups), wanted)
    columns = []
    for field in schema:
        kind = pa.dictionary(pa.int32(), pa.string()) if pa.types.is_string(field.type) else field.type
        column = rows[field.name].cast(kind) if field.name in there else None
        if (was := former.get(field.name)) in there:
            before = converted(rows[was], field.type)
            column = (before if column is None else pc.coalesce(column.cast(field.type), before)).cast(kind)
        columns.append(pa.nulls(rows.num_rows, kind) if column is None else column)
    return pa.Table.from_arrays(columns, names=schema.names)
