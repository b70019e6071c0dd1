"""A collector as a shift has it, without Prefect, over a simulated farm whose clock the test moves: rooms to break."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable

from deployments.farm import ALL_VARIANTS, Farm
from storage.declaration import MEASUREMENTS, Tier
from storage.delivery.books import Books, books_of_lane
from storage.downsample.rollup import hours_of_raw
from storage.influx.settings import InfluxSettings
from storage.influx.sink import InfluxSink
from storage.lake.sink import LakeSink
from storage.opening import open_store
from storage.settings import LakeSettings, StorageSettings
from storage.sink import Sink
from tasks.miners.collection import LANE, MinerCollection, open_collection
from tasks.miners.report import MinerStanding, TickReport
from tasks.miners.settings import FleetSettings, MinerSettings
from tasks.shift.delivering import Delivering
from tasks.shift.slots import Slot
from tests.farm.clock import NOON, Clock
from tests.farm.test_drivers import SAID_AS

EVERY_S = 60
START = int(NOON)
HOST = "host"
LIMITS = FleetSettings(
    connect_timeout_s=5,
    request_deadline_s=20,
    miner_deadline_s=20,
    retries=0,
    breaker_failures=3,
    breaker_longest_seconds=480,
)
"""A miner answers at once or refuses at once; the deadlines are only there for a host that is busy with other tests."""

_HANGS_S = 120
"""What has not come by then never comes."""

_OWN = ("window_touched",)
"""Measurements that sinks write for themselves: nobody accepted them."""

Rows = dict[tuple[str, int], dict[str, Any]]


def farm_of_all(clock: Callable[[], float]) -> Farm:
    """One miner of every firmware and dialect there is."""
    return Farm(len(ALL_VARIANTS), port=0, clock=clock, mix=ALL_VARIANTS)


class Collector:
    """What runs on one host: collection and delivery into one store, InfluxDB where settings of one are given, else the
    lake. ``reports`` are the first ones of all slots that were spooled."""

    def __init__(
        self, farm: Farm, storage: StorageSettings, collection: MinerCollection, delivering: Delivering, sink: str
    ) -> None:
        self.farm = farm
        self.collection = collection
        self.reports: dict[int, TickReport] = {}
        self._storage = storage
        self._delivering = delivering
        self._sink = sink

    @property
    def books(self) -> Books:
        """What is where."""
        return books_of_lane(self._storage.spool_directory / LANE)[self._sink]

    async def tick(self, slot: Slot) -> TickReport:
        """Poll, spool, report."""
        report = await self.collection.tick(slot)
        self.reports.setdefault(slot.time, report)
        return report

    async def until(self, told: Callable[[Books], bool]) -> Books:
        """Wait until the books, which the thread of the delivery writes, tell it."""
        async with asyncio.timeout(_HANGS_S):
            while not told(books := self.books):  # noqa: ASYNC110 (files of a thread)
                await asyncio.sleep(0.01)
        return books

    async def ends_with_all_stored(self) -> None:
        """End the delivery; every point of every tick is in the store, in one row and in no two."""
        await asyncio.to_thread(self._delivering.end, 60.0)
        books, points = self.books, sum(report.points for report in self.reports.values())
        assert (books.accepted, books.stored) == (points, points)
        assert (books.dead_lettered, books.shed, books.backlog, books.trouble) == (0, 0, 0, None)
        if self._storage.influx is not None:  # of which a key has one row, by its nature
            assert sum(len(self.rows(name)) for name in MEASUREMENTS if name not in _OWN) == points
            return
        stored = 0
        for log in self._storage.lake_directory.rglob("_delta_log"):
            table = DeltaTable(str(log.parent)).to_pyarrow_table()
            name = next(part for part in log.parent.parts[::-1] if part in MEASUREMENTS)
            if name not in _OWN:
                stored += len(table)
                keys = table.select(
                    ["time", *(tag for tag in MEASUREMENTS[name].tag_names if tag in table.schema.names)]
                )
                most = Counter(tuple(row.values()) for row in keys.to_pylist()).most_common(1)
                assert most[0][1] == 1, f"{name}: {most} is there more than once"
        assert stored == points

    def rows(self, measurement: str = "miner_telemetry") -> list[dict[str, Any]]:
        """Raw rows as a reader gets them."""
        with closing(open_store(self._storage)) as store:
            table = store.read(MEASUREMENTS[measurement], Tier.RAW, START - 86_400, START + 86_400)
        return [{**row, "time": int(row["time"].timestamp())} for row in table.to_pylist()]

    def growth(self) -> dict[str, int]:
        """Accepted shares by miner, summed over the hours as they are rolled up."""
        measurement = MEASUREMENTS["miner_telemetry"]
        with closing(open_store(self._storage)) as store:
            raw, before = (store.read(measurement, tier, START, START + 86_400) for tier in (Tier.RAW, Tier.HOURLY))
        grown = Counter[str]()
        for hour in hours_of_raw(measurement, raw, before).to_pylist():
            grown[hour["miner_id"]] += hour["shares_accepted_inc"]
        return dict(grown)

    def telemetry(self) -> Rows:
        """Telemetry by miner and time."""
        return {(row["miner_id"], row["time"]): row for row in self.rows()}

    def assert_true(self, slot: int, at: float | None = None) -> None:
        """The rows of ``slot`` say of every miner what was true ``at`` that time."""
        rows = self.telemetry()
        for identity in self.farm.miners:
            row, truth = rows[identity.miner_id, slot], self.farm.truth(identity.miner_id, at or float(slot))
            assert (row["reachable"], row["failure"]) == (True, None)
            said_as = SAID_AS.get(identity.variant.dialect, {}) if not identity.variant.is_vnish else {}
            assert row["state"] == said_as.get(truth.state, truth.state)
            assert row["hashrate_hs"] == pytest.approx(truth.hashrate_hs, rel=1e-4)
            assert row["shares_accepted"] == truth.shares_accepted


@asynccontextmanager
async def on_shift(
    farm: Farm, folder: Path, run_id: str = "run", *, influx: InfluxSettings | None = None, adaptive: bool = False
) -> AsyncIterator[Collector]:
    """A collector of ``farm`` whose data lies in ``folder``, and in InfluxDB where its settings are given."""
    storage = StorageSettings(data_directory=folder, influx=influx, lake=LakeSettings(enabled=influx is None))
    miners = [
        MinerSettings.model_validate({**each, "adaptive": adaptive}) for each in farm.configuration(EVERY_S)["miners"]
    ]
    with ExitStack() as opened:
        sink: Sink = (
            LakeSink(storage.lake_directory, HOST)
            if influx is None
            else opened.enter_context(closing(InfluxSink(influx, HOST)))
        )
        delivering = Delivering(storage.spool_directory, [sink], HOST)
        async with open_collection(
            miners, limits=LIMITS, storage=storage, host=HOST, sinks=[sink.name], run_id=run_id
        ) as collection:
            delivering.start()
            try:
                yield Collector(farm, storage, collection, delivering, sink.name)
            finally:
                await asyncio.to_thread(delivering.end, 5.0)


def slots(first: int, count: int) -> Sequence[int]:
    """Times of ``count`` slots; ``first`` counts from the start."""
    return [START + EVERY_S * (first + number) for number in range(count)]


async def run(collector: Collector, clock: Clock, first: int, count: int) -> list[TickReport]:
    """Tick ``count`` slots, each at its time."""
    reports = []
    for time in slots(first, count):
        clock.now = float(time)
        collector.farm.settle()
        reports.append(await collector.tick(Slot(time)))
    return reports


def standings(report: TickReport) -> dict[str, MinerStanding]:
    """How the miners stand, by id."""
    return {miner.miner_id: miner for miner in report.miners}


@contextmanager
def mounted(folder: Path, size: str) -> Iterator[None]:
    """``folder`` as a disk of its own; skips where that is not permitted."""
    folder.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("may not mount a disk here")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
