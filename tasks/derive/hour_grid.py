"""Every miner times every hour as matrices: where rows of a table belong, and their columns laid out there.

Matrices are miners x hours in 64-bit floats, NaN where nothing is known, so that a day of a thousand miners is some
numpy passes and no row is touched by Python.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from storage.arrow_schema import ANSWER_TIME, integers
from storage.downsample.rollup import DAY_S, HOUR_S
from storage.downsample.windows import unix_seconds
from storage.frame import Frame, build_frame

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]


@dataclass(frozen=True)
class HourGrid:
    """``miners`` (sorted) times the stretches of ``every_s`` seconds from ``start`` to ``stop`` (Unix seconds)."""

    miners: Sequence[str]
    start: int
    stop: int
    every_s: int = HOUR_S

    @property
    def hours(self) -> int:
        """Stretches of each miner, hours where ``every_s`` is one."""
        return (self.stop - self.start) // self.every_s

    def __len__(self) -> int:
        return len(self.miners) * self.hours

    def as_one(self) -> HourGrid:
        """The grid with all its hours as one stretch."""
        return replace(self, every_s=self.stop - self.start)

    def starts(self) -> Places:
        """Starts of the stretches, once."""
        return np.arange(self.start, self.stop, self.every_s, dtype=np.int64)

    def times(self) -> pa.Array:
        """Column ``time`` of the grid as a table, by miner, then time."""
        return integers(np.tile(self.starts(), len(self.miners))).cast(pa.timestamp("s")).cast(ANSWER_TIME)

    def of_miners(self, values: Sequence[str | None]) -> pa.Array:
        """A column of the grid as a table: one text of each miner, in every hour of it."""
        numbers = integers(np.repeat(np.arange(len(self.miners), dtype=np.int64), self.hours))
        return pa.array(values, pa.string()).take(numbers)

    def places(self, table: pa.Table) -> Places:
        """Place in the grid of every row of ``table``, which has ``time`` and ``miner_id``; -1 outside of it."""
        codes = pc.index_in(table["miner_id"].combine_chunks(), value_set=pa.array(list(self.miners), pa.string()))
        numbers = np.asarray(codes.fill_null(-1)).astype(np.int64)
        hours = (unix_seconds(table) - self.start) // self.every_s
        return np.where((numbers >= 0) & (hours >= 0) & (hours < self.hours), numbers * self.hours + hours, -1)

    def matrix(self, table: pa.Table, column: str, how: str = "sum") -> Floats:
        """``column`` of ``table`` laid out; of rows at one place (a miner that was given another model or site within
        the hour, its boards) the ``sum``, ``min`` or ``max`` of those that are not null."""
        return self.laid_out(floats(table[column]), self.places(table), how)

    def laid_out(self, values: Floats, places: Places, how: str = "sum") -> Floats:
        """``values`` at their ``places``; as :meth:`matrix`."""
        filled = np.full(len(self), np.nan)
        known = (places >= 0) & ~np.isnan(values)
        filled[places[known]] = _NEUTRAL[how]
        _FOLDS[how].at(filled, places[known], values[known])
        return filled.reshape(len(self.miners), self.hours)


_NEUTRAL: Mapping[str, float] = {"sum": 0.0, "min": np.inf, "max": -np.inf}
_FOLDS: Mapping[str, np.ufunc] = {"sum": np.add, "min": np.minimum, "max": np.maximum}


PERIODS: Mapping[int, str] = {HOUR_S: "1h", DAY_S: "1d"}
"""What tag ``time_period`` of the derived measurements holds, by the length in seconds."""


def frame_of(
    measurement: str,
    grid: HourGrid,
    columns: Mapping[str, Floats | list[str]],
    wanted: npt.NDArray[np.bool_] | None = None,
) -> Frame:
    """Rows of ``measurement`` by miner and period; ``columns`` are flattened over the grid, of which only the rows that
    are ``wanted`` are taken, all by default. NaN becomes null."""
    rows = np.arange(len(grid)) if wanted is None else np.flatnonzero(wanted)
    chosen: dict[str, list[Any]] = {
        "miner_id": [grid.miners[number] for number in (rows // grid.hours).tolist()],
        "time_period": [PERIODS[grid.every_s]] * len(rows),
    }
    for name, values in columns.items():
        chosen[name] = [values[row] for row in rows.tolist()] if isinstance(values, list) else values[rows].tolist()
    return build_frame(measurement, grid.starts()[rows % grid.hours].tolist(), chosen)


def floats(column: pa.ChunkedArray) -> Floats:
    """A column of numbers, NaN where it is null."""
    return np.asarray(column.combine_chunks().cast(pa.float64()).fill_null(np.nan), dtype=np.float64)


def ratio(numerator: Floats, denominator: Floats) -> Floats:
    """``numerator / denominator``, NaN where the denominator is not above zero or either is not known."""
    above = denominator > 0
    return np.where(above, numerator / np.where(above, denominator, 1.0), np.nan)


def known_seconds(of: Mapping[str, Floats]) -> Floats:
    """Seconds of each hour in which anything is known of a miner: whether it answered, or what it hashed. Of a gap that
    was filled only the latter is, for nobody asked it then. ``of``: hourly columns of ``miner_telemetry``."""
    told = [of["hashrate_hs_seconds"], of["state_unreachable_seconds"]]
    hashed_or_away = np.where(np.isnan(told).all(axis=0), np.nan, np.nansum(told, axis=0))
    return np.minimum(np.fmax(of["reachable_seconds"], hashed_or_away), HOUR_S)


def within_the_hour(sums: Mapping[str, Floats]) -> dict[str, Floats]:
    """Hourly sums of ``miner_telemetry`` such that no hour has more than its seconds. A miner that was given another
    model or site has two series in the hour, and the last reading of the one stands on into the other: seconds and
    what was summed up over them count in proportion."""
    seconds = np.nan_to_num(np.fmax(sums["reachable_seconds"], sums["hashrate_hs_seconds"]))
    part = HOUR_S / np.maximum(seconds, HOUR_S)
    timed = ("_seconds", "_integral")
    return {name: matrix * part if name.endswith(timed) else matrix for name, matrix in sums.items()}


def words_of(columns: Mapping[str, npt.NDArray[np.bool_]]) -> list[str]:
    """For every element the names of those ``columns`` that are true there, comma-separated."""
    names = list(columns)
    bits = sum(np.left_shift(columns[name].astype(np.int64).reshape(-1), bit) for bit, name in enumerate(names))
    distinct, codes = np.unique(bits, return_inverse=True)
    words = [",".join(name for bit, name in enumerate(names) if one >> bit & 1) for one in distinct.tolist()]
    return [words[code] for code in codes.reshape(-1).tolist()]
