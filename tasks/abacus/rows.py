"""Rows of a feature view as rows of a feature group, and as the bytes of a file. Pure."""

from __future__ import annotations

import io
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from storage.arrow_schema import integers
from storage.features.view import EVENT, KNOWN
from tasks.abacus.definition import KNOWN_AT, RECORD, Definition, ExportColumn

SENT_TIME = pa.timestamp("us")
"""UTC, without saying so: the service takes no time zones."""

_TEXT_TIME = "%Y-%m-%dT%H:%M:%SZ"
_BIGGEST = float(1 << 63)


class Rejected(NamedTuple):
    """A row that does not go, and why."""

    record: str
    reason: str


def group_rows(definition: Definition, rows: pa.Table) -> tuple[pa.Table, list[Rejected]]:
    """``rows`` of the view (storage/features/changes.py) with the columns of the group, in their order.

    A row with a value that its declared type cannot hold is not among them, and told beside.
    """
    view = definition.view
    seconds = rows[EVENT].cast(pa.timestamp("s", "UTC"))
    stamps = pc.strftime(seconds, format=_TEXT_TIME)
    entity = [_escaped(pc.fill_null(rows[tag].cast(pa.string()), "")) for tag in view.entity]
    columns = {
        RECORD: pc.binary_join_element_wise(*entity, stamps, "|"),
        definition.time: rows[EVENT].cast(pa.timestamp("us", "UTC")).cast(SENT_TIME),
        KNOWN_AT: pc.multiply(rows[KNOWN].cast(pa.int64()), 1_000_000).cast(SENT_TIME),
        **{tag: rows[tag].cast(pa.string()) for tag in view.entity},
    }
    bad = np.zeros(rows.num_rows, dtype=bool)
    reasons: dict[int, str] = {}
    for column in definition.columns:
        values, unfit = _values(column, rows[column.sent.feature])
        for at in np.flatnonzero(unfit & ~bad).tolist():
            shown = rows[column.sent.feature][at].as_py()
            reasons[at] = f"{column.name} is {shown}, which {column.type} cannot hold"
        bad |= unfit
        columns[column.name] = values
    made = pa.table(columns)
    if not reasons:
        return made, []
    records = made[RECORD]
    rejected = [Rejected(records[at].as_py(), reasons[at]) for at in sorted(reasons)]
    return made.take(integers(np.flatnonzero(~bad))), rejected


def _escaped(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """Texts without the sign that parts them in a key."""
    return pc.replace_substring(pc.replace_substring(texts, "%", "%25"), "|", "%7C")


def _values(column: ExportColumn, values: pa.ChunkedArray) -> tuple[pa.ChunkedArray, npt.NDArray[np.bool_]]:
    """Values in the type and unit of the group, and which of them do not fit; those are null."""
    fits = np.zeros(len(values), dtype=bool)
    if column.type in ("STRING", "BOOLEAN"):
        return values.cast(pa.string() if column.type == "STRING" else pa.bool_()), fits
    if column.type == "INTEGER" and pa.types.is_integer(values.type) and column.sent.divisor == 1:
        return values.cast(pa.int64()), fits
    numbers = pc.divide(values.cast(pa.float64()), column.sent.divisor)
    if column.type == "INTEGER":
        numbers = pc.round(numbers, round_mode="half_to_even")
    plain = pc.fill_null(numbers, 0.0).to_numpy()
    unfit = ~np.isfinite(plain)
    if column.type == "INTEGER":
        unfit |= (plain >= _BIGGEST) | (plain < -_BIGGEST)
    numbers = pc.if_else(pa.array(~unfit), numbers, pa.scalar(None, pa.float64()))
    return (numbers.cast(pa.int64()) if column.type == "INTEGER" else numbers), unfit


def file_bytes(rows: pa.Table, file_format: str) -> bytes:
    """``rows`` as PARQUET, CSV (with a header; null is nothing) or JSON (an object a line)."""
    sink = io.BytesIO()
    if file_format == "PARQUET":
        pa.parquet.write_table(rows, sink, compression="zstd")
        return sink.getvalue()
    if file_format == "CSV":
        pa.csv.write_csv(_with_text_times(rows), sink)
        return sink.getvalue()
    return msgspec.json.Encoder().encode_lines(plain_rows(rows))


def plain_rows(rows: pa.Table) -> list[dict[str, Any]]:
    """``rows`` as JSON can hold them; times are ISO 8601."""
    made: list[dict[str, Any]] = _with_text_times(rows).to_pylist()
    return made


def _with_text_times(rows: pa.Table) -> pa.Table:
    for at, field in enumerate(rows.schema):
        if pa.types.is_timestamp(field.type):
            text = pc.strftime(rows[field.name].cast(pa.timestamp("s")), format=_TEXT_TIME)
            rows = rows.set_column(at, field.name, text)
    return rows


def file_rows(content: bytes, file_format: str, positions: list[int], definition: Definition) -> list[dict[str, Any]]:
    """Rows of a file of ours at ``positions``, with values that JSON can hold."""
    if file_format == "JSON":
        lines = content.splitlines()
        return [msgspec.json.decode(lines[at]) for at in positions]
    if file_format == "PARQUET":
        rows = pa.parquet.read_table(io.BytesIO(content))
    else:  # an id of digits alone would be read as a number, 007 as 7
        texts = {name: pa.string() for name, kind in definition.types.items() if kind in ("STRING", "DATETIME")}
        options = pa.csv.ConvertOptions(column_types=texts, strings_can_be_null=True, quoted_strings_can_be_null=False)
        rows = pa.csv.read_csv(io.BytesIO(content), convert_options=options)
    chosen = rows.take(integers(np.array(positions, dtype=np.int64)))
    return [dict(msgspec.to_builtins(row)) for row in chosen.to_pylist()]
