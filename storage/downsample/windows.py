"""Groups of rows that share series and window, and what can be folded over them. numpy only; no row loops.

Every fold takes rows sorted by series, then time (the order in which a Store returns them) and works on runs of
neighbouring rows, so a day of a thousand miners is a few passes over each column.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Column:
    """One column as numpy: ``values`` (anything where not ``valid``) and ``valid``.

    Strings are held as codes into ``words``: comparing and picking them costs no Python object a row.
    """

    values: Array
    valid: npt.NDArray[np.bool_]
    words: pa.Array | None = None

    @staticmethod
    def of(column: pa.ChunkedArray) -> Column:
        """The column of a table."""
        array = column.combine_chunks()
        valid = np.asarray(array.is_valid())
        if pa.types.is_string(array.type):
            coded = array.dictionary_encode()
            return Column(np.asarray(coded.indices.fill_null(0)), valid, coded.dictionary)
        filled = array.fill_null(False if pa.types.is_boolean(array.type) else 0)
        return Column(filled.to_numpy(zero_copy_only=False), valid)

    def equal(self, value: object) -> npt.NDArray[np.bool_]:
        """Rows that hold ``value``."""
        if self.words is not None:
            value = self.words.index(value).as_py()  # -1 where no row has the word, which no code equals
        return np.asarray(self.valid & (self.values == value))

    def taken(self, rows: npt.NDArray[np.int64]) -> Column:
        """The values of ``rows``, by number; null where that is -1."""
        if not len(self.values):
            return Column(np.zeros(len(rows), self.values.dtype), np.zeros(len(rows), np.bool_), self.words)
        return Column(self.values[rows], self.valid[rows] & (rows >= 0), self.words)

    def arrow(self, kind: pa.DataType) -> pa.Array:
        """The column as an Arrow array of ``kind``."""
        if self.words is None:
            return pa.array(self.values, type=kind, mask=~self.valid)
        codes = pa.array(self.values, type=pa.int32(), mask=~self.valid)
        return pa.DictionaryArray.from_arrays(codes, self.words).cast(kind)


@dataclass(frozen=True, slots=True)
class Groups:
    """Runs of rows: ``starts`` of groups, ``series_starts`` marks rows that begin a series.

    ``times`` and ``windows`` hold the time of every row and the start of its window, in Unix seconds.
    """

    starts: npt.NDArray[np.int64]
    series_starts: npt.NDArray[np.bool_]
    times: npt.NDArray[np.int64]
    windows: npt.NDArray[np.int64]
    every_s: int

    @staticmethod
    def of(table: pa.Table, tags: Sequence[str], every_s: int) -> Groups:
        """Group ``table`` (sorted by tags, then time) by series and epoch-aligned window of ``every_s`` seconds."""
        rows = table.num_rows
        times = unix_seconds(table)
        new_series = np.zeros(rows, dtype=np.bool_)
        if rows:
            new_series[0] = True
        for tag in tags:
            codes = np.asarray(table[tag].combine_chunks().dictionary_encode().indices.fill_null(-1))
            new_series[1:] |= codes[1:] != codes[:-1]
        windows = times - times % every_s
        new_group = new_series.copy()
        new_group[1:] |= windows[1:] != windows[:-1]
        return Groups(np.flatnonzero(new_group), new_series, times, windows, every_s)

    def __len__(self) -> int:
        return len(self.starts)

    def series(self) -> npt.NDArray[np.int64]:
        """Number of the series of every row, from 0."""
        return np.cumsum(self.series_starts) - 1

    def count(self, column: Column) -> Column:
        """Rows that are not null, per group."""
        return self.total(column.valid.astype(np.int64))

    def count_equal(self, column: Column, value: object) -> Column:
        """Rows that hold ``value``, per group."""
        return self.total(column.equal(value).astype(np.int64))

    def total(self, values: Array) -> Column:
        """Sum per group of one number a row; 0 is a sum like any other."""
        return self._whole(np.add.reduceat(values, self.starts))

    def sum(self, column: Column) -> Column:
        """Sum per group in the column's type; null where the group has no value."""
        return self._filled(column, np.add.reduceat(np.where(column.valid, column.values, 0), self.starts))

    def minimum(self, column: Column) -> Column:
        """Smallest value per group; null where the group has no value."""
        return self._filled(
            column, np.minimum.reduceat(np.where(column.valid, column.values, _top(column)), self.starts)
        )

    def maximum(self, column: Column) -> Column:
        """Largest value per group; null where the group has no value."""
        return self._filled(
            column, np.maximum.reduceat(np.where(column.valid, column.values, _bottom(column)), self.starts)
        )

    def last(self, column: Column) -> Column:
        """Newest value that is not null, per group: what InfluxQL ``last()`` gives."""
        newest = np.maximum.reduceat(np.where(column.valid, np.arange(len(self.windows)), -1), self.starts)
        return Column(column.values[np.maximum(newest, 0)], newest >= 0, column.words)

    def first_rows(self, table: pa.Table, names: Sequence[str]) -> pa.Table:
        """``names`` of the first row of every group: its tags."""
        return table.select(list(names)).take(pa.array(self.starts))

    def _whole(self, values: Array) -> Column:
        return Column(values, np.ones(len(self), dtype=np.bool_))

    def _filled(self, column: Column, values: Array) -> Column:
        return Column(values, np.logical_or.reduceat(column.valid, self.starts))


def unix_seconds(table: pa.Table) -> npt.NDArray[np.int64]:
    """Column ``time`` as whole Unix seconds."""
    times = table["time"].combine_chunks().cast(pa.timestamp("s", tz="UTC"))
    return np.asarray(times.cast(pa.int64()))


def _top(column: Column) -> float | int:
    return np.inf if column.values.dtype.kind == "f" else int(np.iinfo(np.int64).max)


def _bottom(column: Column) -> float | int:
    return -np.inf if column.values.dtype.kind == "f" else int(np.iinfo(np.int64).min)
