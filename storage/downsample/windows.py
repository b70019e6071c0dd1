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

    def arrow(self, kind: pa.DataType) -> pa.Array:
        """The column as an Arrow array of ``kind``."""
        if self.words is None:
            return pa.array(self.values, type=kind, mask=~self.valid)
        codes = pa.array(self.values, type=pa.int32(), mask=~self.valid)
        return pa.DictionaryArray.from_arrays(codes, self.words).cast(kind)


@dataclass(frozen=True, slots=True)
class Groups:
    """Runs of rows: ``starts`` of groups, ``series_starts`` marks rows that begin a series.

    ``windows`` holds the start of the window of every row, in Unix seconds.
    """

    starts: npt.NDArray[np.int64]
    series_starts: npt.NDArray[np.bool_]
    windows: npt.NDArray[np.int64]

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
        return Groups(np.flatnonzero(new_group), new_series, windows)

    def __len__(self) -> int:
        return len(self.starts)

    def count(self, column: Column) -> Column:
        """Rows that are not null, per group."""
        return self._whole(np.add.reduceat(column.valid.astype(np.int64), self.starts))

    def count_equal(self, column: Column, value: object) -> Column:
        """Rows that hold ``value``, per group."""
        if column.words is not None:
            code = column.words.index(value).as_py()  # -1 where no row has the word, which no code equals
            value = code
        return self._whole(np.add.reduceat((column.valid & (column.values == value)).astype(np.int64), self.starts))

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

    def increase(self, column: Column, before: Column, before_windows: npt.NDArray[np.int64], memory_s: int) -> Column:
        """Growth of a counter per group; a fall is a reset, after which the new value is all growth.

        ``before`` holds, for each series, the counter's newest value earlier than the table, ``before_windows`` its
        window. A value counts as predecessor if its window starts at most ``memory_s`` earlier; without one the first
        value counts nothing, since nobody saw it grow.
        """
        at = np.flatnonzero(column.valid)
        growth = np.zeros(len(self.windows), dtype=column.values.dtype)
        if len(at):
            values, windows = column.values[at], self.windows[at]
            series = np.cumsum(self.series_starts)[at] - 1
            first = np.ones(len(at), dtype=np.bool_)
            first[1:] = series[1:] != series[:-1]
            previous, previous_windows = np.roll(values, 1), np.roll(windows, 1)
            previous[first], previous_windows[first] = before.values[series[first]], before_windows[series[first]]
            known = np.where(first, before.valid[series], True) & (windows - previous_windows <= memory_s)
            growth[at] = np.where(known, np.where(values >= previous, values - previous, values), 0)
        return self._filled(column, np.add.reduceat(growth, self.starts))

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
