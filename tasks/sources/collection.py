"""The sources of a host as a shift asks them: what is due goes out, what came in is spooled, each source for itself."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from storage.frame import Frame
from storage.settings import StorageSettings
from storage.spool.lane import Lane
from tasks.miners.report import MinerStanding, TickReport
from tasks.overrides.file import OverrideWatch
from tasks.overrides.override import NOTHING_BY_HAND, Overrides
from tasks.shift.journal import Journal
from tasks.shift.recorder import Recorder
from tasks.shift.slots import Slot, Slots
from tasks.sources.asked import Asked
from tasks.sources.books import books_of
from tasks.sources.budget import Budget
from tasks.sources.failure import SourceFailure, SourceFailureKind
from tasks.sources.paces import Paces
from tasks.sources.pauses import Pauses
from tasks.sources.source import Gathered, Request, Source
from tasks.sources.standing import RequestStanding, StandingsFile
from tasks.sources.standings import OF_A_REQUEST, Key, Standings

GRID_S = 15
"""Slots of pools and markets; the shortest interval that anything is asked at."""

PATIENCE_S = 10.0
"""What a tick waits for answers. One that comes later is spooled with the next tick, under the slot it was asked at."""

LONGEST_ASK_S = 120.0
"""Pages, retries and their pauses together. A source that takes longer is given up for this time."""

_TAKE_NO_CREDIT = frozenset({SourceFailureKind.UNREACHABLE, SourceFailureKind.RATE_LIMITED, SourceFailureKind.REFUSED})
"""Failures after which what was reserved is given back. After others, a time-out above all, the service may count."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SourceOutcome:
    """What a tick gave; see tasks.shift.recorder.Outcome."""

    frames: Sequence[Frame]
    polled: int
    failed: int
    failed_by_reason: Mapping[str, int]
    tick_s: float
    left_alone: int = 0
    configurations_dropped: int = 0
    payloads_dropped: int = 0
    next_slot: int | None = None
    loop_lag_ms: float = 0.0
    standings: Sequence[MinerStanding] = field(default=())


@dataclass(slots=True)
class _Tick:
    """What was asked at ``slot``, and what is to be noted of it once it is spooled."""

    slot: int
    outcome: SourceOutcome
    standings: Mapping[Key, RequestStanding]
    paused: Mapping[str, str]


class SourceCollection:
    """Ticks of the sources of one lane; ``slots`` says when. Make it with :func:`open_sources`.

    ``state`` is the folder in which standings and pauses of ``lane`` are kept.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        recorder: Recorder,
        state: Path,
        lane: str,
        *,
        last: int | None,
        host: str,
        run_id: str,
        budgets: Mapping[str, Budget] | None = None,
        paces: Paces | None = None,
        overrides: Callable[[float], Overrides] = lambda _: NOTHING_BY_HAND,
        patience_s: float = PATIENCE_S,
        random: Random | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.slots = Slots(GRID_S, last, usual_s=_usual_s(sources), wanted=self._wanted)
        self._sources = list(sources)
        self._recorder = recorder
        self._standings = Standings(StandingsFile(state, lane), random or Random(), clock)
        self._pauses = Pauses(state, lane, host)
        self._host = host
        self._run_id = run_id
        self._budgets = dict(budgets or {})
        self._paces = paces
        self._overrides = overrides
        self._patience_s = patience_s
        self._asking: dict[str, asyncio.Task[list[Asked]]] = {}
        self._ticked: int | None = None
        self._last: _Tick | None = None
        self._spooling = asyncio.Lock()

    async def tick(self, slot: Slot) -> TickReport:
        """Ask what is due at ``slot``, spool what came, report. Again for the same slot: spool what came then.

        Raises:
            NeedsHuman: the spool cannot take it.
        """
        self._ticked = slot.time
        if self._last is None or self._last.slot != slot.time:
            self._standings.follow_clock(slot.time)
            self._last = await self._ask_due(slot.time)
        tick = self._last
        async with self._spooling:
            report = await asyncio.to_thread(self._recorder.record, slot, tick.outcome)
        self._standings.take(tick.standings)  # only now: what is not spooled is asked again after a kill
        tick.standings = {}
        for source in self._sources:
            covered = self._standings.covered_anew(source)
            self._standings.take({(one.source, one.request): one for one in covered})
        await asyncio.to_thread(self._pauses.take, tick.paused)
        await asyncio.to_thread(self._standings.write, self._sources)
        return report

    async def push(self, frames: Sequence[Frame]) -> None:
        """Spool what a source sent on its own; durable when this returns.

        Raises:
            NeedsHuman: the spool cannot take it.
        """
        async with self._spooling:
            await asyncio.to_thread(self._recorder.push, frames)

    async def aclose(self) -> None:
        """Give up what is still asked, and close the sources."""
        for task in self._asking.values():
            task.cancel()
        await asyncio.gather(*self._asking.values(), return_exceptions=True)
        self._asking.clear()
        for source in self._sources:
            await source.aclose()

    async def _ask_due(self, slot: int) -> _Tick:
        began = time.monotonic()
        paused = self._paused(slot)
        for source in self._sources:
            due = [] if source.name in paused else self._standings.due(source, slot)
            if due and source.name not in self._asking:
                self._asking[source.name] = asyncio.create_task(self._ask(source, due, slot), name=f"ask {source.name}")
        if self._asking:
            await asyncio.wait(self._asking.values(), timeout=self._patience_s)
        asked: list[Asked] = []
        for name, task in list(self._asking.items()):
            if task.done():
                del self._asking[name]
                asked += task.result()
        failures = Counter(str(one.failure.kind) for one in asked if one.failure is not None)
        noted = self._standings.after(asked)
        together = self._paces.together if self._paces is not None else lambda _: None
        books = books_of(asked, host=self._host, run_id=self._run_id, together=together)
        outcome = SourceOutcome(
            frames=[*(frame for one in asked for frame in one.frames), *books, *self._pauses.frames(paused, slot)],
            polled=len(asked),
            failed=failures.total(),
            failed_by_reason=dict(failures),
            tick_s=time.monotonic() - began,
            next_slot=self._next_slot(slot, paused, noted),
        )
        return _Tick(slot, outcome, noted, paused)

    def _next_slot(self, slot: int, paused: Mapping[str, str], noted: Mapping[Key, RequestStanding]) -> int | None:
        """When the next tick will be, so that whoever looks can tell a pause from a standstill."""
        if self._asking:
            return slot + GRID_S
        asked = [source for source in self._sources if source.name not in paused]
        due = self._standings.next_due(asked, slot, GRID_S, noted)
        if not paused:
            return due
        usual = (slot // self.slots.usual_s + 1) * self.slots.usual_s
        return usual if due is None else min(due, usual)

    async def _ask(self, source: Source, due: Sequence[Request], slot: int) -> list[Asked]:
        """Ask one source for all that is due, most important first; after a failure of the source itself no more."""
        done: list[Asked] = []
        for request in sorted(due, key=lambda request: request.rank):
            one = await self._ask_once(source, request, slot)
            done.append(one)
            if one.failure is not None:
                _log.warning("%s: %s failed (%s): %s", source.name, request.name, one.failure.kind, one.failure)
                if one.failure.kind not in OF_A_REQUEST:
                    break
            for notice in one.gathered.notices if one.gathered is not None else ():
                _log.warning("%s: %s: %s", source.name, request.name, notice)
        return done

    async def _ask_once(self, source: Source, request: Request, slot: int) -> Asked:
        budget = self._budgets.get(source.name)
        began = time.monotonic()
        gathered: Gathered | None = None
        failure: SourceFailure | None = None
        try:
            if budget is not None:
                await asyncio.to_thread(budget.reserve, request)
            async with asyncio.timeout(LONGEST_ASK_S):
                gathered = await source.ask(request, slot)
        except SourceFailure as error:
            failure = error
        except TimeoutError:
            failure = SourceFailure(
                SourceFailureKind.TIMEOUT, f"{source.name}: {request.name} took longer than {LONGEST_ASK_S:g} s"
            )
        except Exception as error:  # noqa: BLE001 - logged whole; a fault of one source must not end the shift
            _log.exception("%s: %s could not be read", source.name, request.name)
            failure = SourceFailure(
                SourceFailureKind.UNEXPECTED, f"{source.name}: {request.name}: {type(error).__name__}"
            )
        latency_ms = (time.monotonic() - began) * 1e3
        left = None if budget is None else await self._credits_left(budget, source, request, gathered, failure)
        return Asked(source.name, request, slot, latency_ms, gathered, failure, left)

    async def _credits_left(
        self, budget: Budget, source: Source, request: Request, gathered: Gathered | None, failure: SourceFailure | None
    ) -> float | None:
        """Put right what was reserved, and say what is left; None where the file of credits cannot be written."""
        try:
            if gathered is not None:
                await asyncio.to_thread(budget.settle, request, gathered.credits)
            elif failure is not None and failure.kind in _TAKE_NO_CREDIT:
                await asyncio.to_thread(budget.settle, request, 0.0)
            return budget.account(source.requests).left
        except OSError as error:  # the answer is there; it counts for more than its price
            _log.error("%s: the credits of %s could not be noted: %s", source.name, request.name, error)
            return None

    def _paused(self, slot: int) -> dict[str, str]:
        return self._pauses.now(self._overrides(slot), [source.name for source in self._sources])

    def _wanted(self, slot: int) -> bool:
        """Whether there is anything to do. With a source paused by hand there is a tick at each usual interval all the
        same: that nothing is asked must not look like a standstill."""
        paused = self._paused(slot)
        if self._asking or self._pauses.are_news(paused):
            return True
        usual_s = self.slots.usual_s
        if paused and (self._ticked is None or slot // usual_s != self._ticked // usual_s):
            return True
        self._standings.follow_clock(slot)
        return any(
            self._standings.covered_anew(source) or (source.name not in paused and self._standings.due(source, slot))
            for source in self._sources
        )


def _usual_s(sources: Iterable[Source]) -> int:
    intervals = [request.every_s for source in sources for request in source.requests]
    return max(GRID_S, min(intervals, default=GRID_S))


@asynccontextmanager
async def open_sources(
    lane: str,
    sources: Sequence[Source],
    *,
    budgets: Mapping[str, Budget] | None = None,
    paces: Paces | None = None,
    storage: StorageSettings,
    host: str,
    sinks: Sequence[str],
    run_id: str,
    clock: Callable[[], float] = time.time,
) -> AsyncIterator[SourceCollection]:
    """Open ``lane`` (``pools`` or ``market``) for ``sources``; go on where its last run ended. ``clock`` says how long
    one that failed is left alone.

    Raises:
        LaneBusy: another process writes the lane.
        NeedsHuman: the disk is full.
    """
    journal = Journal(storage.state_directory, lane)
    newest = journal.newest()
    store = "embedded" if storage.influx is None else "influxdb"
    spool = await asyncio.to_thread(Lane.open, storage.spool_directory, lane, cap_bytes=storage.spool.cap_bytes)
    with spool:
        recorder = Recorder(
            spool, storage.spool_directory / lane, journal, host=host, store=store, sinks=sinks, run_id=run_id
        )
        collection = SourceCollection(
            sources,
            recorder,
            storage.state_directory,
            lane,
            last=newest.slot if newest else None,
            host=host,
            run_id=run_id,
            budgets=budgets,
            paces=paces,
            overrides=OverrideWatch(storage.state_directory).look,
            clock=clock,
        )
        _log.info("on shift: %s, run %s", ", ".join(source.name for source in sources) or "no source", run_id)
        try:
            yield collection
        finally:
            await collection.aclose()
