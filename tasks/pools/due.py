"""Which hours of pools and miners are to be worked out, and noting that they were.

An hour is due when what came in for it, and for the two hours before it that reach into it (counters, readings that
still stand), is other than what was worked out of it last. Both are in the store: ``window_touched`` and
``window_rolled``, the latter under ``worker_match``. An hour is noted after its rows are written, with what was read
before they were made: killed in between, it is still due and gives the same rows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping

from storage.declaration import MEASUREMENTS, Tier
from storage.downsample.books import REDO, rolled_windows, touched_hours
from storage.frame import build_frame
from storage.store import Store

HOUR_S = 3_600
REACH_S = 2 * HOUR_S
"""How far before an hour its rows are read."""
SLICE_S = 6 * HOUR_S
"""Hours that are read at once, at most."""
ROWS_AT_ONCE = 500_000
"""Rows of miners that are read at once, about, one hour at least: what bounds memory."""

_OF_POOLS = ("pool_performance", "pool_account")
_OF_MINERS = ("miner_telemetry", "miner_pool")
_NOTED = MEASUREMENTS["worker_match"]


def marks_of(store: Store, start: int, stop: int) -> dict[int, int]:
    """Hours in ``[start, stop)`` that got data, each with the mark it is to get; none before pools first told
    something, since there is nothing to match. Raises TryAgain."""
    told: dict[int, list[tuple[str, int]]] = {}
    of_pools: set[int] = set()
    for name in (*_OF_POOLS, *_OF_MINERS):
        for hour, mark in touched_hours(store, MEASUREMENTS[name], start, stop).items():
            told.setdefault(hour, []).append((name, mark))
            if name in _OF_POOLS:
                of_pools.add(hour)
    first = min(of_pools, default=stop)
    return {
        hour: _digest((at, told.get(at)) for at in range(hour - REACH_S, hour + 1, HOUR_S))
        for hour in sorted(told)
        if hour >= first
    }


def noted_hours(store: Store, start: int, stop: int) -> dict[int, int]:
    """Hours that were ever worked out, each with the mark it got. Raises TryAgain."""
    return rolled_windows(store, _NOTED, Tier.HOURLY, start, stop)


def note(store: Store, marks: Mapping[int, int]) -> None:
    """Hours are worked out up to these marks; REDO makes one due. Raises TryAgain."""
    if marks:
        columns: dict[str, list[str] | list[int]] = {
            "measurement": [_NOTED.name] * len(marks),
            "tier": [Tier.HOURLY.value] * len(marks),
            "covered": list(marks.values()),
        }
        store.write([build_frame("window_rolled", list(marks), columns)])


def first_slice(hours: Iterable[int], span_s: int) -> list[int]:
    """The earliest of ``hours``, as many as lie within ``span_s``."""
    left = sorted(hours)
    return [hour for hour in left if hour < left[0] + span_s]


def next_span_s(hours: int, rows: int) -> int:
    """How much to read at once after ``hours`` had so many ``rows``: whole hours, one at least."""
    return min(SLICE_S, max(1, ROWS_AT_ONCE * hours // max(rows, 1)) * HOUR_S)


def _digest(parts: Iterator[object]) -> int:
    made = hashlib.blake2b(repr(list(parts)).encode(), digest_size=8).digest()
    return (int.from_bytes(made, "big") >> 1) or REDO + 1
