"""A farm collected into a lake, as a shift does it: fleet, spool, delivery, lake."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from pydantic import SecretStr

from deployments.farm import ALL_VARIANTS, Farm, Fault
from storage.delivery.delivery import Delivery
from storage.lake.sink import LakeSink
from storage.spool.lane import Lane
from tasks.miners.fleet import Fleet
from tasks.miners.settings import FleetSettings, MinerSettings
from tasks.miners.tick import TickOutcome
from tasks.shift.journal import Journal
from tasks.shift.recorder import Recorder
from tasks.shift.slots import Slot
from tests.farm.clock import NOON, Clock

START = int(NOON)
STEP_S = 300
RUN = "11111111-2222-3333-4444-555555555555"
SETTINGS = FleetSettings(request_deadline_s=10.0, connect_timeout_s=10.0, miner_deadline_s=20.0, retries=0)
"""A machine that stands still for a second fails no poll."""
IMPATIENT = FleetSettings(request_deadline_s=0.5, connect_timeout_s=0.5, miner_deadline_s=0.8, retries=0)
"""For miners that hang: each costs its deadline."""


async def collect(
    data: Path,
    ticks: int = 3,
    faults: dict[int, dict[str, Fault]] | None = None,
    password: str | None = None,
    step_s: int = STEP_S,
    settings: FleetSettings = SETTINGS,
) -> list[TickOutcome]:
    """Poll a farm of every variant ``ticks`` times, ``step_s`` apart, and store it; ``faults`` by tick and miner."""
    clock = Clock()
    async with Farm(len(ALL_VARIANTS), port=0, clock=clock, mix=ALL_VARIANTS) as farm:
        miners = [MinerSettings.model_validate(each) for each in farm.configuration()["miners"]]
        if password is not None:
            for at, miner in enumerate(miners):
                if miner.driver == "vnish-rest":  # reading needs none, and any other driver would not get in
                    miners[at] = miner.model_copy(update={"password": SecretStr(password)})

        def slots() -> Iterator[int]:
            for number in range(ticks):
                clock.now = START + step_s * number
                farm.clear()
                for miner_id, fault in (faults or {}).get(number, {}).items():
                    farm.inject(miner_id, fault)
                yield int(clock.now)

        return await keep(data, Fleet(miners, settings, payloads="every"), slots())


async def keep(data: Path, polled: Fleet, slots: Iterable[int]) -> list[TickOutcome]:
    """Poll at each of ``slots``, spool, and deliver to the lake at the end; closes the fleet."""
    outcomes = []
    with Lane.open(data / "spool", "miners", cap_bytes=2**28) as lane:
        recorder = Recorder(
            lane, data / "spool" / "miners", Journal(data / "state", "miners"),
            host="host", store="embedded", sinks=["lake"], run_id=RUN,
        )  # fmt: skip
        for slot in slots:
            outcomes.append(await polled.tick(slot))
            recorder.record(Slot(slot), outcomes[-1])
    await polled.aclose()
    deliver(data)
    return outcomes


def deliver(data: Path) -> None:
    delivery = Delivery(data / "spool", [LakeSink(data / "lake", "host")], "host")
    assert delivery.flush(60)
    delivery.close()
