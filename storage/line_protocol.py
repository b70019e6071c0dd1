"""Line protocol from columns: whole columns are encoded at once and joined row by row.

Every numeric column becomes one JSON text, whose separators are then replaced by ``,name=``: the work per value is done
in C, without pyarrow, so that an edge host can do it. Types come from the declaration, never from the values: an
INTEGER has the suffix ``i``, a FLOAT has none (``5`` is a float to InfluxDB), a BOOLEAN is ``true`` or ``false``.
Times are whole seconds; send the lines with ``precision=s``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from storage.declaration import Tier, Type
from storage.frame import Frame

_encode_json = msgspec.json.encode

FieldColumn = tuple[str, Type, Sequence[Any]]
"""Name, declared type and values of one field; a null is None."""


def encode(frame: Frame) -> list[bytes]:
    """Lines of ``frame``, in its order. A row in which every field is null has no line.

    Raises:
        KeyError: the measurement, or a column of it, is not declared by this version of Lodeline.
    """
    declared = frame.declared
    tags: dict[str, Sequence[str | None]] = {}
    fields: list[FieldColumn] = []
    for name, values in frame.columns.items():
        if name in declared.tag_names:
            tags[name] = values
        else:
            fields.append((name, declared.field_by_name[name].type, values))
    return encode_columns(declared.stored_name(Tier.RAW), frame.times, tags, fields)


def encode_columns(
    name: str,
    times: Sequence[int],
    tags: Mapping[str, Sequence[str | None]],
    fields: Iterable[FieldColumn],
) -> list[bytes]:
    """Lines of the measurement or table ``name``: one per row that has a field.

    ``times`` are Unix seconds. Every column is as long as ``times``. NaN and infinities count as null.
    """
    series = [_tag_pieces(tag, tags[tag]) for tag in sorted(tags)]
    columns = sorted(fields, key=lambda column: column[1] is Type.FLOAT)  # floats last: costly to ask for nulls
    lead = next((place for place, column in enumerate(columns) if not _may_be_null(column[2])), None)
    if not times or not columns:
        return []
    head = [name.encode()] * len(times)
    stamps = _pieces(b"\n ", times)
    if lead is not None:
        columns.insert(0, columns.pop(lead))
        pieces = [_field_pieces(b"," if place else b" ", *column) for place, column in enumerate(columns)]
        return _joined([head, *series, *pieces, stamps])
    keys = _joined([head, *series])
    bodies = _joined([_field_pieces(b",", *column) for column in columns])
    return [key + b" " + body[1:] + stamp for key, body, stamp in zip(keys, bodies, stamps, strict=True) if body]


def tag_value(value: str) -> str:
    """``value`` as a tag can hold it: line breaks, tabs and NUL become spaces, trailing backslashes are cut.

    InfluxDB cannot write the others (a trailing backslash would escape the separator behind it), nor ask for a NUL.
    """
    return value.translate(_BLANKED).rstrip("\\")


_BLANKED = dict.fromkeys(map(ord, "\n\r\t\0"), " ")
_UNFIT_FOR_A_TAG = re.compile(r"[\r\t\0]|\\(?:\n|\Z)")


def _tag_pieces(name: str, values: Sequence[str | None]) -> list[bytes]:
    """One piece per value. All distinct values are escaped as one text, a line each."""
    distinct = list(filter(None, set(values)))
    text = "\n".join(distinct)
    if text.count("\n") >= len(distinct) or _UNFIT_FOR_A_TAG.search(text):
        text = "\n".join(map(tag_value, distinct))
    escaped = text.replace(",", "\\,").replace("=", "\\=").replace(" ", "\\ ").encode(errors="replace")
    prefix = f",{name}=".encode()
    lines = (prefix + escaped.replace(b"\n", b"\n" + prefix)).split(b"\n")
    pieces: dict[str | None, bytes] = {None: b"", "": b""}
    pieces.update(zip(distinct, (b"" if line == prefix else line for line in lines), strict=False))
    return [pieces[value] for value in values]


def _may_be_null(values: Sequence[Any]) -> bool:
    """Whether a value is None, or a float without a line protocol form; both are ``null`` in JSON."""
    if None in values:
        return True
    return any(type(value) is float for value in values) and b"null" in _encode_json(values)


def _field_pieces(separator: bytes, name: str, kind: Type, values: Sequence[Any]) -> list[bytes]:
    prefix = separator + name.encode() + b"="
    if kind is Type.STRING:
        texts = {value: _string_piece(prefix, value) for value in set(values)}
        return [texts[value] for value in values]
    suffix = b"i" if kind is Type.INTEGER else b""
    return _pieces(suffix + b"\n" + prefix, values, suffix)


def _string_piece(prefix: bytes, value: str | None) -> bytes:
    if value is None:
        return b""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return prefix + b'"' + escaped.encode(errors="replace") + b'"'


def _pieces(separator: bytes, values: Sequence[Any], suffix: bytes = b"") -> list[bytes]:
    """One piece per value; ``separator`` ends a piece (up to its line break) and begins the next one."""
    prefix = separator.partition(b"\n")[2]
    text = prefix + _encode_json(values)[1:-1].replace(b",", separator) + suffix
    return text.replace(prefix + b"null" + suffix, b"").split(b"\n")


def _joined(columns: Sequence[list[bytes]]) -> list[bytes]:
    """Pieces of every row joined: one join over all of them, which is faster than a join per row."""
    rows, width = len(columns[0]), len(columns) + 1
    pieces = [b"\n"] * (rows * width)
    for place, column in enumerate(columns):
        pieces[place::width] = column
    lines = b"".join(pieces).split(b"\n")
    lines.pop()
    if len(lines) != rows:  # a string holds line breaks
        return list(map(b"".join, zip(*columns, strict=True)))
    return lines
