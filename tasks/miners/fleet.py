"""The miners of one lane, polled tick by tick: who is due is asked, in parallel, and none can delay another.

When a miner is due is said by its pace (tasks/miners/cadence.py) and its breaker (tasks/miners/breaker.py); one that is
paused by hand is not asked. tasks/miners/polling.py does the asking, tasks/miners/tick.py has what comes of it.
"""

from __future__ import annotations

import logging
import math
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any, Protocol

import httpx
import msgspec

from storage.frame import Frame
from storage.records.events import event_frames
from storage.records.miner import MinerConfiguration, MinerTelemetry, configuration_frames, telemetry_frames
from tasks.derive.anomaly.stream import Watch
from tasks.miners import cadence
from tasks.miners.driver import MinerDriver, PollFailure
from tasks.miners.drivers import DRIVERS
from tasks.miners.loop_lag import LoopLag
from tasks.miners.member import Member, unreachable
from tasks.miners.memory import MinerMemory, recalled
from tasks.miners.open_files import allow_open_files
from tasks.miners.payloads import Keep, Recording, payload_frames
from tasks.miners.polling import Polling
from tasks.miners.settings import FleetSettings, MinerSettings
from tasks.miners.tick import Tick, TickOutcome, storable
from tasks.miners.transport import transport_for
from tasks.overrides.override import NOTHING_BY_HAND, Overrides

_LOG = logging.getLogger(__name__)
_SECOND_LANE_FROM = 2
_CONFIGURATIONS_AT_LEAST = 64
_TICK_SHARE = 0.8
"""Share of the usual interval that a tick may use to start polls; the rest is for spooling, and for the next tick."""
_ALWAYS_ONE_OF = 10
"""One of so many configurations is read however short of time the host is: else a host that is always so would never
see a changed setting."""


class Opener(Protocol):
    """Makes the transport of one miner."""

    def __call__(self, base_url: httpx.URL, *, connect_timeout_s: float, deadline_s: float) -> httpx.AsyncBaseTransport:
        """The transport for ``base_url``; sends nothing yet."""
        ...


class Fleet:
    """The miners of one lane, polled tick by tick. Use within one event loop; close it with :meth:`aclose`.

    Args:
        miners: whom to poll.
        settings: how hard.
        remembered: what is known of each miner by id, see tasks.miners.memory.MemoryFile.
        payloads: which of the miners' answers are kept as they came.
        watch: looks for anomalies in the readings of each tick; its state is the caller's to keep.
        overrides: what is set by hand at an instant, in Unix seconds; asked once a tick.
        host: name of this host, as overrides call it.
        tick_budget_s: no poll is started later than so long after the tick began; 0.8 of the usual interval by default.

    Raises:
        NeedsHuman: the process may not open a file per miner.
    """

    def __init__(
        self,
        miners: Sequence[MinerSettings],
        settings: FleetSettings | None = None,
        *,
        remembered: Mapping[str, Mapping[str, Any]] | None = None,
        payloads: Keep = "off",
        watch: Watch | None = None,
        overrides: Callable[[float], Overrides] = lambda _: NOTHING_BY_HAND,
        host: str = "",
        tick_budget_s: float | None = None,
        drivers: Mapping[str, MinerDriver] = DRIVERS,
        open_transport: Opener = transport_for,
        clock: Callable[[], float] = time.monotonic,
        random: Random | None = None,
    ) -> None:
        allow_open_files(len(miners))
        self._settings = settings or FleetSettings()
        self._keep: Keep = payloads
        self._watch = watch
        self._overrides = overrides
        self._host = host
        self._redetected: set[str] = set()
        self._ticked: int | None = None
        self._clock = clock
        self._random = random or Random()
        self.usual_s = min((miner.polling_interval_seconds for miner in miners), default=60)
        """Shortest usual interval."""
        self.grid_s = min((miner.telemetry_bounds().fastest_s for miner in miners), default=self.usual_s)
        """Shortest interval that any miner may be polled at: a tick is at a multiple of it."""
        self._budget_s = tick_budget_s if tick_budget_s is not None else _TICK_SHARE * self.usual_s
        self._polling = Polling(self._settings, clock)
        known = remembered or {}
        self._members = [self._member(miner, known.get(miner.id, {}), drivers, open_transport) for miner in miners]

    def _member(
        self,
        miner: MinerSettings,
        known: Mapping[str, Any],
        drivers: Mapping[str, MinerDriver],
        open_transport: Opener,
    ) -> Member:
        target = miner.target()
        transport = open_transport(
            httpx.URL(target.base_url),
            connect_timeout_s=self._settings.connect_timeout_s,
            deadline_s=self._settings.request_deadline_s,
        )
        if self._keep != "off":
            transport = Recording(transport, keep=self._keep, secrets=(miner.password, miner.api_key))
        fresh = MinerMemory(
            miner_id=miner.id,
            driver=miner.driver,
            telemetry=cadence.at_first(miner.telemetry_bounds()),
            configuration=cadence.at_first(miner.configuration_bounds()),
        )
        session = drivers[miner.driver].session(target, transport)
        memory = recalled(fresh, known)
        if self._watch is None or miner.id not in self._watch.anomalous:
            memory = msgspec.structs.replace(memory, anomaly=None)  # else nobody would ever say that it is over
        return Member(miner, transport, session, memory, limits=self._settings, clock=self._clock, random=self._random)

    @property
    def memories(self) -> tuple[MinerMemory, ...]:
        """What is known of every miner."""
        return tuple(member.memory for member in self._members)

    def wanted(self, slot: int) -> bool:
        """Whether any miner is due at ``slot``. With some paused by hand there is a tick at each usual interval all the
        same: that nothing is asked must not look like a standstill."""
        paused = self._overrides(slot).miners_paused()
        if paused and (self._ticked is None or slot // self.usual_s != self._ticked // self.usual_s):
            return True
        return any(member.due(slot) for member in self._members if member.miner_id not in paused)

    async def aclose(self) -> None:
        """Close all connections."""
        for member in self._members:
            await member.aclose()

    async def tick(self, slot: int) -> TickOutcome:
        """Poll the miners that are due at ``slot`` (whole UTC seconds). Raises nothing on account of a miner."""
        began = self._clock()
        self._ticked = slot
        by_hand = self._overrides(slot)
        paused = by_hand.miners_paused()
        asked = [member for member in self._members if member.miner_id not in paused]
        left_alone = sum(member.left_alone(slot) for member in asked)
        # Longest unasked first: what one tick had to skip is not skipped again by the next.
        due = sorted((m for m in asked if m.due(slot)), key=lambda member: member.memory.polled or 0)
        main = [member for member in due if member.memory.failures_in_a_row < _SECOND_LANE_FROM]
        second = [member for member in due if member.memory.failures_in_a_row >= _SECOND_LANE_FROM]
        turns = self._whose_configuration(due, slot)
        at_any_rate = frozenset(turns[: -(-len(turns) // _ALWAYS_ONE_OF)])
        async with LoopLag() as lag:
            sheds = by_hand.shed(self._host) is not None
            tick = Tick(slot, began, began + self._budget_s, lag, len(main), frozenset(turns), at_any_rate, sheds)
            self._obey(by_hand, tick)
            await self._polling.ask(tick, main, second)
        frames = self._frames(tick, by_hand, len(asked))
        reasons = Counter[str](failure.kind for _, failure in tick.failures)
        if tick.skipped:
            reasons["skipped"] = tick.skipped
        memories = self.memories
        return TickOutcome(
            slot=slot,
            frames=frames,
            polled=tick.polled,
            failed=len(tick.failures),
            skipped=tick.skipped,
            failed_by_reason=dict(reasons),
            configurations=len(tick.configurations),
            configurations_failed=tick.configurations_failed,
            configurations_dropped=tick.configurations_dropped,
            payloads_dropped=tick.payloads_dropped,
            left_alone=left_alone,
            events=tuple(tick.events),
            memories=memories,
            next_slot=self._next_slot([memory for memory in memories if memory.miner_id not in paused], slot),
            tick_s=self._clock() - began,
            loop_lag_ms=lag.worst_ms,
        )

    def _next_slot(self, memories: Sequence[MinerMemory], slot: int) -> int | None:
        soonest = min((memory.next_poll(slot) for memory in memories), default=None)
        if len(memories) < len(self._members):
            usual = float((slot // self.usual_s + 1) * self.usual_s)
            soonest = usual if soonest is None else min(soonest, usual)
        return None if soonest is None else max(slot + self.grid_s, math.ceil(soonest / self.grid_s) * self.grid_s)

    def _whose_configuration(self, due: list[Member], slot: int) -> list[str]:
        """The miners whose configuration is read too: those waiting longest, the longest first, so many that the whole
        fleet has its turn within two thirds of the interval, and not more, since at the first tick all are waiting.
        Miners that do not answer would take the turns of others."""
        waiting = [m for m in due if m.configuration_due(slot) and not m.memory.failures_in_a_row]
        waiting.sort(key=lambda member: member.memory.configured or 0)
        every = min((member.memory.configuration.interval_s for member in waiting), default=1)
        fair = 1.5 * len(self._members) * self.usual_s / every
        return [member.miner_id for member in waiting[: max(_CONFIGURATIONS_AT_LEAST, round(fair))]]

    def _obey(self, by_hand: Overrides, tick: Tick) -> None:
        """Tell which miners are paused or forced to a state since this tick, or no more; forget drivers that are to be
        found out anew."""
        subjects = by_hand.miners_by_hand()
        for member in self._members:
            override = by_hand.of_miner(member.miner_id) if member.miner_id in subjects else None
            tick.events += member.set_by_hand(override.in_words() if override is not None else None, tick.slot)
        anew = {one.subject for one in by_hand.redetections() if one.id not in self._redetected}
        self._redetected = {one.id for one in by_hand.redetections()}
        for member in self._members:
            if member.miner_id in anew:
                member.redetect()

    def _settle(self, tick: Tick, asked: int) -> None:
        """Take the failures into account, when it is known whether anybody answered of the ``asked`` that may be."""
        most = 2 * tick.polled >= asked > 1
        outage = most and len(tick.failures) == tick.polled
        if outage:
            _LOG.warning("none of the %d miners asked answered: is it the network of this host?", tick.polled)
        for member, failure in tick.failures:
            member.failed(tick.slot, failure, outage=outage)

    def _anomalies(self, tick: Tick, by_hand: Overrides) -> tuple[Frame, ...]:
        """Let the readings be looked at; whoever became anomalous is polled faster from now on. Scores to be stored."""
        if self._watch is None:
            return ()
        try:
            watched = self._watch.look(tick.slot, tick.telemetry, by_hand.miners_off())
        except Exception:  # noqa: BLE001 - logged; readings are worth more than their scores
            _LOG.exception("the readings of slot %d could not be looked at for anomalies", tick.slot)
            return ()
        tick.events += watched.events
        if watched.changed:
            told = {event.miner.miner_id: event for event in watched.events}
            for member in self._members:
                if member.miner_id in watched.changed:
                    member.suspected(watched.changed[member.miner_id], told[member.miner_id])
        return watched.frames

    def _frames(self, tick: Tick, by_hand: Overrides, asked: int) -> list[Frame]:
        """All that is to be stored of a tick, whose failures are taken into account; ``asked`` miners may be asked."""
        members = {member.miner_id: member for member in self._members}

        def unread(record: MinerTelemetry, failure: PollFailure) -> MinerTelemetry:
            member = members[record.miner.miner_id]
            _LOG.error("miner %s: %s", member.miner_id, failure)
            tick.failures.append((member, failure))
            return unreachable(member.target, tick.slot, failure, record.poll_ms)

        def unconfigured(record: MinerConfiguration, failure: PollFailure) -> None:
            member = members[record.miner.miner_id]
            _LOG.error("miner %s: its configuration: %s", member.miner_id, failure)
            tick.configurations.remove(record)
            tick.configurations_failed += 1
            member.configuration_failed(tick.slot, failure)

        frames = storable(tick.telemetry, telemetry_frames, unread)
        self._settle(tick, asked)
        frames += self._anomalies(tick, by_hand)
        tick.telemetry.clear()  # with ten thousand miners they are large, and their frames are all that is needed
        frames += storable(list(tick.configurations), configuration_frames, unconfigured)
        frames += payload_frames(tick.slot, tick.payloads)
        tick.payloads.clear()
        return frames + event_frames(tick.events)
