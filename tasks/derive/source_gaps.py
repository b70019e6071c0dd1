"""Holes in what pools and providers told, and why: paused by hand, failed requests, nobody on shift.

Found from what is stored. A reading is what docs/source-quality.md calls one. A hole is longer than two intervals of
its source. It cannot be filled: what a pool or market was then, it tells nobody afterwards.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import pyarrow as pa

from storage.declaration import MEASUREMENTS, Tier
from storage.downsample.windows import unix_seconds
from storage.store import Store
from tasks.derive.source_quality.sources import KINDS, Intervals, Kind
from tasks.overrides.stretches import Stretch, pauses_of_sources
from tasks.sources.lanes import MARKET, POOLS

BEFORE_S = 86_400
"""How far before the time asked for the last reading is looked for."""
_MINUTE_S = 60
"""Readings are told apart by the minute."""
_REQUEST, _TICK = MEASUREMENTS["source_request"], MEASUREMENTS["collector_tick"]


@dataclass(frozen=True, slots=True)
class SourceGap:
    """``source`` of ``kind`` (pool, price or network) told nothing between its reading at ``start`` and the one at
    ``stop`` (Unix seconds, to the minute); where it is ``open``, ``stop`` is the end of what was looked at. ``reason``:
    why."""

    kind: str
    source: str
    start: int
    stop: int
    open: bool
    reason: str


def source_gaps(store: Store, intervals: Intervals, start: int, stop: int) -> list[SourceGap]:
    """Holes of the sources of ``intervals`` in ``[start, stop)``, miners left out, by kind, source, then time.

    A source without a reading in the day before owes some from its first request on.

    Raises:
        TryAgain: the store does not answer.
    """
    start, stop = start // _MINUTE_S * _MINUTE_S, -(-stop // _MINUTE_S) * _MINUTE_S
    found: list[SourceGap] = []
    for kind in KINDS:
        every = intervals.get(kind.name, {})
        if kind.name == "miner" or not every:
            continue
        requests = _Requests(store, sorted(every), start - BEFORE_S, stop)
        told = _readings(store, kind, sorted(every), start - BEFORE_S, stop)
        holes = [
            (source, begin, end)
            for source in sorted(every)
            for begin, end in _holes(told.get(source) or requests.first(source, start), 2 * every[source], stop)
            if end > start
        ]
        pauses = pauses_of_sources(store, min(begin for _, begin, _ in holes), stop) if holes else []
        for source, begin, end in holes:
            said = [one.words for one in pauses if one.subject == source and _overlap(one, begin, end)]
            reason = "; ".join([*said, *requests.in_words(source, begin, end)]) or _unasked(store, kind, begin, end)
            found.append(SourceGap(kind.name, source, begin, end, end == stop, reason))
    return found


def _readings(store: Store, kind: Kind, sources: Sequence[str], start: int, stop: int) -> dict[str, list[int]]:
    """Minutes in which each source told something, in order."""
    counts = store.windows(
        kind.measurement, start, stop, _MINUTE_S,
        aggregates=dict.fromkeys(kind.told, "count"), by=(kind.tag,), where={kind.tag: list(sources)},
    )  # fmt: skip
    found: dict[str, list[int]] = {}
    columns = [counts[f"{name}_count"].to_pylist() for name in kind.told]
    for source, minute, *told in zip(
        counts[kind.tag].to_pylist(), unix_seconds(counts).tolist(), *columns, strict=True
    ):
        if any(told):
            found.setdefault(source, []).append(minute)
    return {source: sorted(minutes) for source, minutes in found.items()}


def _holes(minutes: Sequence[int], longest_s: int, stop: int) -> Iterator[tuple[int, int]]:
    yield from ((begin, end) for begin, end in pairwise([*minutes, stop]) if end - begin > longest_s)


class _Requests:
    """What was asked, and what came of it."""

    def __init__(self, store: Store, sources: Collection[str], start: int, stop: int) -> None:
        table: pa.Table = store.read(
            _REQUEST, Tier.RAW, start, stop, where={"source": list(sources)}, columns=["ok", "failure"]
        )
        self._rows: dict[str, list[tuple[int, str | None]]] = {}
        columns = (table["source"].to_pylist(), unix_seconds(table).tolist(), table["failure"].to_pylist())
        for source, time, failure in zip(*columns, strict=True):
            self._rows.setdefault(source, []).append((time, failure))

    def first(self, source: str, start: int) -> list[int]:
        """The minute of the first request, not before ``start``; nothing where there was none."""
        times = [time for time, _ in self._rows.get(source, ())]
        return [max(start, min(times) // _MINUTE_S * _MINUTE_S)] if times else []

    def in_words(self, source: str, begin: int, end: int) -> list[str]:
        """What came of the requests after ``begin`` and before ``end``; nothing where there were none."""
        asked = [failure for time, failure in self._rows.get(source, ()) if begin + _MINUTE_S <= time < end]
        failed = Counter(failure for failure in asked if failure is not None)
        if failed:
            kinds = ", ".join(f"{name} {count}" for name, count in failed.most_common())
            return [f"{failed.total()} of {len(asked)} requests failed: {kinds}"]
        return [f"it was asked {len(asked)} times and told nothing of this"] if asked else []


def _overlap(pause: Stretch, begin: int, end: int) -> bool:
    return pause.start < end and pause.stop > begin + _MINUTE_S


def _unasked(store: Store, kind: Kind, begin: int, end: int) -> str:
    lane = POOLS if kind.name == "pool" else MARKET
    ticks = store.read(_TICK, Tier.RAW, begin + _MINUTE_S, end, where={"lane": lane}, columns=["points"])
    return "it was not asked" if ticks.num_rows else f"nobody was on shift: no tick of lane {lane}"
