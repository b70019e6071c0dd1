"""The sources of a host as a shift asks them: what is due goes out, what came in is spooled, each source for itself."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from random import Random

import msgspec

from storage.frame import Frame, Value, build_frame
from storage.settings import StorageSettings
from storage.spool.lane import Lane
from tasks.miners.report import MinerStanding, TickReport
from tasks.overrides.file import OverrideWatch
from tasks.overrides.override import NOTHING_BY_HAND, Overrides
from tasks.shift.journal import Journal
from tasks.shift.recorder import Recorder
from tasks.shift.slots import Slot, Slots
from tasks.sources.budget import Budget
from tasks.sources.failure import SourceFailure, SourceFailureKind
from tasks.sources.paces import Paces
from tasks.sources.pacing import is_due, next_due, wait_after
from tasks.sources.source import Answer, Gathered, Request, Source
from tasks.sources.standing import RequestStanding, RequestTally, StandingsFile

GRID_S = 15
"""Slots of pools and markets; the shortest interval that anything is asked at."""

PATIENCE_S = 10.0
"""What a tick waits for answers. One that comes later is spooled with the next tick, under the slot it was asked at."""

LONGEST_ASK_S = 120.0
"""Pages, retries and their pauses together. A source that takes longer is given up for this time."""

_Standings = dict[tuple[str, str], RequestStanding]
"""By source and request."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Asked:
    """One request that was asked, and what came of it: ``gathered`` or ``failure``."""

    source: str
    request: Request
    slot: int
    latency_ms: float
    gathered: Gathered | None
    failure: SourceFailure | None
    credits_left: float | None


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


class SourceCollection:
    """Ticks of the sources of one lane; ``slots`` says when. Make it with :func:`open_sources`."""

    def __init__(
        self,
        sources: Sequence[Source],
        recorder: Recorder,
        standings: StandingsFile,
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
        self._file = standings
        self._host = host
        self._run_id = run_id
        self._budgets = dict(budgets or {})
        self._paces = paces
        self._overrides = overrides
        self._ticked: int | None = None
        self._patience_s = patience_s
        self._random = random or Random()
        self._clock = clock
        self._standings = {(one.source, one.request): one for one in standings.read()}
        self._asking: dict[str, asyncio.Task[list[Asked]]] = {}
        self._last: tuple[int, SourceOutcome, _Standings] | None = None
        self._spooling = asyncio.Lock()

    async def tick(self, slot: Slot) -> TickReport:
        """Ask what is due at ``slot``, spool what came, report. Again for the same slot: spool what came then.

        Raises:
            NeedsHuman: the spool cannot take it.
        """
        self._ticked = slot.time
        if self._last is None or self._last[0] != slot.time:
            self._last = await self._ask_due(slot.time)
        _, outcome, noted = self._last
        async with self._spooling:
            report = await asyncio.to_thread(self._recorder.record, slot, outcome)
        self._standings.update(noted)  # only now: what is not spooled is asked again after a kill
        for source in self._sources:
            for standing in self._covered(source):
                self._standings[source.name, standing.request] = standing
        self._last = (slot.time, outcome, {})
        await asyncio.to_thread(self._file.write, self._current())
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

    async def _ask_due(self, slot: int) -> tuple[int, SourceOutcome, _Standings]:
        began = time.monotonic()
        for source in self._sources:
            due = self._due(source, slot)
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
        noted = {(one.source, one.request.name): self._noted(one) for one in asked}
        outcome = SourceOutcome(
            frames=[*(frame for one in asked for frame in _frames(one)), *self._books(asked)],
            polled=len(asked),
            failed=failures.total(),
            failed_by_reason=dict(failures),
            tick_s=time.monotonic() - began,
            next_slot=self._next_slot(slot, {**self._standings, **noted}),
        )
        return slot, outcome, noted

    def _next_slot(self, slot: int, standings: _Standings) -> int | None:
        """When the next tick will be, so that whoever looks can tell a pause from a standstill."""
        if self._asking:
            return slot + GRID_S
        paused = self._overrides(slot).sources_by_hand()
        due: list[int | None] = [
            next_due(
                source.name, request, standings.get((source.name, request.name)), slot, grid_s=GRID_S,
                held_until=_held_until(source.name, standings),
            )
            for source in self._sources
            if source.name not in paused
            for request in source.requests
        ]  # fmt: skip
        if any(source.name in paused for source in self._sources):
            due.append((slot // self.slots.usual_s + 1) * self.slots.usual_s)
        return min((one for one in due if one is not None), default=None)

    async def _ask(self, source: Source, due: Sequence[Request], slot: int) -> list[Asked]:
        """Ask one source for all that is due, most important first; after a failure of the source itself no more."""
        done: list[Asked] = []
        for request in sorted(due, key=lambda request: request.rank):
            one = await self._ask_once(source, request, slot)
            done.append(one)
            if one.failure is not None:
                _log.warning("%s: %s failed (%s): %s", source.name, request.name, one.failure.kind, one.failure)
                if one.failure.kind not in _OF_A_REQUEST:
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
        left: float | None = None
        if budget is not None:
            if gathered is not None:
                await asyncio.to_thread(budget.settle, request, gathered.credits)
            elif failure is not None and failure.kind in _TAKE_NO_CREDIT:
                await asyncio.to_thread(budget.settle, request, 0.0)
            left = budget.account(source.requests).left
        return Asked(source.name, request, slot, (time.monotonic() - began) * 1e3, gathered, failure, left)

    def _books(self, asked: Sequence[Asked]) -> list[Frame]:
        """Rows of ``source_request`` and ``source_payload``."""
        if not asked:
            return []
        columns: dict[str, list[Value]] = {
            "host": [self._host] * len(asked),
            "source": [one.source for one in asked],
            "request": [one.request.name for one in asked],
            "ok": [one.failure is None for one in asked],
            "failure": [None if one.failure is None else str(one.failure.kind) for one in asked],
            "latency_ms": [one.latency_ms for one in asked],
            "rows": [None if one.gathered is None else _rows(one.gathered) for one in asked],
            "tries": [None if one.gathered is None else one.gathered.tries for one in asked],
            "credits": [None if one.gathered is None else one.gathered.credits for one in asked],
            "credits_left": [one.credits_left for one in asked],
            "retry_after_s": [None if one.failure is None else one.failure.retry_after_s for one in asked],
            "from_cache": [None if one.gathered is None else _from_cache(one.gathered) for one in asked],
            "age_s": [None if one.gathered is None else _age_s(one.gathered) for one in asked],
            "rate_shared": [None if self._paces is None else self._paces.together(one.source) for one in asked],
            "run_id": [self._run_id] * len(asked),
        }
        return [build_frame("source_request", [one.slot for one in asked], columns), *_payload_frames(asked)]

    def _noted(self, one: Asked) -> RequestStanding:
        """The standing of a request after it was asked."""
        before = self._standings.get((one.source, one.request.name))
        tally = (before.tally if before else RequestTally()).plus(
            one.latency_ms / 1e3, None if one.failure is None else str(one.failure.kind)
        )
        if one.failure is None:
            return RequestStanding(
                source=one.source,
                request=one.request.name,
                every_s=one.request.every_s,
                cost=one.request.cost,
                asked_slot=one.slot,
                success_slot=one.slot,
                rows=_rows(one.gathered) if one.gathered is not None else 0,
                latency_ms=one.latency_ms,
                credits_left=one.credits_left,
                tally=tally,
            )
        failures = (before.failures_in_a_row if before else 0) + 1
        wait = wait_after(one.failure, failures, one.request.every_s, self._random)
        return msgspec.structs.replace(
            before or RequestStanding(source=one.source, request=one.request.name, every_s=one.request.every_s),
            every_s=one.request.every_s,
            cost=one.request.cost,
            asked_slot=one.slot,
            failures_in_a_row=failures,
            failure=str(one.failure.kind),
            message=str(one.failure),
            covered_by=None,
            not_before=self._clock() + wait,
            credits_left=one.credits_left,
            tally=tally,
        )

    def _covered(self, source: Source) -> list[RequestStanding]:
        """Standings of requests that are covered since just now."""
        found = []
        for request in source.requests:
            before = self._standings.get((source.name, request.name))
            if request.covered_by is not None and (before is None or before.covered_by != request.covered_by):
                fresh = RequestStanding(source=source.name, request=request.name, every_s=request.every_s)
                success, tally = (before.success_slot, before.tally) if before is not None else (None, RequestTally())
                covered = request.covered_by
                found.append(msgspec.structs.replace(fresh, success_slot=success, covered_by=covered, tally=tally))
        return found

    def _due(self, source: Source, slot: int) -> list[Request]:
        if slot < _held_until(source.name, self._standings) or self._overrides(slot).paused_source(source.name):
            return []
        return [
            request
            for request in source.requests
            if is_due(source.name, request, self._standings.get((source.name, request.name)), slot)
        ]

    def _wanted(self, slot: int) -> bool:
        """Whether there is anything to do. With a source paused by hand there is a tick at each usual interval all the
        same: that nothing is asked must not look like a standstill."""
        usual_s = self.slots.usual_s
        anew = self._ticked is None or slot // usual_s != self._ticked // usual_s
        if anew and any(self._overrides(slot).paused_source(source.name) for source in self._sources):
            return True
        return bool(self._asking) or any(self._due(source, slot) or self._covered(source) for source in self._sources)

    def _current(self) -> list[RequestStanding]:
        """Standings of requests that are still configured."""
        known = {(source.name, request.name) for source in self._sources for request in source.requests}
        return [standing for key, standing in self._standings.items() if key in known]


_OF_A_REQUEST = frozenset({SourceFailureKind.UNEXPECTED, SourceFailureKind.NOT_JSON, SourceFailureKind.BUDGET})
"""Failures that say nothing of the other requests of the same source."""

_TAKE_NO_CREDIT = frozenset({SourceFailureKind.UNREACHABLE, SourceFailureKind.RATE_LIMITED, SourceFailureKind.REFUSED})
"""Failures after which what was reserved is given back. After others, a time-out above all, the service may count."""


def _usual_s(sources: Iterable[Source]) -> int:
    intervals = [request.every_s for source in sources for request in source.requests]
    return max(GRID_S, min(intervals, default=GRID_S))


def _held_until(source: str, standings: _Standings) -> float:
    """Where the source failed, and not just the one request, its others wait as long."""
    return max(
        (
            standing.not_before
            for standing in standings.values()
            if standing.source == source and standing.failure is not None and standing.failure not in _OF_A_REQUEST
        ),
        default=0.0,
    )


def _frames(one: Asked) -> Sequence[Frame]:
    if one.gathered is not None:
        return one.gathered.frames
    return one.failure.frames if one.failure is not None else ()


def _rows(gathered: Gathered) -> int:
    return sum(len(frame) for frame in gathered.frames)


def _from_cache(gathered: Gathered) -> bool | None:
    return any(answer.from_cache for answer in gathered.answers) if gathered.answers else None


def _age_s(gathered: Gathered) -> float | None:
    return max((answer.age_s for answer in gathered.answers), default=None)


def _payload_frames(asked: Sequence[Asked]) -> list[Frame]:
    rows: list[tuple[Asked, Answer | None]] = []
    for one in asked:
        if one.gathered is not None:
            rows += [(one, answer) for answer in one.gathered.answers if not answer.from_cache]
        elif one.failure is not None and one.failure.kind is not SourceFailureKind.BUDGET:
            rows.append((one, None))
    if not rows:
        return []
    columns: dict[str, list[Value]] = {
        "source": [one.source for one, _ in rows],
        "request": [one.request.name for one, _ in rows],
        "page": [str(answer.page if answer else 1) for _, answer in rows],
        "status": [answer.status if answer else None for _, answer in rows],
        "failure": [str(one.failure.kind) if one.failure else None for one, _ in rows],
        "body": [answer.body if answer else None for _, answer in rows],
        "sha256": [hashlib.sha256(answer.body.encode()).hexdigest() if answer else None for _, answer in rows],
        "size": [answer.size if answer else None for _, answer in rows],
        "address": [answer.address if answer else None for _, answer in rows],
        "version": [version("lodeline")] * len(rows),
        "received_ms": [answer.received_ms if answer else None for _, answer in rows],
    }
    return [build_frame("source_payload", [one.slot for one, _ in rows], columns)]


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
            StandingsFile(storage.state_directory, lane),
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
