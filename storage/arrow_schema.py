"""Arrow shape of every measurement and tier, from the declaration, and the strict way from a frame into it.

In files ``time`` is timestamp[us, UTC] (Delta knows no coarser one), in answers of a Store timestamp[s, UTC]. Tags are
strings; fields are double, int64, boolean or string. Raw rows carry two columns more: ``ingest_ms``, when the lake
took the row (Unix ms, its known time), and ``ingest_version``, the table version that brought it: of two rows with one
key the larger wins, whatever the clock said.

Columns are built from numpy buffers: ``pyarrow.array`` turns 1.9 into the integer 1 without a word, takes True for
1.0, and imports pandas (1.3 s) on its first call.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from storage.declaration import Measurement, Tier, Type
from storage.declaration.rollup import rollup_columns
from storage.errors import FrameError
from storage.frame import Frame

ARROW_TYPES: Mapping[Type, pa.DataType] = {
    Type.FLOAT: pa.float64(),
    Type.INTEGER: pa.int64(),
    Type.BOOLEAN: pa.bool_(),
    Type.STRING: pa.string(),
}

FILE_TIME = pa.timestamp("us", tz="UTC")
ANSWER_TIME = pa.timestamp("s", tz="UTC")

INGEST_MS = "ingest_ms"
INGEST_VERSION = "ingest_version"
PARTITION = "date"
"""Partition column of every lake table: first day of the row's period, UTC."""

_WAS = "was"
_RESERVED = frozenset({INGEST_MS, INGEST_VERSION, PARTITION})
END_OF_TIME_S = 253_402_300_800  # year 10000: what is later is milliseconds or nanoseconds taken for seconds


def field_types(measurement: Measurement, tier: Tier) -> dict[str, Type]:
    """Fields of ``tier`` with their types: the declared ones when raw, else the roll-up's columns."""
    if tier is Tier.RAW:
        return {field.name: field.type for field in measurement.fields}
    return {column.name: column.type for column in rollup_columns(measurement)}


def answer_schema(measurement: Measurement, tier: Tier, columns: Sequence[str] | None = None) -> pa.Schema:
    """What a Store answers: ``time``, tags, then ``columns`` (all fields by default).

    Raises:
        ValueError: a column that ``tier`` does not have.
    """
    types = field_types(measurement, tier)
    names = list(types) if columns is None else list(columns)
    unknown = [name for name in names if name not in types]
    if unknown:
        raise ValueError(f"{measurement.stored_name(tier)} has no field {unknown}; it has {sorted(types)}")
    return _schema(ANSWER_TIME, measurement, {name: types[name] for name in names})


def row_schema(measurement: Measurement, tier: Tier) -> pa.Schema:
    """Rows as they are handed to the lake: like the answer, ``time`` in microseconds."""
    return _schema(FILE_TIME, measurement, field_types(measurement, tier))


def file_schema(measurement: Measurement, tier: Tier) -> pa.Schema:
    """Rows as files hold them: raw ones with the ingest columns. Fields know their :func:`former_name`."""
    schema = row_schema(measurement, tier)
    for name, former in _former_names(measurement, tier).items():
        at = schema.get_field_index(name)
        schema = schema.set(at, schema.field(at).with_metadata({_WAS: former}))
    if _RESERVED & set(schema.names):
        raise ValueError(f"measurement {measurement.name}: {sorted(_RESERVED)} are the lake's own columns")
    if tier is not Tier.RAW:
        return schema
    return schema.append(pa.field(INGEST_MS, pa.int64())).append(pa.field(INGEST_VERSION, pa.int64()))


def _former_names(measurement: Measurement, tier: Tier) -> dict[str, str]:
    if tier is Tier.RAW:
        return {field.name: field.was for field in measurement.fields if field.was}
    return {
        column.name: column.field.was + column.name.removeprefix(column.field.name)
        for column in rollup_columns(measurement)
        if column.field.was
    }


def former_name(field: pa.Field) -> str | None:
    """Name of the column that files of before hold the values of ``field`` in (Field.was)."""
    was = (field.metadata or {}).get(_WAS.encode())
    return None if was is None else was.decode()


def converted(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    """Values of a field of before as ``kind``; null where they do not fit: whole numbers become floats and text, floats
    whole numbers where they are, true and false 1 and 0 and text. Text becomes nothing else, and nothing a boolean.
    """
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    source = column.type
    if source == kind:
        return column
    if pa.types.is_floating(source) and pa.types.is_integer(kind):
        fits = pc.and_(pc.equal(pc.floor(column), column), pc.less(pc.abs(column), float(2**63)))
        return pc.if_else(fits, column, pa.scalar(None, source)).cast(kind)
    is_whole = pa.types.is_integer(source) or pa.types.is_boolean(source)
    if is_whole and (pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_string(kind)):
        return column.cast(kind, safe=False)
    return pa.chunked_array([pa.nulls(len(column), kind)])


def fingerprint(schema: pa.Schema) -> str:
    """Version of a schema: 12 hex digits of names and types, kept in the metadata of every file."""
    text = ";".join(f"{field.name} {field.type}" for field in schema)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _schema(time: pa.DataType, measurement: Measurement, types: Mapping[str, Type]) -> pa.Schema:
    tags = [pa.field(tag, pa.string()) for tag in measurement.tag_names]
    return pa.schema([pa.field("time", time), *tags, *(pa.field(n, ARROW_TYPES[t]) for n, t in types.items())])


def frame_to_table(frame: Frame) -> pa.Table:
    """Rows of a raw frame in :func:`row_schema`; NaN and infinities become null, absent columns are null.

    Raises:
        FrameError: a value that does not fit its declared type without loss, or a time that is no Unix second;
            names column and row. A measurement or column that is not declared.
    """
    measurement = _declared(frame)
    schema = row_schema(measurement, Tier.RAW)
    unknown = frame.columns.keys() - set(schema.names[1:])
    if unknown:
        raise FrameError(
            f"{frame.measurement}: columns {sorted(unknown)} are not declared; see docs/data-dictionary.md"
        )
    types = {**dict.fromkeys(measurement.tag_names, Type.STRING), **field_types(measurement, Tier.RAW)}
    arrays = [_times(frame)]
    for name in schema.names[1:]:
        values = frame.columns.get(name)
        if values is None:
            arrays.append(pa.nulls(len(frame), ARROW_TYPES[types[name]]))
            continue
        if len(values) != len(frame):
            raise FrameError(f"{frame.measurement}.{name}: {len(values)} values for {len(frame)} times")
        _refuse_other_types(frame.measurement, name, types[name], values)
        arrays.append(_BUILDERS[types[name]](values))
    return pa.Table.from_arrays(arrays, schema=schema)


def conformed(rows: pa.Table, measurement: Measurement, tier: Tier) -> pa.Table:
    """``rows`` of a Store's shape cast without loss to :func:`row_schema`; absent fields are null, NaN becomes null.

    Raises:
        FrameError: a column that the tier does not have, a missing tag or time, a value that would change; names
            column and row.
    """
    stored = measurement.stored_name(tier)
    schema = row_schema(measurement, tier)
    columns = dict(zip(rows.column_names, rows.columns, strict=True))
    unknown = sorted(set(columns) - set(schema.names))
    missing = [name for name in ("time", *measurement.tag_names) if name not in columns]
    if unknown or missing:
        raise FrameError(f"{stored}: columns {unknown} do not belong there, columns {missing} are missing")
    arrays = [
        _cast(stored, field.name, columns[field.name], field.type)
        if field.name in columns
        else pa.nulls(rows.num_rows, field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def _cast(stored: str, name: str, column: pa.ChunkedArray, target: pa.DataType) -> pa.ChunkedArray:
    if not _is_castable(column.type, target):
        raise FrameError(f"{stored}.{name}: expected {target}, got a column of {column.type}")
    try:
        cast = column.cast(target, safe=True)
    except pa.ArrowInvalid as error:
        for row in range(len(column)):
            try:
                column.slice(row, 1).cast(target, safe=True)
            except pa.ArrowInvalid:
                value = column[row].as_py()
                raise FrameError(f"{stored}.{name} row {row}: expected {target}, got {value!r}") from error
        raise
    if pa.types.is_floating(target):
        return pc.if_else(pc.is_finite(cast), cast, pa.scalar(None, target))
    return cast


def _is_castable(source: pa.DataType, target: pa.DataType) -> bool:
    if pa.types.is_null(source):
        return True
    if pa.types.is_timestamp(target):
        return bool(pa.types.is_timestamp(source) and source.tz is not None)
    if pa.types.is_string(target):
        words = source.value_type if pa.types.is_dictionary(source) else source
        return bool(pa.types.is_string(words) or pa.types.is_large_string(words))
    if pa.types.is_boolean(target):
        return bool(pa.types.is_boolean(source))
    return bool(pa.types.is_integer(source) or pa.types.is_floating(source))


def _declared(frame: Frame) -> Measurement:
    try:
        return frame.declared
    except KeyError:
        raise FrameError(f"measurement {frame.measurement!r} is not declared; see docs/data-dictionary.md") from None


def _times(frame: Frame) -> pa.Array:
    for row, time in enumerate(frame.times):
        if type(time) is not int or not 0 <= time < END_OF_TIME_S:
            raise FrameError(f"{frame.measurement}.time row {row}: expected Unix seconds as int, got {time!r}")
    return _primitive(FILE_TIME, np.array(frame.times, dtype=np.int64) * 1_000_000, None)


_ALLOWED: Mapping[Type, frozenset[type]] = {
    Type.FLOAT: frozenset({float, type(None)}),
    Type.INTEGER: frozenset({int, type(None)}),
    Type.BOOLEAN: frozenset({bool, type(None)}),
    Type.STRING: frozenset({str, type(None)}),
}


def _refuse_other_types(measurement: str, name: str, kind: Type, values: Sequence[Any]) -> None:
    suspects = set(map(type, values)) - _ALLOWED[kind]
    if not suspects and kind is not Type.INTEGER:
        return
    for row, value in enumerate(values):
        if not _fits(kind, value):
            raise FrameError(f"{measurement}.{name} row {row}: expected {kind.value}, got {value!r}")


def _fits(kind: Type, value: Any) -> bool:
    if type(value) in _ALLOWED[kind]:
        return kind is not Type.INTEGER or value is None or -(2**63) <= value < 2**63
    return kind is Type.FLOAT and type(value) is int and abs(value) <= 2**53


def _float_array(values: Sequence[float | None]) -> pa.Array:
    numbers = np.array(values, dtype=np.float64)  # None becomes NaN
    return _primitive(pa.float64(), numbers, np.isfinite(numbers))


def _integer_array(values: Sequence[int | None]) -> pa.Array:
    filled = [0 if value is None else value for value in values] if None in values else values
    return _primitive(pa.int64(), np.array(filled, dtype=np.int64), _present(values))


def _boolean_array(values: Sequence[bool | None]) -> pa.Array:
    bits = np.packbits([value is True for value in values], bitorder="little")
    return pa.Array.from_buffers(pa.bool_(), len(values), [_bitmap(_present(values)), pa.py_buffer(bits)])


def _string_array(values: Sequence[str | None]) -> pa.Array:
    words = ["" if value is None else value for value in values]
    text = "".join(words)
    encoded = text.encode()
    sizes = map(len, words) if len(encoded) == len(text) else (len(word.encode()) for word in words)
    offsets = np.zeros(len(words) + 1, dtype=np.int32)
    np.cumsum(np.fromiter(sizes, dtype=np.int32, count=len(words)), out=offsets[1:])
    buffers = [_bitmap(_present(values)), pa.py_buffer(offsets), pa.py_buffer(encoded)]
    return pa.Array.from_buffers(pa.string(), len(words), buffers)


_BUILDERS: Mapping[Type, Callable[[Sequence[Any]], pa.Array]] = {
    Type.FLOAT: _float_array,
    Type.INTEGER: _integer_array,
    Type.BOOLEAN: _boolean_array,
    Type.STRING: _string_array,
}


def column_of(kind: Type, values: Sequence[Any]) -> pa.Array:
    """An array of values that are of ``kind``, or None. NaN and infinities become null."""
    return _BUILDERS[kind](values)


def _present(values: Sequence[object]) -> npt.NDArray[np.bool_] | None:
    """Which values are there; None where all are."""
    return np.array([value is not None for value in values], dtype=np.bool_) if None in values else None


def _bitmap(valid: npt.NDArray[np.bool_] | None) -> pa.Buffer | None:
    return None if valid is None or valid.all() else pa.py_buffer(np.packbits(valid, bitorder="little"))


def _primitive(kind: pa.DataType, values: npt.NDArray[Any], valid: npt.NDArray[np.bool_] | None) -> pa.Array:
    return pa.Array.from_buffers(kind, len(values), [_bitmap(valid), pa.py_buffer(values)])


def integers(values: npt.NDArray[np.int64]) -> pa.Array:
    """An int64 array without nulls, made without ``pyarrow.array``."""
    return _primitive(pa.int64(), np.ascontiguousarray(values, dtype=np.int64), None)


def numbers(column: pa.ChunkedArray | pa.Array) -> npt.NDArray[np.int64]:
    """Values of an integer, time or boolean column; anything where it is null. ``to_numpy`` would import pandas."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if pa.types.is_boolean(array.type):
        array = array.cast(pa.int8())
    array = array.cast(pa.int64())
    whole = np.frombuffer(array.buffers()[1] or b"", dtype=np.int64)
    return whole[array.offset : array.offset + len(array)]
