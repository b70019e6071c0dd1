"""The miners of this host as a shift polls them: the fleet and its lane in the spool, opened and closed together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

from storage.records.events import MinerEvent
from storage.settings import StorageSettings
from storage.spool.lane import Lane
from tasks.derive.anomaly.watch_file import WatchFile, Watching
from tasks.miners.fleet import Fleet
from tasks.miners.memory import MemoryFile
from tasks.miners.report import TickReport
from tasks.miners.settings import FleetSettings, MinerSettings
from tasks.miners.tick import TickOutcome
from tasks.overrides.file import OverrideWatch
from tasks.shift.journal import Journal
from tasks.shift.recorder import Recorder
from tasks.shift.slots import Slot, Slots

LANE = "miners"
"""The lane of all miners; tasks.miners.sites has those of sites."""

_log = logging.getLogger(__name__)


class MinerCollection:
    """Ticks of the fleet; ``slots`` says when. Make it with :func:`open_collection`."""

    def __init__(
        self, fleet: Fleet, recorder: Recorder, memory: MemoryFile, slots: Slots, *, watch: WatchFile | None = None
    ) -> None:
        self.slots = slots
        self._fleet = fleet
        self._recorder = recorder
        self._memory = memory
        self._watch = watch
        self._read: TickOutcome | None = None

    @property
    def events(self) -> tuple[MinerEvent, ...]:
        """What happened to the miners by the newest tick."""
        return () if self._read is None else self._read.events

    async def tick(self, slot: Slot) -> TickReport:
        """Poll the miners that are due at ``slot``, spool and report. Again for the same slot: spool what was read.

        Raises:
            NeedsHuman: the spool cannot take it.
        """
        if self._read is None or self._read.slot != slot.time:
            self._read = await self._fleet.tick(slot.time)
        read = replace(self._read, memories=self._fleet.memories)
        report = await asyncio.to_thread(self._keep, slot, read)
        # else frames and memories would lie beside those of the next tick while it runs
        self._read = replace(self._read, frames=[], memories=())
        return report

    def _keep(self, slot: Slot, read: TickOutcome) -> TickReport:
        report = self._recorder.record(slot, read)
        self._memory.write(read.memories)
        if self._watch is not None:
            self._watch.keep(slot.time)
        return report


@asynccontextmanager
async def open_collection(
    miners: Sequence[MinerSettings],
    *,
    limits: FleetSettings,
    storage: StorageSettings,
    host: str,
    sinks: Sequence[str],
    run_id: str,
    watching: Watching | None = None,
    lane: str = LANE,
) -> AsyncIterator[MinerCollection]:
    """Open fleet and ``lane``; go on where its last run ended. ``sinks`` are the names of its sinks.
    ``watching``: how anomalies are looked for on the stream; None: they are not.

    Raises:
        LaneBusy: another process writes the lane.
        NeedsHuman: the disk is full, or fewer files may be opened than there are miners.
    """
    number = len(miners)
    journal = Journal(storage.state_directory, lane)
    newest = journal.newest()
    store = "embedded" if storage.influx is None else "influxdb"
    memory = MemoryFile(storage.state_directory, lane)
    keep = storage.lake.raw_payloads if "lake" in sinks else "off"  # no other store takes them
    watch = watching.begin([miner.target().miner for miner in miners]) if watching is not None else None
    watched = WatchFile(watch, storage.state_directory / f"{lane}.anomalies.npz") if watch is not None else None
    fleet = Fleet(
        miners,
        limits,
        remembered=memory.read(),
        payloads=keep,
        watch=watch,
        overrides=OverrideWatch(storage.state_directory).look,
        host=host,
    )
    del miners  # their settings are in the fleet as far as it needs them; of ten thousand they are 26 MB
    try:
        writer = await asyncio.to_thread(Lane.open, storage.spool_directory, lane, cap_bytes=storage.spool.cap_bytes)
        with writer:
            recorder = Recorder(
                writer, storage.spool_directory / lane, journal, host=host, store=store, sinks=sinks, run_id=run_id
            )
            last = newest.slot if newest else None
            slots = Slots(fleet.grid_s, last, usual_s=fleet.usual_s, wanted=fleet.wanted)
            _log.info("on shift: %d miners, usually every %d s, run %s", number, fleet.usual_s, run_id)
            yield MinerCollection(fleet, recorder, memory, slots, watch=watched)
            if watched is not None:
                await asyncio.to_thread(watched.keep, None)
    finally:
        await fleet.aclose()
