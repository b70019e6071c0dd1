"""Which hours and days are to be derived, or derived again since their inputs changed.

An hour is due when its inputs stand otherwise than was noted of it last; one in which nobody was read may be due too,
so that a row of it says so. Inputs that are rolled up, or derived in the same way, are known by their own marks
(``window_rolled``): late rows make an hour of a measurement due, the roll-up redoes it, and whatever was derived from
it follows. A roll-up goes on from the hours before it, so an hour's mark has theirs in it as well. Inputs without marks
are known by counts and sums of their rows in the hour. A day is due when one of its hours is, and once when it has
ended.

The order of writes makes a kill harmless: rows first, then :func:`mark_derived`. Killed in between, the window is due
again and gives the same rows.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from storage.declaration import MEASUREMENTS, Measurement, Tier, Type
from storage.downsample.books import REDO, rolled_windows, touched_hours
from storage.downsample.growth import COUNTER_MEMORY_S
from storage.downsample.rollup import DAY_S, HOUR_S, window_of
from storage.downsample.run import GRACE_S
from storage.downsample.windows import unix_seconds
from storage.frame import build_frame
from storage.store import Store
from tasks.derive.hour_grid import floats

_LENGTHS = {Tier.HOURLY: HOUR_S, Tier.DAILY: DAY_S}
_DIGITS = 6
"""The order in which floats are added up is not fixed, so their last digits are not either."""


@dataclass(frozen=True, slots=True)
class Window:
    """``start <= time < stop`` (Unix seconds), an hour or a day; ``covered`` is the mark that it is to get."""

    start: int
    tier: Tier
    covered: int

    @property
    def stop(self) -> int:
        """Its end."""
        return self.start + _LENGTHS[self.tier]


@dataclass(frozen=True, slots=True)
class Inputs:
    """What something is derived from: measurements ``marked`` in ``window_rolled``, which say which hours there are,
    and those that are not (``counted``). ``settings``: what else it goes by, in words; another one redoes all.
    ``told``: what is known of single hours, in words; another one redoes the hour, and one without any row is due.
    ``silent_too``: so are hours of which nothing is rolled up, after the first of which anything is."""

    marked: Sequence[str]
    counted: Sequence[str] = ()
    settings: str = ""
    told: Mapping[int, str] = field(default_factory=dict)
    silent_too: bool = False


def due_windows(store: Store, derived: str, inputs: Inputs, now: int, horizon_s: int) -> list[Window]:
    """Windows of measurement ``derived`` due at ``now``, of the days of UTC since ``horizon_s`` ago: hours, then days.

    Hours whose roll-up is to be redone wait for it, and so do their days.

    Raises:
        TryAgain: the store does not answer.
    """
    first = window_of(now - horizon_s, DAY_S)
    marks: dict[int, list[tuple[str, int]]] = defaultdict(list)
    waiting: set[int] = set()
    for name in inputs.marked:
        for hour, mark in rolled_windows(store, MEASUREMENTS[name], Tier.HOURLY, first - COUNTER_MEMORY_S, now).items():
            marks[hour].append((name, mark))
            if mark == REDO:
                waiting.add(hour)
    beside: dict[int, list[tuple[str, int]]] = defaultdict(list)
    for name in inputs.counted:
        for hour, mark in _contents(store, MEASUREMENTS[name], first, window_of(now, HOUR_S)).items():
            beside[hour].append((name, mark))
    for hour, words in inputs.told.items():
        beside[hour].append((words, 0))
    noted = {tier: rolled_windows(store, MEASUREMENTS[derived], tier, first, now) for tier in _LENGTHS}
    begun = min([*marks, *noted[Tier.HOURLY]], default=now)
    silent = _silent_hours(store, inputs.marked, begun, now) if inputs.silent_too else set()
    wanted = {
        hour: _digest([*_memory(marks, hour), *beside.get(hour, []), (inputs.settings, hour)])
        for hour in sorted({*marks, *inputs.told, *silent})
        if hour >= first and hour not in waiting and hour + HOUR_S + GRACE_S <= now
    }
    days = {
        day: _digest(list(own))
        for day, own in groupby(wanted.items(), key=lambda item: window_of(item[0], DAY_S))
        if day + DAY_S + GRACE_S <= now
    }
    for hour in waiting:
        days.pop(window_of(hour, DAY_S), None)
    return [
        Window(start, tier, mark)
        for tier, found in ((Tier.HOURLY, wanted), (Tier.DAILY, days))
        for start, mark in found.items()
        if noted[tier].get(start) != mark
    ]


def mark_derived(store: Store, derived: str, windows: Sequence[Window]) -> None:
    """Note that the rows of ``windows`` are written: the last thing to do with them."""
    columns: dict[str, list[str] | list[int]] = {
        "measurement": [derived] * len(windows),
        "tier": [window.tier.value for window in windows],
        "covered": [window.covered for window in windows],
    }
    store.write([build_frame("window_rolled", [window.start for window in windows], columns)])


def by_day(windows: Sequence[Window]) -> list[list[Window]]:
    """``windows`` by the day of UTC that they are of, in order: what is read, written and marked at once."""
    days: dict[int, list[Window]] = defaultdict(list)
    for window in windows:
        days[window_of(window.start, DAY_S)].append(window)
    return [days[day] for day in sorted(days)]


def _silent_hours(store: Store, names: Sequence[str], begun: int, now: int) -> set[int]:
    """Hours from ``begun`` on for which nothing of ``names`` came. What came and waits for its roll-up makes its hour
    due after that."""
    came = {hour for name in names for hour in touched_hours(store, MEASUREMENTS[name], begun, now)}
    return set(range(begun, now, HOUR_S)) - came


def _memory(marks: Mapping[int, list[tuple[str, int]]], hour: int) -> list[tuple[str, int]]:
    """Marks of ``hour`` and of those that it goes on from."""
    hours = range(hour - COUNTER_MEMORY_S, hour + 1, HOUR_S)
    return [(f"{name} {hour - at}", mark) for at in hours for name, mark in marks.get(at, ())]


def _contents(store: Store, measurement: Measurement, start: int, stop: int) -> dict[int, int]:
    """A mark for every hour that has rows of ``measurement``: how many there are, and what they add up to."""
    numbers = [field.name for field in measurement.fields if field.type in (Type.FLOAT, Type.INTEGER)]
    marks: dict[int, list[tuple[str, int]]] = defaultdict(list)
    for how in ("count", "min", "max", "sum"):
        table = store.windows(measurement, start, stop, HOUR_S, aggregates=dict.fromkeys(numbers, how))
        hours = unix_seconds(table).tolist()
        for name in numbers:
            for hour, value in zip(hours, floats(table[f"{name}_{how}"]).tolist(), strict=True):
                marks[hour].append((f"{name} {how} {value:.{_DIGITS}g}", 0))
    return {hour: _digest(parts) for hour, parts in marks.items()}


def _digest(parts: Sequence[tuple[object, int]]) -> int:
    """A positive whole number of 63 bits, never REDO."""
    made = hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()
    return (int.from_bytes(made, "big") >> 1) or REDO + 1
