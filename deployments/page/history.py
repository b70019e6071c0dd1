"""Readings over time: aggregated windows become lines with gaps. Pure, like ``model``.

Nothing is cut: the store aggregates every raw row of the span into windows, and each window of the span is a point,
null where it has no data.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tasks.normalize.interpolation import INTERPOLATED

Columns = Mapping[str, Sequence[Any]]
"""A table by column; ``time`` in Unix seconds, stamped with the window's start."""

Points = tuple[float | None, ...]

_STEPS_S = (60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400)
_WINDOWS = 120


@dataclass(frozen=True, slots=True)
class Span:
    """A length of time to look back on. From two days on it is read from the hourly tier."""

    key: str
    seconds: int

    @property
    def hourly(self) -> bool:
        """Whether the hourly tier serves it."""
        return self.seconds > 2 * 86400


SPANS = {
    span.key: span
    for span in (
        Span("1h", 3600),
        Span("6h", 6 * 3600),
        Span("24h", 86400),
        Span("7d", 7 * 86400),
        Span("30d", 30 * 86400),
    )
}


@dataclass(frozen=True, slots=True)
class Grid:
    """Windows of ``every_s`` seconds from ``start`` (included) to ``stop`` (not), aligned to the epoch."""

    start: int
    stop: int
    every_s: int

    @property
    def times(self) -> range:
        """Start of each window."""
        return range(self.start, self.stop, self.every_s)


def grid_of(span: Span, now: float, interval_s: int) -> Grid:
    """Windows that end with the last one that is over; none is shorter than two polls, or chance would make gaps.

    A window that is still filling would show a fall that is none.
    """
    if span.hourly:
        every = 3600
    else:
        least = max(span.seconds / _WINDOWS, interval_s)
        every = next(step for step in _STEPS_S if step >= least)
    stop = int(now) // every * every
    return Grid(stop - max(span.seconds // every, 1) * every, stop, every)


@dataclass(frozen=True, slots=True)
class FleetHistory:
    """Lines of the fleet: per algorithm the sums of hashrates, and power, temperatures and who reported."""

    grid: Grid
    hashrate_hs: dict[str | None, Points]
    expected_hs: dict[str | None, Points]
    power_w: Points
    chip_temp_max_c: Points
    chip_temp_avg_c: Points
    ambient_temp_c: Points
    reporting: Points
    """Miners with at least one reading of hashrate in the window."""


FLEET_AGGREGATES = {
    "hashrate_hs": "mean",
    "hashrate_nominal_hs": "mean",
    "power_w": "mean",
    "chip_temp_max_c": "max",
    "chip_temp_avg_c": "mean",
    "ambient_temp_c": "mean",
}


def fleet_history(columns: Columns, grid: Grid, algorithms: Mapping[str, str | None]) -> FleetHistory:
    """Lines from windows per miner (columns ``miner_id``, ``time`` and ``<field>_<aggregate>``).

    The fleet's hashrate in a window is the sum of the miners' means over what they reported in it. What is expected
    has a value only where every one of them said what to expect: a sum over fewer could not be compared.
    """
    size = len(grid.times)
    slots = [(time - grid.start) // grid.every_s for time in columns["time"]]
    groups: dict[str | None, list[list[tuple[float, float | None]]]] = {}
    for miner, slot, hashrate, nominal in zip(
        columns["miner_id"], slots, columns["hashrate_hs_mean"], columns["hashrate_nominal_hs_mean"], strict=True
    ):
        if hashrate is not None and 0 <= slot < size:
            windows = groups.setdefault(algorithms.get(miner), [[] for _ in range(size)])
            windows[slot].append((hashrate, nominal))
    counts = [sum(len(windows[slot]) for windows in groups.values()) for slot in range(size)]
    return FleetHistory(
        grid=grid,
        hashrate_hs={
            algorithm: tuple(sum(h for h, _ in window) if window else None for window in windows)
            for algorithm, windows in groups.items()
        },
        expected_hs={algorithm: tuple(map(_expected, windows)) for algorithm, windows in groups.items()},
        power_w=_sums(slots, columns["power_w_mean"], size),
        chip_temp_max_c=_largest(slots, columns["chip_temp_max_c_max"], size),
        chip_temp_avg_c=_means(slots, columns["chip_temp_avg_c_mean"], size),
        ambient_temp_c=_means(slots, columns["ambient_temp_c_mean"], size),
        reporting=tuple(count or None for count in counts),
    )


def _expected(window: list[tuple[float, float | None]]) -> float | None:
    nominal = [value for _, value in window if value is not None]
    return sum(nominal) if nominal and len(nominal) == len(window) else None


@dataclass(frozen=True, slots=True)
class MinerHistory:
    """Lines of one miner, by column name ``<field>_<aggregate>``. ``interpolated`` has values only of windows in which
    nothing was read and nothing can have happened."""

    grid: Grid
    lines: dict[str, Points]
    interpolated: dict[str, Points] = field(default_factory=dict)


MINER_AGGREGATES = {
    "hashrate_hs": "mean",
    "hashrate_nominal_hs": "mean",
    "power_w": "mean",
    "chip_temp_max_c": "max",
    "pcb_temp_max_c": "max",
    "ambient_temp_c": "mean",
    "fan_duty_percent": "mean",
}


def miner_history(columns: Columns, grid: Grid) -> MinerHistory:
    """Lines from the windows of one miner. Of two series in one window, as after a rename, the later is shown."""
    lines: dict[str, Points] = {}
    for told, aggregate in MINER_AGGREGATES.items():
        name = f"{told}_{aggregate}"
        line: list[float | None] = [None] * len(grid.times)
        for time, value in zip(columns["time"], columns[name], strict=True):
            slot = (time - grid.start) // grid.every_s
            if value is not None and 0 <= slot < len(line):
                line[slot] = value
        lines[name] = tuple(line)
    return MinerHistory(grid, lines)


def with_short_gaps_closed(history: MinerHistory, rows: Iterable[Mapping[str, Any]]) -> MinerHistory:
    """``history`` with its ``interpolated`` values, from raw ``rows`` as interpolated_rows gives them."""
    grid = history.grid
    found: dict[str, list[float | None]] = {}
    for row in rows:
        slot = (row["time"] - grid.start) // grid.every_s
        for name in (row[INTERPOLATED] or "").split(","):
            line = f"{name}_{MINER_AGGREGATES.get(name)}"
            if 0 <= slot < len(grid.times) and line in history.lines and history.lines[line][slot] is None:
                found.setdefault(line, [None] * len(grid.times))[slot] = row[name]
    return replace(history, interpolated={name: tuple(values) for name, values in found.items()})


def bridge(line: Points, interpolated: Points) -> Points:
    """``interpolated`` values and, at both ends of each stretch, the neighbour in ``line``, so that a line joins it."""
    last = len(line) - 1
    return tuple(
        value
        if value is not None
        else line[at]
        if interpolated[max(at - 1, 0)] is not None or interpolated[min(at + 1, last)] is not None
        else None
        for at, value in enumerate(interpolated)
    )


def _grouped(slots: Sequence[int], values: Sequence[float | None], size: int) -> list[list[float]]:
    groups: list[list[float]] = [[] for _ in range(size)]
    for slot, value in zip(slots, values, strict=True):
        if value is not None and 0 <= slot < size:
            groups[slot].append(value)
    return groups


def _sums(slots: Sequence[int], values: Sequence[float | None], size: int) -> Points:
    return tuple(sum(group) if group else None for group in _grouped(slots, values, size))


def _means(slots: Sequence[int], values: Sequence[float | None], size: int) -> Points:
    return tuple(sum(group) / len(group) if group else None for group in _grouped(slots, values, size))


def _largest(slots: Sequence[int], values: Sequence[float | None], size: int) -> Points:
    return tuple(max(group) if group else None for group in _grouped(slots, values, size))
