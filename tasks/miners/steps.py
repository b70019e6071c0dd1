"""Prefect's part of miners: their events told to the server, and collections that are started by such an event."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from prefect.events import emit_event
from prefect.settings import PREFECT_API_URL

from storage.records.events import MinerEvent
from storage.settings import StorageSettings
from storage.spool.lane import LaneBusy
from tasks.miners.backfill import Filled, fill_gaps
from tasks.miners.configuration import read_configuration
from tasks.miners.gaps import REMEMBERED_S, find_own_gaps
from tasks.miners.report import TickReport
from tasks.miners.settings import FleetSettings, MinerSettings
from tasks.miners.sites import slug_of
from tasks.resilience.steps import as_task
from tasks.shift.slots import Slot

MOST_EVENTS = 25
"""Events of one tick that the server is told of, the most severe first. All are stored; a hall that comes back after a
power cut must not start thousands of runs."""

MISSED = 2
"""Slots that nobody ticked, from which a collector counts as back from an outage."""

FIRST_DELAY_S = 5
_SEVERITIES = ("critical", "warning", "info")

_log = logging.getLogger(__name__)


class Ticking(Protocol):
    """What is told of; see tasks.miners.collection.MinerCollection."""

    @property
    def events(self) -> Sequence[MinerEvent]:
        """What the newest tick saw happen."""
        ...

    async def tick(self, slot: Slot) -> TickReport:
        """One tick."""
        ...


def telling(collection: Ticking) -> Callable[[Slot], Awaitable[TickReport]]:
    """The ticks of ``collection``, each followed by telling the server what happened.

    Events go into a queue of Prefect's client, which a thread empties while the server is there: a tick neither waits
    for it nor fails.
    """

    async def tick(slot: Slot) -> TickReport:
        report = await collection.tick(slot)
        try:
            tell(collection.events)
            if report.missed >= MISSED:
                _tell_resumed(report)
        except Exception:  # noqa: BLE001 - logged; a tick is worth more than telling of it
            _log.exception("the events of slot %d are stored, but Prefect could not take them", slot.time)
        return report

    return tick


def tell(events: Sequence[MinerEvent]) -> None:
    """Emit ``lodeline.miner.<kind>`` of ``lodeline.miner.<id>`` for each of ``events``, up to MOST_EVENTS."""
    if PREFECT_API_URL.value() is None:  # Prefect would start a server of its own
        return
    for event in sorted(events, key=lambda event: _SEVERITIES.index(event.severity))[:MOST_EVENTS]:
        miner = event.miner
        emit_event(
            event=f"lodeline.miner.{event.kind}",
            resource={
                "prefect.resource.id": f"lodeline.miner.{miner.miner_id}",
                "prefect.resource.name": miner.miner_id,
                "lodeline.site": slug_of(miner.site),
            },
            payload={
                "miner_id": miner.miner_id, "model": miner.model, "site": miner.site, "slot": event.time,
                "subject": event.subject, "severity": event.severity, "message": event.message,
                "old": event.old, "new": event.new,
            },
        )  # fmt: skip
    if len(events) > MOST_EVENTS:
        _log.warning("%d events in one tick: Prefect is told of %d, all are stored", len(events), MOST_EVENTS)


def _tell_resumed(report: TickReport) -> None:
    if PREFECT_API_URL.value() is not None:
        emit_event(
            event="lodeline.collector.resumed",
            resource={
                "prefect.resource.id": f"lodeline.collector.{report.host}.{report.lane}",
                "prefect.resource.name": f"{report.lane} on {report.host}",
                "lodeline.lane": report.lane,
            },
            payload={"host": report.host, "lane": report.lane, "slot": report.slot, "missed": report.missed},
        )


async def fill_gaps_step(
    storage: StorageSettings,
    miners: Sequence[MinerSettings],
    limits: FleetSettings,
    *,
    host: str,
    lane: str,
    run_id: str,
) -> str:
    """Find and fill what is missing of the last days of ``lane``, as a task run; what it did, in a line."""

    async def once() -> str:
        now = int(time.time())
        start = now - REMEMBERED_S
        gaps = await find_own_gaps(storage, miners, limits, host=host, start=start, stop=now, lane=lane)
        try:
            filled = await fill_gaps(storage, miners, gaps, run_id=run_id, polled_in=lane) if gaps else []
        except LaneBusy:
            return "another process is at it"
        return in_words(filled)

    return await as_task("fill_gaps", once, str, first_delay_s=FIRST_DELAY_S, shown_as="progress-fill-gaps")


def in_words(filled: Sequence[Filled]) -> str:
    """A fill in one line."""
    missing, found = sum(one.missing for one in filled), sum(one.filled for one in filled)
    return f"{missing} slots of {len(filled)} miners missing, {found} filled"


async def read_configuration_step(storage: StorageSettings, miner: MinerSettings, *, run_id: str) -> str:
    """Read what ``miner`` is set to, as a task run; the firmware it has, in a line."""

    async def once() -> str:
        read = await read_configuration(storage, miner, slot=int(time.time()), run_id=run_id)
        return f"{miner.id}: {read.firmware_version or 'firmware unknown'}, {read.overclock_profile or 'no preset'}"

    # a miner that started answers after some seconds
    return await as_task("read_configuration", once, str, retries=4, first_delay_s=FIRST_DELAY_S)
