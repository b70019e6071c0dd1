"""Fills gaps with what miners remember of themselves, in a spool lane of its own.

Such rows are marked ``backfilled`` and are poorer than polled ones: the history has no counters, no boards and no
state, and nobody asked whether the miner could be reached. They never replace a row, are stamped with poll slots, and
make their hours due for another roll-up as every delivery does.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import httpx

from storage.frame import Frame, build_frame
from storage.opening import open_store
from storage.precision import rounded
from storage.progress import told
from storage.records.miner import Miner, MinerTelemetry
from storage.settings import StorageSettings
from storage.spool.lane import Lane
from storage.spool.record import Batch
from storage.store import Store
from tasks.miners.collection import LANE as MINERS_LANE
from tasks.miners.driver import HistoryPoint, KeepsHistory, MinerDriver, PollFailure
from tasks.miners.drivers import DRIVERS
from tasks.miners.gaps import Gap, stored_times
from tasks.miners.memory import MemoryFile
from tasks.miners.settings import MinerSettings
from tasks.miners.transport import transport_for
from tasks.normalize.judging import judge
from tasks.normalize.quality import EXPECTED

_LOG = logging.getLogger(__name__)

LANE = "backfill"
FLAG = "backfilled"
MOST_POINTS = 2_880
"""Points asked of a miner at once. A longer hole is filled more thinly, since its processor is slow."""

_FINEST_S = 60
_CLOCK_S = 120
"""How far its clock may be off by the newest point, beside the point's own interval: else all rows would be too."""

_REMEMBERED = ("hashrate_hs", "efficiency_j_th", "chip_temp_max_c", "pcb_temp_max_c", "fan_duty_percent")
_NOT_REMEMBERED = frozenset(EXPECTED) - {"hashrate_hs", "power_w", "chip_temp_max_c"}
_AT_ONCE = 32
_TOGETHER = 256
_DEADLINE_S = 30.0


@dataclass(frozen=True, slots=True)
class Filled:
    """What became of the gaps of one miner: ``missing`` slots, of which ``filled`` were, and why not the others."""

    miner_id: str
    missing: int
    filled: int
    reason: str | None


@dataclass(frozen=True, slots=True)
class _Wanted:
    """The gaps of one miner, oldest first."""

    miner: MinerSettings
    gaps: list[Gap]

    @property
    def missing(self) -> int:
        return sum(len(gap.slots) for gap in self.gaps)


async def fill_gaps(
    storage: StorageSettings,
    miners: Sequence[MinerSettings],
    gaps: Sequence[Gap],
    *,
    run_id: str,
    polled_in: str = MINERS_LANE,
    clock: Callable[[], float] = time.time,
) -> list[Filled]:
    """:func:`fill` with the store and the spool of this host, whose shift polls the miners in lane ``polled_in`` and
    delivers what is filled.

    Raises:
        LaneBusy: somebody else is filling gaps on this host.
        TryAgain, NeedsHuman: as :func:`fill`.
    """
    store = await asyncio.to_thread(open_store, storage)
    try:
        known = await asyncio.to_thread(MemoryFile(storage.state_directory, polled_in).read)
        detected = {miner_id: parts["detected"] for miner_id, parts in known.items() if parts.get("detected")}
        lane = await asyncio.to_thread(Lane.open, storage.spool_directory, LANE, cap_bytes=storage.spool.cap_bytes)
        with lane:
            return await fill(gaps, miners, store=store, lane=lane, run_id=run_id, clock=clock, detected=detected)
    finally:
        await asyncio.to_thread(store.close)


async def fill(
    gaps: Sequence[Gap],
    miners: Sequence[MinerSettings],
    *,
    store: Store,
    lane: Lane,
    run_id: str,
    clock: Callable[[], float],
    detected: Mapping[str, str] | None = None,
    drivers: Mapping[str, MinerDriver] = DRIVERS,
) -> list[Filled]:
    """Fill ``gaps`` as far as their miners remember; durable in ``lane`` when it returns. A miner's fault costs itself.

    ``detected`` is the driver of each miner whose configuration leaves it open, see MinerMemory.

    Raises:
        TryAgain: the store does not answer when asked again what is missing.
        NeedsHuman: the spool takes nothing.
    """
    known = {miner.id: miner for miner in miners}
    wanted: dict[str, _Wanted] = {}
    for gap in gaps:
        if gap.miner_id in known:
            miner = known[gap.miner_id]
            if detected and miner.id in detected:
                miner = miner.model_copy(update={"driver": detected[miner.id]})  # its address depends on it too
            wanted.setdefault(miner.id, _Wanted(miner, [])).gaps.append(gap)
    free = asyncio.Semaphore(_AT_ONCE)
    queue, done = list(wanted.values()), list[Filled]()
    for first in range(0, len(queue), _TOGETHER):
        some = queue[first : first + _TOGETHER]
        answers = await asyncio.gather(*(_remembered(one, int(clock()), free, drivers) for one in some))
        done += await asyncio.to_thread(_keep, list(zip(some, answers, strict=True)), store, lane, run_id)
        told(len(done), len(queue), "miners")
    return done


async def _remembered(
    wanted: _Wanted, now: int, free: asyncio.Semaphore, drivers: Mapping[str, MinerDriver]
) -> list[HistoryPoint] | str:
    """What the miner remembers since the first gap, or why nothing."""
    miner, target = wanted.miner, wanted.miner.target()
    url = httpx.URL(target.base_url)
    driver = drivers.get(miner.driver)
    if driver is None:
        return f"its driver, {miner.driver}, is not known"
    async with free:
        transport = transport_for(url, connect_timeout_s=_DEADLINE_S / 6, deadline_s=_DEADLINE_S)
        try:
            session = driver.session(target, transport)
            if not isinstance(session, KeepsHistory):
                return f"driver {miner.driver} reads no history"
            back_s = min(session.remembers_s, now - wanted.gaps[0].start + _FINEST_S)
            step_s = step(miner.polling_interval_seconds, back_s)
            try:
                async with asyncio.timeout(2 * _DEADLINE_S):
                    points = await session.history(now, back_s, step_s)
            except TimeoutError:
                return "no history: the miner's time is up"
            except PollFailure as failure:
                return f"no history: {failure}"
            except Exception:  # noqa: BLE001 - logged; a driver's error costs its miner the history, not all others
                _LOG.exception("driver %s failed at the history of miner %s", miner.driver, miner.id)
                return f"no history: error in driver {miner.driver}"
        finally:
            await transport.aclose()
    if not points:
        return "the miner remembers nothing"
    off_s = now - points[-1].time
    if not -_CLOCK_S <= off_s <= step_s + _CLOCK_S:
        return f"its history ends {abs(off_s)} s {'ago' if off_s > 0 else 'ahead'}: its clock is wrong, or it is off"
    return points


def step(every_s: int, back_s: int) -> int:
    """Distance of the points to ask for: a multiple of the poll interval ``every_s`` where that is possible."""
    own = max(every_s, _FINEST_S)
    return own * max(1, -(-back_s // (own * MOST_POINTS)))


def _keep(
    answered: Sequence[tuple[_Wanted, list[HistoryPoint] | str]], store: Store, lane: Lane, run_id: str
) -> list[Filled]:
    """Spool what is still missing now: between finding and filling, another lane may have brought it."""
    told = [wanted for wanted, answer in answered if not isinstance(answer, str)]
    there: dict[str, set[int]] = {}
    if told:
        first = min(wanted.gaps[0].start for wanted in told)
        last = max(wanted.gaps[-1].stop for wanted in told)
        there = stored_times(store, [wanted.miner.id for wanted in told], first, last + 1)
    done = []
    for wanted, answer in answered:
        miner = wanted.miner
        if isinstance(answer, str):
            done.append(Filled(miner.id, wanted.missing, 0, answer))
            continue
        filled = 0
        for gap in wanted.gaps:
            chosen = nearest(gap.slots, answer, miner.polling_interval_seconds)
            chosen = {slot: point for slot, point in chosen.items() if slot not in there.get(miner.id, ())}
            if chosen:
                frame = rows(miner.target().miner, chosen, gap.nominal_hs)
                lane.append(Batch(_batch_id(miner.id, chosen), max(chosen), run_id, [frame]))
            filled += len(chosen)
        reason = None if filled == wanted.missing else "the miner remembers nothing of the others"
        done.append(Filled(miner.id, wanted.missing, filled, reason))
    return done


def nearest(slots: Sequence[int], points: Sequence[HistoryPoint], every_s: int) -> dict[int, HistoryPoint]:
    """The point of each slot: the nearest one within half an interval. Slots without one are left out."""
    wanted = set(slots)
    found: dict[int, HistoryPoint] = {}
    for point in points:
        slot = (point.time + every_s // 2) // every_s * every_s
        known = found.get(slot)
        if slot in wanted and (known is None or abs(point.time - slot) < abs(known.time - slot)):
            found[slot] = point
    return dict(sorted(found.items()))


def rows(miner: Miner, points: Mapping[int, HistoryPoint], nominal_hs: float | None) -> Frame:
    """Rows of ``miner_telemetry`` by slot, judged as polled ones are; ``nominal_hs`` is the hashrate promised then."""
    records = [_judged(miner, slot, point, nominal_hs) for slot, point in points.items()]
    number = len(records)
    columns: dict[str, list[float | None]] = {
        name: rounded([getattr(record, name) for record in records]) for name in _REMEMBERED
    }
    return build_frame(
        "miner_telemetry",
        list(points),
        {
            "miner_id": [miner.miner_id] * number,
            "model": [miner.model] * number,
            "site": [miner.site] * number,
            **columns,
            "power_w": [record.power_w for record in records],
            "quality": [record.quality for record in records],
            "quality_flags": [record.quality_flags for record in records],
        },
    )


def _judged(miner: Miner, slot: int, point: HistoryPoint, nominal_hs: float | None) -> MinerTelemetry:
    """What the miner remembers, without what cannot be. It ran then: of times without power it remembers nothing.

    Each point is judged by itself: a history has no counters by which a repetition could be told.
    """
    remembered = MinerTelemetry(
        time=slot,
        miner=miner,
        reachable=True,
        state="mining" if point.hashrate_hs else "stopped",
        hashrate_hs=point.hashrate_hs,
        hashrate_nominal_hs=nominal_hs,
        power_w=point.power_w,
        chip_temp_max_c=point.chip_temp_max_c,
        pcb_temp_max_c=point.pcb_temp_max_c,
        fan_duty_percent=point.fan_duty_percent,
        quality_flags=FLAG,
        cannot_tell=_NOT_REMEMBERED,
    )
    return judge(remembered).record


def _batch_id(miner_id: str, slots: Mapping[int, HistoryPoint]) -> str:
    """The same for the same slots, so that a fill that is tried again is spooled once."""
    digest = hashlib.sha256(",".join(map(str, slots)).encode()).hexdigest()[:16]
    return f"{LANE}/{miner_id}/{digest}"
