"""One miner of the fleet: how it is reached, what is known of it, and one reading of it with its retries."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from random import Random
from typing import TypeVar

import httpx
import msgspec

from storage.records.events import MinerEvent
from storage.records.miner import MinerConfiguration, MinerTelemetry
from tasks.miners import breaker, cadence
from tasks.miners.breaker import CLOSED, BreakerLimits, BreakerState
from tasks.miners.driver import DetectingSession, MinerSession, PollFailure, Target
from tasks.miners.events import Glimpse, events_between
from tasks.miners.memory import Happened, MinerMemory
from tasks.miners.payloads import PolledPayloads, Recording
from tasks.miners.settings import FleetSettings, MinerSettings
from tasks.normalize.judging import judge
from tasks.resilience.backoff import Backoff

_LOG = logging.getLogger(__name__)
_BACKOFF = Backoff()
FRESH_S = 900
"""A miner that started so many seconds ago is watched: it tunes, and what made it start may come again."""
_EVENTS_KEPT = 5
_CHANGES = frozenset({"firmware_changed", "configuration_changed", "identity_changed"})
_ANOTHER_DIALECT = frozenset({"firmware_changed", "identity_changed"})
_ANOMALY = "an anomaly lasts"
_RESTLESS_STATES = frozenset({"degraded", "failed", "starting", "tuning"})

Reading = TypeVar("Reading")


class Member:
    """One miner. ``memory`` is all that changes; it is replaced, never changed in place, so it may be kept and written.

    Args:
        transport: what ``session`` speaks through; closed by :meth:`aclose`.
        memory: what is known of it from earlier.
        limits: how hard it is polled.
    """

    def __init__(
        self,
        settings: MinerSettings,
        transport: httpx.AsyncBaseTransport,
        session: MinerSession,
        memory: MinerMemory,
        *,
        limits: FleetSettings,
        clock: Callable[[], float],
        random: Random,
    ) -> None:
        self.target = settings.target()
        self.telemetry_bounds = settings.telemetry_bounds()
        self.configuration_bounds = settings.configuration_bounds()
        self.memory = msgspec.structs.replace(
            memory,
            telemetry=cadence.recalled(memory.telemetry, self.telemetry_bounds),
            configuration=cadence.recalled(memory.configuration, self.configuration_bounds),
        )
        self._driver = settings.driver
        self._limits = limits
        usual_s = self.telemetry_bounds.usual_s
        self._breaker = BreakerLimits(
            limits.breaker_failures, 2.0 * usual_s, float(max(2 * usual_s, limits.breaker_longest_seconds))
        )
        self._transport = transport
        self._session = session
        self._detecting = session if isinstance(session, DetectingSession) else None
        if self._detecting is not None:
            self._detecting.detected = memory.detected
        self._clock = clock
        self._random = random

    @property
    def miner_id(self) -> str:
        """Its identity."""
        return self.target.miner.miner_id

    def due(self, slot: int) -> bool:
        """Whether it is to be polled at ``slot``."""
        match self.memory.breaker.state(slot):
            case BreakerState.OPEN:
                return False
            case BreakerState.HALF_OPEN:
                return slot != self.memory.polled
            case BreakerState.CLOSED:
                return self.memory.telemetry.due(slot, self.memory.polled)

    def left_alone(self, slot: int) -> bool:
        """Whether its breaker keeps it from being polled at ``slot``."""
        return self.memory.breaker.state(slot) is BreakerState.OPEN

    def configuration_due(self, slot: int) -> bool:
        """Whether its configuration is to be read with its telemetry at ``slot``."""
        configured = self.memory.configured
        return configured is None or not 0 <= slot - configured < self.memory.configuration.interval_s

    async def aclose(self) -> None:
        """Close its connection."""
        await self._transport.aclose()

    async def telemetry(self, slot: int, retries: int, ends: float) -> MinerTelemetry:
        """One reading, with retries as long as another whole request fits into the miner's time, until ``ends``.

        Raises:
            PollFailure: there is none.
        """
        failures = 0
        while True:
            began = self._clock()
            try:
                record = await self._guarded(self._session.telemetry(slot))
            except PollFailure as failure:
                failures += 1
                wait_s = _BACKOFF.wait_s(failures, self._random)
                fits = self._clock() + wait_s + self._limits.request_deadline_s <= ends
                if failures > retries or not failure.worth_retrying or not fits:
                    raise
                _LOG.debug("miner %s: %s; again in %.2f s", self.miner_id, failure, wait_s)
                await asyncio.sleep(wait_s)
            else:
                return msgspec.structs.replace(record, poll_ms=1000.0 * (self._clock() - began))

    async def configuration(self, slot: int) -> MinerConfiguration:
        """What it is set to. Raises PollFailure as above."""
        return await self._guarded(self._session.configuration(slot))

    async def _guarded(self, reading: Awaitable[Reading]) -> Reading:
        """``reading``; an error that a driver should not let out costs its miner a poll, not the tick; logged."""
        try:
            return await reading
        except PollFailure:
            raise
        except Exception as error:
            _LOG.exception("driver %s failed at miner %s", self._driver, self.miner_id)
            raise PollFailure("schema", f"error in driver {self._driver}: {type(error).__name__}") from error

    def judged(self, record: MinerTelemetry) -> tuple[MinerTelemetry, tuple[str, ...]]:
        """``record`` as it may be stored, and what an operator should know of its model."""
        try:
            found = judge(record, self.memory.history)
        except Exception:  # noqa: BLE001 - logged; a reading is worth more than its verdict
            _LOG.exception("miner %s: its reading could not be judged and is stored as it was read", self.miner_id)
            return record, ()
        self.remember(history=found.history)
        return found.record, found.notices

    def witness(
        self, record: MinerTelemetry, configuration: MinerConfiguration | None = None
    ) -> tuple[tuple[MinerEvent, ...], Glimpse | None]:
        """What the reading shows to have happened; :meth:`happened` takes it into account."""
        try:
            return events_between(self.memory.glimpse, record, configuration)
        except Exception:  # noqa: BLE001 - logged; a reading is worth more than its story
            _LOG.exception("miner %s: what happened to it could not be told", self.miner_id)
            return (), self.memory.glimpse

    def happened(self, events: tuple[MinerEvent, ...], glimpse: Glimpse | None) -> None:
        """Take what :meth:`witness` gave into account."""
        newest = tuple(Happened(event.time, event.message) for event in events)
        self.remember(glimpse=glimpse, events=(*self.memory.events, *newest)[-_EVENTS_KEPT:])
        if self._detecting is not None:
            if any(event.kind in _ANOTHER_DIALECT for event in events):
                self._detecting.detected = None
            self.remember(detected=self._detecting.detected)

    def set_by_hand(self, override: str | None, slot: int) -> list[MinerEvent]:
        """Take into account what is set by hand of it now (None: nothing); the event where that is news."""
        before = self.memory.by_hand
        if override == before:
            return []
        event = MinerEvent(
            time=slot,
            miner=self.target.miner,
            kind="override_ended" if override is None else "override_began",
            subject="miner",
            severity="info",
            message=f"over: {before}" if override is None else override,
            old=before,
            new=override,
        )
        self.remember(by_hand=override, events=(*self.memory.events, Happened(slot, event.message))[-_EVENTS_KEPT:])
        return [event]

    def redetect(self) -> None:
        """Let its driver be found out anew at the next poll."""
        if self._detecting is None:
            _LOG.warning(
                "miner %s: its driver %s is configured, there is nothing to detect", self.miner_id, self._driver
            )
            return
        self._detecting.detected = None
        self.remember(detected=None)

    def payloads(self) -> list[PolledPayloads]:
        """What it answered since the last call, where that is kept."""
        taken = self._transport.taken() if isinstance(self._transport, Recording) else []
        driver = (self._detecting.detected if self._detecting else None) or self._driver
        return [PolledPayloads(self.target.miner, self.target.address, driver, taken)] if taken else []

    def remember(self, **changed: object) -> None:
        """Replace fields of the memory."""
        self.memory = msgspec.structs.replace(self.memory, **changed)

    def answered(self, record: MinerTelemetry, events: tuple[MinerEvent, ...]) -> None:
        """Take a reading, and what it shows to have happened, into account."""
        known = self.memory
        why = unrest(known, record, events)
        pace, seldom = known.telemetry, known.configuration
        if why is None:
            pace = cadence.after_calm(pace, self.telemetry_bounds)
        else:
            if pace.calm:  # something has begun: it may come from what the miner is set to, or change it
                seldom = cadence.after_unrest(seldom, self.configuration_bounds, why)
            pace = cadence.after_unrest(pace, self.telemetry_bounds, why)
        self.remember(
            telemetry=pace,
            configuration=seldom,
            breaker=CLOSED,
            succeeded=record.time,
            failures_in_a_row=0,
            failure=None,
            detail=None,
            state=record.state,
            uptime_s=record.uptime_s,
            quality_flags=record.quality_flags,
        )

    def suspected(self, anomaly: str | None, told: MinerEvent) -> None:
        """Take into account that an anomaly began (what is odd) or ended (None), as ``told``."""
        known = self.memory
        newest = Happened(told.time, told.message)
        self.remember(anomaly=anomaly, events=(*known.events, newest)[-_EVENTS_KEPT:])
        if anomaly is None:
            return
        if known.telemetry.calm:  # as when a reading by itself shows that something has begun
            seldom = cadence.after_unrest(known.configuration, self.configuration_bounds, _ANOMALY)
            self.remember(configuration=seldom)
        self.remember(telemetry=cadence.after_unrest(known.telemetry, self.telemetry_bounds, _ANOMALY))

    def failed(self, slot: int, failure: PollFailure, *, outage: bool) -> None:
        """Take a failed poll into account. In an ``outage`` of all miners the pace is the usual one and the breaker
        counts nothing: the cause is not this miner, and the end of the outage is to be seen at once."""
        known = self.memory
        failures = known.failures_in_a_row + 1
        pace = cadence.after_failure(
            self.telemetry_bounds,
            1 if outage else failures,
            failure.kind,
            self._random,
            asked_for_less=failure.asked_for_less,
        )
        self.remember(
            telemetry=pace,
            breaker=known.breaker
            if outage
            else breaker.after_failure(known.breaker, slot, self._breaker, self._random),
            failures_in_a_row=failures,
            failure=failure.kind,
            detail=failure.detail,
            state="unreachable",
        )

    def configured(self, slot: int, events: tuple[MinerEvent, ...]) -> None:
        """Take a reading of the configuration into account; ``events`` are those of its poll."""
        pace, bounds = self.memory.configuration, self.configuration_bounds
        changed = next((event.kind for event in events if event.kind in _CHANGES), None)
        self.remember(
            configuration=cadence.after_unrest(pace, bounds, changed) if changed else cadence.after_calm(pace, bounds),
            configured=slot,
            configuration_failures=0,
        )

    def configuration_failed(self, slot: int, failure: PollFailure) -> None:
        """Take a configuration that could not be read into account."""
        failures = self.memory.configuration_failures + 1
        pace = cadence.after_failure(
            self.configuration_bounds,
            failures,
            failure.kind,
            self._random,
            asked_for_less=failure.asked_for_less,
        )
        self.remember(configuration=pace, configured=slot, configuration_failures=failures)


def unrest(known: MinerMemory, record: MinerTelemetry, events: Iterable[MinerEvent]) -> str | None:
    """Why this reading is worth a faster pace; None when it is not."""
    told = next((event.kind for event in events if event.severity != "info"), None)
    if told is not None:
        return f"it told of {told}"
    if known.state is not None and known.state != record.state:
        return f"state changed from {known.state} to {record.state}"
    if record.state in _RESTLESS_STATES:
        return f"it is {record.state}"
    if record.uptime_s is not None and record.uptime_s < FRESH_S:
        return f"it started less than {FRESH_S // 60} minutes ago"
    if record.quality_flags:
        return f"its readings are flagged: {record.quality_flags}"
    if known.anomaly is not None:
        return _ANOMALY
    return None


def unreachable(target: Target, slot: int, failure: PollFailure, poll_ms: float | None) -> MinerTelemetry:
    """The row of a miner that gave no reading: nulls and the reason, never zeros and never the last value."""
    return MinerTelemetry(
        time=slot, miner=target.miner, reachable=False, state="unreachable", failure=failure.kind, poll_ms=poll_ms
    )
