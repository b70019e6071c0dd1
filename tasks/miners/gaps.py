"""Holes in the readings of miners that an outage of the collector left. Found from what is stored.

``collector_tick`` tells such an outage from a miner that was off: while the collector works it ticks, and a miner that
does not answer has rows that say so. Only what lies between a stored row before and one after is a hole. A lane
delivers in order, so what waits in the spool is never taken for missing.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from storage.declaration import MEASUREMENTS, Tier
from storage.opening import open_store
from storage.settings import StorageSettings
from storage.store import Store
from tasks.miners.collection import LANE
from tasks.miners.settings import FleetSettings, MinerSettings
from tasks.overrides.stretches import stretches_by_hand

if TYPE_CHECKING:
    import pyarrow as pa

_TELEMETRY = MEASUREMENTS["miner_telemetry"]
_TICK = MEASUREMENTS["collector_tick"]
REMEMBERED_S = 259_200
"""No miner is known to remember more than three days."""

_HOUR_S = 3_600
_LOOK_BACK_S = 30 * 86_400
"""How long ago the last tick before an outage may be."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Slots of one miner without a row, at its usual interval, oldest first. ``nominal_hs`` is what it should hash."""

    miner_id: str
    slots: tuple[int, ...]
    nominal_hs: float | None = None

    @property
    def start(self) -> int:
        """First missing slot."""
        return self.slots[0]

    @property
    def stop(self) -> int:
        """Last missing slot."""
        return self.slots[-1]


@dataclass(frozen=True, slots=True)
class _Rows:
    """What is stored of one miner around an outage: sorted times, and the hashrate expected."""

    times: list[int]
    nominal_hs: float | None


async def find_own_gaps(
    storage: StorageSettings,
    miners: Sequence[MinerSettings],
    limits: FleetSettings,
    *,
    host: str,
    start: int,
    stop: int,
    lane: str = LANE,
) -> list[Gap]:
    """:func:`find_gaps` in the store of this host and in the ``lane`` of its shift."""

    def find() -> list[Gap]:
        store = open_store(storage)
        try:
            return find_gaps(store, miners, limits, host=host, lane=lane, start=start, stop=stop)
        finally:
            store.close()

    return await asyncio.to_thread(find)


def find_gaps(
    store: Store,
    miners: Sequence[MinerSettings],
    limits: FleetSettings,
    *,
    host: str,
    lane: str,
    start: int,
    stop: int,
) -> list[Gap]:
    """Gaps of ``miners`` with slots in ``[start, stop)``, by miner, then time. ``host`` polls them in ``lane``.

    A gap is longer than two of the longest intervals at which its miner may be polled. Slots in which it was paused by
    hand are none of it: it was not to be asked. Blocks.

    Raises:
        TryAgain: the store does not answer.
    """
    if not miners:
        return []
    longest = {miner.id: 2 * miner.telemetry_bounds().slowest_s for miner in miners}
    reach_s = max(*longest.values(), 2 * limits.breaker_longest_seconds)
    ticks = _ticks(store, host, lane, start, stop + reach_s)
    silences = list(outages(ticks, min(longest.values())))
    paused = _paused_slots(store, start, stop) if silences else {}
    gaps = []
    for outage in silences:
        stored = _stored(store, outage, reach_s)
        for miner in miners:
            rows = stored.get(miner.id)
            if rows is not None:
                slots = missing_slots(rows.times, outage, miner.polling_interval_seconds, longest[miner.id])
                gaps += [
                    Gap(miner.id, kept, rows.nominal_hs)
                    for stretch in slots
                    if (
                        kept := tuple(
                            slot
                            for slot in stretch
                            if start <= slot < stop and not any(slot in pause for pause in paused.get(miner.id, ()))
                        )
                    )
                ]
    return sorted(gaps, key=lambda gap: (gap.miner_id, gap.start))


def outages(ticks: Sequence[int], longest_s: int) -> list[tuple[int, int]]:
    """Pairs of successive ``ticks`` (sorted) more than ``longest_s`` apart."""
    return [(last, first) for last, first in pairwise(ticks) if first - last > longest_s]


def missing_slots(
    times: Sequence[int], outage: tuple[int, int], every_s: int, longest_s: int
) -> Iterator[tuple[int, ...]]:
    """Slots, ``every_s`` apart, of each stretch of ``outage`` longer than ``longest_s`` in which a miner has no row.

    ``times`` are its rows around the outage, sorted. None where it has no row before, or none after: it was not polled
    then, or its first row is yet to come.
    """
    last, first = outage
    inside = times[bisect_right(times, last) : bisect_left(times, first)]
    if not times or times[0] > last or times[-1] < first:
        return
    for before, after in pairwise((last, *inside, first)):
        if after - before > longest_s:
            slots = tuple(range((before // every_s + 1) * every_s, after, every_s))
            if slots:
                yield slots


def stored_times(store: Store, miner_ids: Sequence[str], start: int, stop: int) -> dict[str, set[int]]:
    """Times in ``[start, stop)`` at which there are rows, by miner; miners without one are left out. Blocks."""
    table = store.read(
        _TELEMETRY, Tier.RAW, start, stop, where={"miner_id": list(miner_ids)}, columns=["reachable", "quality_flags"]
    )
    found = defaultdict(set)
    for miner_id, time in zip(table["miner_id"].to_pylist(), _seconds(table), strict=True):
        found[miner_id].add(time)
    return dict(found)


def _paused_slots(store: Store, start: int, stop: int) -> dict[str, list[range]]:
    found = defaultdict(list)
    for one in stretches_by_hand(store, start, stop):
        if one.paused:
            found[one.subject].append(range(one.start, one.stop))
    return found


def _ticks(store: Store, host: str, lane: str, start: int, stop: int) -> list[int]:
    """Ticks in ``[start, stop)``, and the last one before."""
    where = {"host": host, "lane": lane}
    hour = start // _HOUR_S * _HOUR_S
    earlier = store.windows(_TICK, hour - _LOOK_BACK_S, hour, _HOUR_S, aggregates={"points": "count"}, where=where)
    first = max(_seconds(earlier), default=hour)
    return sorted(_seconds(store.read(_TICK, Tier.RAW, first, stop, where=where, columns=["points"])))


def _stored(store: Store, outage: tuple[int, int], reach_s: int) -> dict[str, _Rows]:
    last, first = outage
    columns = ["reachable", "quality_flags", "hashrate_nominal_hs"]
    table = store.read(_TELEMETRY, Tier.RAW, last - reach_s, first + reach_s + 1, columns=columns)
    times: dict[str, list[int]] = defaultdict(list)
    nominal: dict[str, float] = {}
    for miner_id, time, expected in zip(
        table["miner_id"].to_pylist(), _seconds(table), table["hashrate_nominal_hs"].to_pylist(), strict=True
    ):
        times[miner_id].append(time)
        if expected:
            nominal[miner_id] = expected
    return {miner_id: _Rows(sorted(found), nominal.get(miner_id)) for miner_id, found in times.items()}


def _seconds(table: pa.Table) -> list[int]:
    seconds: list[int] = table["time"].cast("int64").to_pylist()
    return seconds
