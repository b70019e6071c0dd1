"""Asking the miners of a tick: two lanes with slots of their own, and for each miner a time of its own.

Miners that failed twice in a row are in the second lane, so that a hall without power does not make the tick of the
others longer. What a tick cannot start within its budget is *skipped*: counted, without a row, since nobody asked the
miner and its state is not known. A host that is short of time gives up raw payloads, and configurations, before
telemetry, but never all configurations.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence

from storage.records.miner import MinerConfiguration, MinerTelemetry
from tasks.miners.driver import PollFailure
from tasks.miners.events import wants_configuration
from tasks.miners.member import Member, unreachable
from tasks.miners.settings import FleetSettings
from tasks.miners.tick import Tick

_LOG = logging.getLogger(__name__)
_CONFIGURATION_SHARE = 0.5
"""Share of the tick's budget after which telemetry that still waits goes before configurations."""


class Polling:
    """Asks miners; ``settings`` say how hard."""

    def __init__(self, settings: FleetSettings, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._clock = clock
        self._notices: set[str] = set()

    async def ask(self, tick: Tick, first: Sequence[Member], second: Sequence[Member]) -> None:
        """Ask the miners of both lanes, those of the second without retries. Raises nothing on account of a miner."""
        async with asyncio.TaskGroup() as group:
            for lane, width in ((first, self._settings.concurrency), (second, self._settings.second_lane)):
                waiting = iter(lane)
                for _ in range(min(width, len(lane))):
                    group.create_task(self._work(waiting, tick, is_first=lane is first))

    async def _work(self, waiting: Iterator[Member], tick: Tick, *, is_first: bool) -> None:
        for member in waiting:
            if self._clock() >= tick.ends:
                tick.skipped += 1
                member.remember(failure="skipped", detail="the tick had no time left")
                continue
            if is_first:
                tick.waiting -= 1
            await self._poll(member, tick, self._settings.retries if is_first else 0)
            taken = member.payloads()
            if taken and self._overloaded(tick):
                tick.payloads_dropped += 1
            else:
                tick.payloads += taken

    async def _poll(self, member: Member, tick: Tick, retries: int) -> None:
        tick.polled += 1
        member.remember(polled=tick.slot)
        began = self._clock()
        ends = began + self._settings.miner_deadline_s
        try:
            async with asyncio.timeout(self._settings.miner_deadline_s):
                record = await member.telemetry(tick.slot, retries, ends)
        except TimeoutError:
            self._failed(member, tick, PollFailure("deadline", "the miner's time is up"), began)
            return
        except PollFailure as failure:
            self._failed(member, tick, failure, began)
            return
        record = self._noted(member, record, tick)
        events, glimpse = member.witness(record)
        member.answered(record, events)
        if member.miner_id in tick.wants_configuration or wants_configuration(events):
            configuration = await self._configure(member, tick, ends)
            if configuration is not None:
                events, glimpse = member.witness(record, configuration)
                member.configured(tick.slot, events)
        member.happened(events, glimpse)
        tick.events += events

    async def _configure(self, member: Member, tick: Tick, ends: float) -> MinerConfiguration | None:
        """Read the configuration in what is left of the miner's time. Its failure costs the configuration only."""
        if self._overloaded(tick) and member.miner_id not in tick.at_any_rate:
            tick.configurations_dropped += 1  # it stays due
            return None
        try:
            async with asyncio.timeout(ends - self._clock()):
                configuration = await member.configuration(tick.slot)
        except (TimeoutError, PollFailure) as error:
            failure = error if isinstance(error, PollFailure) else PollFailure("deadline", "the miner's time is up")
            tick.configurations_failed += 1
            member.configuration_failed(tick.slot, failure)
            _LOG.info("miner %s: configuration not read: %s", member.miner_id, failure)
            return None
        tick.configurations.append(configuration)
        return configuration

    def _overloaded(self, tick: Tick) -> bool:
        """Whether telemetry needs all the time there is: of this host's processor, or of the tick; or it is said so."""
        if tick.sheds or tick.lag.newest_ms >= self._settings.overload_lag_ms:
            return True
        return tick.waiting > 0 and self._clock() - tick.began >= _CONFIGURATION_SHARE * (tick.ends - tick.began)

    def _failed(self, member: Member, tick: Tick, failure: PollFailure, began: float) -> None:
        tick.failures.append((member, failure))
        record = unreachable(member.target, tick.slot, failure, 1000.0 * (self._clock() - began))
        events, glimpse = member.witness(self._noted(member, record, tick))
        member.happened(events, glimpse)
        tick.events += events
        changed = member.memory.failure != failure.kind
        level = logging.WARNING if changed else logging.DEBUG  # once per cause, not once per tick
        _LOG.log(level, "miner %s at %s: %s", member.miner_id, member.target.address, failure)

    def _noted(self, member: Member, record: MinerTelemetry, tick: Tick) -> MinerTelemetry:
        """Add the record to the tick, cleaned."""
        record, notices = member.judged(record)
        tick.telemetry.append(record)
        for notice in notices:
            if notice not in self._notices:  # once per model, not once per miner
                self._notices.add(notice)
                _LOG.warning("%s", notice)
        return record
