"""From InfluxQL's chunked JSON to a typed Arrow table. A read that did not end properly is an error, never less data.

Types come from the declaration, never from the answer: InfluxDB prints the float 100.0 as ``100``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from storage.declaration import Type
from storage.errors import StoreError

ROWS_PER_BLOCK = 50_000
"""Rows turned into Arrow at once; bounds the Python objects that are alive."""

ARROW_TYPES = {Type.FLOAT: pa.float64(), Type.INTEGER: pa.int64(), Type.BOOLEAN: pa.bool_(), Type.STRING: pa.string()}
TIME_TYPE = pa.timestamp("s", tz="UTC")

_JSON_TYPES: dict[Type, Any] = {
    Type.FLOAT: float | None,
    Type.INTEGER: int | None,
    Type.BOOLEAN: bool | None,
    Type.STRING: str | None,
}


@dataclass(frozen=True, slots=True)
class Column:
    """One field asked for: its name in the answer and its declared type."""

    name: str
    type: Type


class _Series(msgspec.Struct):
    columns: list[str]
    values: msgspec.Raw = msgspec.Raw(b"[]")
    tags: dict[str, str] = {}


class _Result(msgspec.Struct):
    series: list[_Series] = []
    error: str | None = None
    partial: bool = False


class Answer(msgspec.Struct):
    """One object of a chunked answer."""

    results: list[_Result] = []
    error: str | None = None


_ANSWER = msgspec.json.Decoder(Answer)
_BOUNDARY = re.compile(rb"\}\s*\{")


class ChunkSplitter:
    """Splits a stream of JSON objects, with or without line breaks between them, wherever the network cut it.

    A boundary is a ``}`` before a ``{``. That may also stand inside a string, so a piece counts only if it decodes.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0

    def feed(self, data: bytes) -> Iterator[Answer]:
        """Objects that are complete after ``data``."""
        self._buffer += data
        while boundary := _BOUNDARY.search(self._buffer, self._searched):
            end = boundary.start() + 1
            try:
                decoded = _ANSWER.decode(bytes(self._buffer[:end]))
            except msgspec.DecodeError:
                self._searched = end
                continue
            del self._buffer[:end]
            self._searched = 0
            yield decoded
        self._searched = max(self._searched, len(self._buffer.rstrip()) - 1)

    def end(self) -> Iterator[Answer]:
        """The last object. Raises StoreError where the stream ends within it, or was no JSON at all."""
        rest = bytes(self._buffer).strip()
        if not rest:
            return
        try:
            yield _ANSWER.decode(rest)
        except msgspec.DecodeError as error:
            raise StoreError(
                f"InfluxDB's answer is cut off or not its JSON ({error}): {rest[:300].decode(errors='replace')}"
            ) from error


def read_table(chunks: Iterable[bytes], tags: Sequence[str], columns: Sequence[Column]) -> pa.Table:
    """The table in a chunked answer: ``time``, ``tags``, ``columns``; sorted by tags (null last), then time.

    Raises:
        StoreError: an error at any level, an answer that is cut off, is not JSON or has other columns or types.
    """
    splitter = ChunkSplitter()
    blocks = _Blocks(tags, columns)
    more_follows: bool | None = None
    for chunk in chunks:
        for answer in splitter.feed(chunk):
            more_follows = blocks.add(answer)
    for answer in splitter.end():
        more_follows = blocks.add(answer)
    if more_follows is None:
        raise StoreError("InfluxDB answered with an empty body")
    if more_follows:
        raise StoreError("InfluxDB's answer ended before its last chunk: the rest of the rows is missing")
    return blocks.table()


class _Blocks:
    """Collects series and turns them into Arrow some ten thousand rows at a time."""

    def __init__(self, tags: Sequence[str], columns: Sequence[Column]) -> None:
        self._tags = tuple(tags)
        self._columns = tuple(columns)
        self._expected = ["time", *(column.name for column in columns)]
        row: Any = tuple[(int, *(_JSON_TYPES[column.type] for column in columns))]  # type: ignore[misc]
        self._decoder: msgspec.json.Decoder[list[tuple[Any, ...]]] = msgspec.json.Decoder(list[row])
        self._rows: list[tuple[Any, ...]] = []
        self._keys: list[tuple[str | None, ...]] = []
        self._lengths: list[int] = []
        self._sorted = True
        self._newest_key: tuple[tuple[bool, str], ...] = ()
        self._done: list[pa.Table] = []

    def add(self, answer: Answer) -> bool:
        """Take the rows of one object; tells whether more are to follow."""
        if answer.error is not None:
            raise StoreError(f"InfluxDB refused the query: {answer.error}")
        more_follows = False
        for result in answer.results:
            if result.error is not None:
                raise StoreError(f"InfluxDB refused the query: {result.error}")
            for series in result.series:
                self._add_series(series)
            more_follows = result.partial
        return more_follows

    def _add_series(self, series: _Series) -> None:
        if series.columns != self._expected:
            raise StoreError(f"InfluxDB answered with columns {series.columns}, expected {self._expected}")
        try:
            rows = self._decoder.decode(series.values)
        except msgspec.DecodeError as error:
            raise StoreError(
                f"InfluxDB answered with a value of another type than declared: {error}, columns {self._expected}"
            ) from error
        key = tuple(series.tags.get(tag) or None for tag in self._tags)
        order = tuple((value is None, value or "") for value in key)
        self._sorted = self._sorted and order >= self._newest_key
        self._newest_key = order
        self._keys.append(key)
        self._lengths.append(len(rows))
        self._rows += rows
        if len(self._rows) >= ROWS_PER_BLOCK:
            self._close_block()

    def _close_block(self) -> None:
        times, *fields = zip(*self._rows, strict=True)
        arrays = [pa.array(times, pa.int64()).cast(TIME_TYPE)]
        for place in range(len(self._tags)):
            arrays.append(_repeated([key[place] for key in self._keys], self._lengths))
        for column, values in zip(self._columns, fields, strict=True):
            arrays.append(pa.array(values, ARROW_TYPES[column.type]))
        self._done.append(pa.Table.from_arrays(arrays, schema=schema(self._tags, self._columns)))
        self._rows, self._keys, self._lengths = [], [], []

    def table(self) -> pa.Table:
        """All rows, sorted."""
        if self._rows:
            self._close_block()
        if not self._done:
            return schema(self._tags, self._columns).empty_table()
        table = pa.concat_tables(self._done)
        if self._sorted:  # so the server sends them, but for missing tags, which it puts first
            return table
        return table.sort_by([(name, "ascending") for name in (*self._tags, "time")])


def schema(tags: Sequence[str], columns: Sequence[Column]) -> pa.Schema:
    """Arrow schema of a table with ``tags`` and ``columns``."""
    return pa.schema(
        [
            ("time", TIME_TYPE),
            *((tag, pa.string()) for tag in tags),
            *((column.name, ARROW_TYPES[column.type]) for column in columns),
        ]
    )


def _repeated(values: list[str | None], lengths: list[int]) -> pa.Array:
    """Every value as often as its series has rows."""
    return pa.array(values, pa.string()).take(pa.array(np.repeat(np.arange(len(values)), lengths)))


def columns_of(types: Mapping[str, Type], wanted: Sequence[str] | None) -> list[Column]:
    """The fields ``wanted`` (all by default) with their declared types. Raises ValueError for one not declared."""
    unknown = set(wanted or ()) - set(types)
    if unknown:
        raise ValueError(f"fields {sorted(unknown)} are not declared; declared are {sorted(types)}")
    return [Column(name, types[name]) for name in (types if wanted is None else wanted)]
