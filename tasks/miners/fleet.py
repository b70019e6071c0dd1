"""One tick over the whole fleet: every miner that is due is asked, in parallel, and none can delay another.

Miners that failed twice in a row are asked in a second lane with its own slots, so that a hall without power does not
make the tick of the others longer. Every miner has a time budget, with retries inside it. What a tick cannot start
within its own budget is *skipped*: counted, without a row, since nobody asked the miner and its state is not known.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Protocol, TypeVar

import httpx
import msgspec

from storage.errors import FrameError
from storage.frame import Frame
from storage.records.miner import (
    MinerConfiguration,
    MinerTelemetry,
    configuration_frames,
    telemetry_frames,
)
from tasks.miners.driver import MinerDriver, MinerSession, PollFailure, Target
from tasks.miners.drivers import DRIVERS
from tasks.miners.loop_lag import LoopLag
from tasks.miners.open_files import allow_open_files
from tasks.miners.report import MinerStanding
from tasks.miners.settings import FleetSettings, MinerSettings
from tasks.miners.transport import transport_for
from tasks.resilience.backoff import Backoff

_LOG = logging.getLogger(__name__)
_SECOND_LANE_FROM = 2
_CONFIGURATIONS_AT_LEAST = 64
_TICK_SHARE = 0.8
"""Share of the cadence that a tick may use to start polls; the rest is for spooling, and for the next tick."""

Reading = TypeVar("Reading")


class Opener(Protocol):
    """Makes the transport of one miner."""

    def __call__(self, base_url: httpx.URL, *, connect_timeout_s: float, deadline_s: float) -> httpx.AsyncBaseTransport:
        """The transport for ``base_url``; sends nothing yet."""
        ...


@dataclass(frozen=True, slots=True)
class TickOutcome:
    """What one tick did. ``polled`` miners were asked, ``failed`` of them gave no telemetry.

    ``failed_by_reason`` counts failure kinds, ``skipped`` too, which are not in ``polled``. ``standings`` are those of
    all miners, asked or not: hand them to the next Fleet.
    """

    slot: int
    frames: list[Frame]
    polled: int
    failed: int
    skipped: int
    failed_by_reason: dict[str, int]
    configurations: int
    configurations_failed: int
    standings: tuple[MinerStanding, ...]
    tick_s: float
    loop_lag_ms: float

    @property
    def points(self) -> int:
        """Rows over all frames."""
        return sum(len(frame) for frame in self.frames)


@dataclass(slots=True)
class _Member:
    """One miner of the fleet. ``polled`` and ``configured`` are the slots of the last tries."""

    settings: MinerSettings
    target: Target
    transport: httpx.AsyncBaseTransport
    session: MinerSession
    polled: int | None = None
    succeeded: int | None = None
    failures_in_a_row: int = 0
    failure: str | None = None
    configured: int | None = None

    def due(self, slot: int) -> bool:
        """Whether a new interval of this miner has begun since it was last polled."""
        every = self.settings.polling_interval_seconds
        return self.polled is None or slot // every != self.polled // every

    def configuration_due(self, slot: int) -> bool:
        return self.configured is None or not 0 <= slot - self.configured < self.settings.configuration_interval_seconds

    @property
    def standing(self) -> MinerStanding:
        return MinerStanding(
            miner_id=self.target.miner.miner_id,
            last_polled=self.polled or 0,
            last_success=self.succeeded,
            failures_in_a_row=self.failures_in_a_row,
            failure=self.failure,
            driver=self.settings.driver,
        )


@dataclass(slots=True)
class _Tick:
    """What is gathered while a tick runs."""

    slot: int
    ends: float
    wants_configuration: set[str]
    telemetry: list[MinerTelemetry] = field(default_factory=list)
    configurations: list[MinerConfiguration] = field(default_factory=list)
    configurations_failed: int = 0
    polled: int = 0
    failed: Counter[str] = field(default_factory=Counter)


class Fleet:
    """The miners of one lane, polled tick by tick. Use within one event loop; close it with :meth:`aclose`.

    Args:
        miners: whom to poll.
        settings: how hard.
        standings: where each miner stood, from the last TickOutcome or the tick report of an earlier run.
        tick_budget_s: no poll is started later than so long after the tick began; 0.8 of the cadence by default.

    Raises:
        NeedsHuman: the process may not open a file per miner.
    """

    def __init__(
        self,
        miners: Sequence[MinerSettings],
        settings: FleetSettings | None = None,
        *,
        standings: Sequence[MinerStanding] = (),
        tick_budget_s: float | None = None,
        drivers: Mapping[str, MinerDriver] = DRIVERS,
        open_transport: Opener = transport_for,
        clock: Callable[[], float] = time.monotonic,
        random: Random | None = None,
    ) -> None:
        allow_open_files(len(miners))
        self._settings = settings or FleetSettings()
        self._clock = clock
        self._random = random or Random()
        self._backoff = Backoff()
        self.cadence_s = min((miner.polling_interval_seconds for miner in miners), default=60)
        """Shortest polling interval: how often a tick is worth it."""
        self._budget_s = tick_budget_s if tick_budget_s is not None else _TICK_SHARE * self.cadence_s
        earlier = {standing.miner_id: standing for standing in standings}
        self._members = [self._member(miner, earlier.get(miner.id), drivers, open_transport) for miner in miners]

    def _member(
        self,
        miner: MinerSettings,
        earlier: MinerStanding | None,
        drivers: Mapping[str, MinerDriver],
        open_transport: Opener,
    ) -> _Member:
        target = miner.target()
        transport = open_transport(
            httpx.URL(target.base_url),
            connect_timeout_s=self._settings.connect_timeout_s,
            deadline_s=self._settings.request_deadline_s,
        )
        member = _Member(miner, target, transport, drivers[miner.driver].session(target, transport))
        if earlier is not None:
            member.polled = earlier.last_polled or None
            member.succeeded = earlier.last_success
            member.failures_in_a_row = earlier.failures_in_a_row
            member.failure = earlier.failure
        return member

    @property
    def standings(self) -> tuple[MinerStanding, ...]:
        """How every miner stands."""
        return tuple(member.standing for member in self._members)

    async def aclose(self) -> None:
        """Close all connections."""
        for member in self._members:
            await member.transport.aclose()

    async def tick(self, slot: int) -> TickOutcome:
        """Poll the miners that are due at ``slot`` (whole UTC seconds). Raises nothing on account of a miner."""
        began = self._clock()
        # Longest unasked first: what one tick had to skip is not skipped again by the next.
        due = sorted((m for m in self._members if m.due(slot)), key=lambda member: member.polled or 0)
        main = [member for member in due if member.failures_in_a_row < _SECOND_LANE_FROM]
        second = [member for member in due if member.failures_in_a_row >= _SECOND_LANE_FROM]
        tick = _Tick(slot, began + self._budget_s, self._whose_configuration(due, slot))
        async with LoopLag() as lag, asyncio.TaskGroup() as group:
            for lane, width, retries in (
                (main, self._settings.concurrency, self._settings.retries),
                (second, self._settings.second_lane, 0),
            ):
                waiting = iter(lane)
                for _ in range(min(width, len(lane))):
                    group.create_task(self._work(waiting, tick, retries))
        frames = [*self._telemetry_frames(tick), *configuration_frames(tick.configurations)]
        skipped = tick.failed["skipped"]
        return TickOutcome(
            slot=slot,
            frames=frames,
            polled=tick.polled,
            failed=tick.failed.total() - skipped,
            skipped=skipped,
            failed_by_reason=dict(tick.failed),
            configurations=len(tick.configurations),
            configurations_failed=tick.configurations_failed,
            standings=self.standings,
            tick_s=self._clock() - began,
            loop_lag_ms=lag.worst_ms,
        )

    def _whose_configuration(self, due: list[_Member], slot: int) -> set[str]:
        """The miners whose configuration is read too: those waiting longest, so many that the whole fleet has its turn
        within two thirds of the interval, and not more, since at the first tick all are waiting. Miners that do not
        answer would take the turns of others."""
        waiting = [m for m in due if m.configuration_due(slot) and not m.failures_in_a_row]
        waiting.sort(key=lambda member: member.configured or 0)
        every = min((member.settings.configuration_interval_seconds for member in waiting), default=1)
        fair = 1.5 * len(self._members) * self.cadence_s / every
        return {m.target.miner.miner_id for m in waiting[: max(_CONFIGURATIONS_AT_LEAST, round(fair))]}

    async def _work(self, waiting: Iterator[_Member], tick: _Tick, retries: int) -> None:
        for member in waiting:
            if self._clock() >= tick.ends:
                tick.failed["skipped"] += 1
                member.failure = "skipped"
                continue
            await self._poll(member, tick, retries)

    async def _poll(self, member: _Member, tick: _Tick, retries: int) -> None:
        tick.polled += 1
        member.polled = tick.slot
        began = self._clock()
        ends = began + self._settings.miner_deadline_s
        try:
            async with asyncio.timeout(self._settings.miner_deadline_s):
                record = await self._telemetry(member, tick.slot, retries, ends)
        except TimeoutError:
            self._failed(member, tick, PollFailure("deadline", "the miner's time is up"), began)
            return
        except PollFailure as failure:
            self._failed(member, tick, failure, began)
            return
        tick.telemetry.append(record)
        member.succeeded, member.failures_in_a_row, member.failure = tick.slot, 0, None
        if member.target.miner.miner_id in tick.wants_configuration:
            await self._configure(member, tick, ends)

    async def _telemetry(self, member: _Member, slot: int, retries: int, ends: float) -> MinerTelemetry:
        """One reading, with retries as long as another whole request fits into the miner's time."""
        failures = 0
        while True:
            began = self._clock()
            try:
                record = await _guarded(member.session.telemetry(slot), member)
            except PollFailure as failure:
                failures += 1
                wait_s = self._backoff.wait_s(failures, self._random)
                fits = self._clock() + wait_s + self._settings.request_deadline_s <= ends
                if failures > retries or not failure.worth_retrying or not fits:
                    raise
                _LOG.debug("miner %s: %s; again in %.2f s", member.target.miner.miner_id, failure, wait_s)
                await asyncio.sleep(wait_s)
            else:
                return msgspec.structs.replace(record, poll_ms=1000.0 * (self._clock() - began))

    async def _configure(self, member: _Member, tick: _Tick, ends: float) -> None:
        """Read the configuration in what is left of the miner's time. Its failure costs the configuration only."""
        member.configured = tick.slot
        try:
            async with asyncio.timeout(ends - self._clock()):
                tick.configurations.append(await _guarded(member.session.configuration(tick.slot), member))
        except (TimeoutError, PollFailure) as failure:
            tick.configurations_failed += 1
            _LOG.info("miner %s: configuration not read: %s", member.target.miner.miner_id, failure or "time is up")

    def _failed(self, member: _Member, tick: _Tick, failure: PollFailure, began: float) -> None:
        tick.failed[failure.kind] += 1
        tick.telemetry.append(_unreachable(member.target, tick.slot, failure, 1000.0 * (self._clock() - began)))
        changed = member.failure != failure.kind
        member.failures_in_a_row += 1
        member.failure = failure.kind
        level = logging.WARNING if changed else logging.DEBUG  # once per cause, not once per tick
        _LOG.log(level, "miner %s at %s: %s", member.target.miner.miner_id, member.target.address, failure)

    def _telemetry_frames(self, tick: _Tick) -> list[Frame]:
        """Frames of all records; a record that does not fit the declaration becomes a failure of its miner alone."""
        try:
            return telemetry_frames(tick.telemetry)
        except FrameError:
            members = {member.target.miner.miner_id: member for member in self._members}
        kept = []
        for record in tick.telemetry:
            try:
                telemetry_frames([record])
                kept.append(record)
            except FrameError as error:
                member = members[record.miner.miner_id]
                failure = PollFailure("schema", f"the driver made a record that cannot be stored: {error}")
                _LOG.error("miner %s: %s", record.miner.miner_id, failure)
                tick.failed[failure.kind] += 1
                member.failures_in_a_row, member.failure = member.failures_in_a_row + 1, failure.kind
                kept.append(_unreachable(member.target, tick.slot, failure, record.poll_ms))
        return telemetry_frames(kept)


async def _guarded(reading: Awaitable[Reading], member: _Member) -> Reading:
    """``reading``; an error that a driver should not let out costs its miner a poll, not the tick, and is logged."""
    try:
        return await reading
    except PollFailure:
        raise
    except Exception as error:
        _LOG.exception("driver %s failed at miner %s", member.settings.driver, member.target.miner.miner_id)
        raise PollFailure("schema", f"error in driver {member.settings.driver}: {type(error).__name__}") from error


def _unreachable(target: Target, slot: int, failure: PollFailure, poll_ms: float | None) -> MinerTelemetry:
    """The row of a miner that gave no reading: nulls and the reason, never zeros and never the last value."""
    return MinerTelemetry(
        time=slot, miner=target.miner, reachable=False, state="unreachable", failure=failure.kind, poll_ms=poll_ms
    )
