"""Faults of the pipeline itself, through the real spool, delivery and watch: each fires its rule and no other."""

from __future__ import annotations

import asyncio
import gzip
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from deployments.farm.farm import Farm
from deployments.farm.http import Request, Response
from deployments.farm.markets.service import Service
from deployments.settings import load_settings
from storage.delivery.delivery import Delivery
from storage.disk_budget.budget import examine
from storage.disk_budget.files import Disks
from storage.disk_budget.record import record
from storage.influx.settings import InfluxSettings
from storage.influx.sink import InfluxSink
from storage.lake.sink import LakeSink
from storage.lake.store import EmbeddedStore
from storage.sink import Sink
from tasks.alerts.book import Book
from tasks.alerts.rules import RULES
from tasks.alerts.watch import Watch
from tasks.miners.collection import open_collection
from tasks.miners.report import TickReport, newest_reports
from tasks.miners.settings import FleetSettings
from tasks.responses.book import ResponseBook
from tasks.responses.response import Phase
from tasks.shift.slots import Slot
from tests.alerts.simulated import Seen, T, seen
from tests.responses.test_deciding import earlier

MINUTE_S, DAY_S = 60, 86_400


class Host:
    """A host that collects four miners, tick by tick, and is watched."""

    def __init__(self, folder: Path, tick: Callable[[int], Awaitable[None]], delivery: Delivery, watch: Watch) -> None:
        self.folder = folder
        self.delivery = delivery
        self.watch = watch
        self._tick = tick

    async def minutes(self, first: int, last: int, *, collect: bool = True, look: bool = True) -> Seen:
        """From one minute to another."""
        for slot in range(T + first * MINUTE_S, T + last * MINUTE_S, MINUTE_S):
            if collect:
                await self._tick(slot)
                await self.deliver()
            if look:
                await asyncio.to_thread(self.watch.look, slot + 5.0)
        return seen(self.folder)

    async def deliver(self) -> None:
        """Bring what is spooled where it can be brought."""
        while await asyncio.to_thread(self.delivery.deliver_once):
            pass


@asynccontextmanager
async def host(folder: Path, *others: InfluxSink) -> AsyncIterator[Host]:
    """Four miners into the embedded store, and into ``others``, which are closed at the end."""
    now = [float(T)]
    async with Farm(4, port=0, clock=lambda: now[0]) as farm:
        farm.write_configuration(folder, MINUTE_S)
        settings = load_settings(folder, {"LODELINE_DATA_DIRECTORY": str(folder / "data")})
        storage = settings.host
        sinks: Sequence[Sink] = [LakeSink(storage.lake_directory, "host"), *others]
        miners = [one.model_copy(update={"adaptive": False}) for one in settings.collection.miners]
        delivery = Delivery(storage.spool_directory, sinks, "host")
        watch = Watch(
            lambda: EmbeddedStore(storage.lake_directory),
            folder / "data",
            miners=miners,
            pool_ids=frozenset(),
            settings=settings.collection.alerts,
            send=lambda _url, _message: None,
        )
        names = [sink.name for sink in sinks]
        async with open_collection(
            miners, limits=FleetSettings(), storage=storage, host="host", sinks=names, run_id="run"
        ) as collection:

            async def tick(slot: int) -> None:
                now[0] = float(slot)
                await collection.tick(Slot(slot))

            yield Host(folder / "data", tick, delivery, watch)
        watch.close()
        delivery.close()
        for sink in others:
            sink.close()


def influx(*, refuses: bytes = b"(nothing)") -> Service:
    """Speaks as InfluxDB 1.6 does, and refuses lines of a measurement. (tests/influx has the real one.)"""
    version = (("X-Influxdb-Version", "1.6.7"),)
    refusal = Response(400, b'{"error":"unable to parse: bad timestamp"}', "application/json", version)

    def answer(request: Request) -> Response:
        wrong = request.path == "/write" and refuses in gzip.decompress(request.body)
        return refusal if wrong else Response(204, headers=version)

    return Service(answer)


async def test_a_database_that_is_away(tmp_path: Path) -> None:
    async with influx() as server:
        sink = InfluxSink(InfluxSettings(url=server.url, timeout_s=2), "host")
        async with host(tmp_path, sink) as one:
            assert (await one.minutes(0, 1)).loud == frozenset()
            server.fault = "dead"
            found = await one.minutes(1, 5)
    assert found.loud == {("store_away", "lane miners to influx")}
    assert found.ever == found.loud


async def test_a_database_that_refuses_points(tmp_path: Path) -> None:
    async with (
        influx(refuses=b"collector_tick") as server,
        host(tmp_path, InfluxSink(InfluxSettings(url=server.url), "host")) as one,
    ):
        found = await one.minutes(0, 2)
    assert found.loud == {("points_refused", "lane miners to influx")}
    assert found.ever == found.loud


async def test_a_shift_that_stands_still(tmp_path: Path) -> None:
    async with host(tmp_path) as one:
        assert (await one.minutes(0, 3)).ever == frozenset()
        found = await one.minutes(3, 12, collect=False)
    assert found.loud == {("lane_stands_still", "lane miners")}
    assert {rule for rule, _ in found.muted} == {"miner_stale", "many_miner_stale"}


async def test_a_collector_with_too_much_to_do(tmp_path: Path) -> None:
    """Its event loop is late at every tick: written into its report, since a loop that is blocked takes as long."""
    async with host(tmp_path) as one:
        await one.minutes(0, 1)
        for minute in range(1, 8):
            await one.minutes(minute, minute + 1, look=False)
            (file,) = newest_reports(one.folder / "state")[0]
            late = msgspec.json.decode(file.read_bytes(), type=TickReport)
            file.write_bytes(msgspec.json.encode(msgspec.structs.replace(late, loop_lag_ms=2_500.0)))
            found = await one.minutes(minute, minute + 1, collect=False)
    assert found.loud == {("collector_overloaded", "lane miners at host")}
    assert found.ever == found.loud


async def test_a_response_that_was_cut_off(tmp_path: Path) -> None:
    async with host(tmp_path) as one:
        book = ResponseBook.open(one.folder / "state")
        book.note(earlier("miner_0001", phase=Phase.UNCLEAR, id="r1"), "unclear", float(T))
        book.close()
        found = await one.minutes(0, 1)
    assert found.loud == {("response_wants_human", "response r1")}
    assert found.ever == found.loud


async def test_a_disk_that_fills(tmp_path: Path) -> None:
    """A part a day, and five left: less than the rule's 14 days."""
    part = 20 * 2**20

    def statvfs(_: Path) -> os.statvfs_result:
        return os.statvfs_result((4096, 4096, 100 * part // 4096, 0, 5 * part // 4096, 0, 0, 0, 0, 255))

    disks = Disks(statvfs=statvfs, device=lambda _: 1)
    async with host(tmp_path) as one:
        await one.minutes(0, 1)
        storage = load_settings(tmp_path, {"LODELINE_DATA_DIRECTORY": str(tmp_path / "data")})
        grown = tmp_path / "data" / "reports" / "grown"
        grown.parent.mkdir(parents=True, exist_ok=True)
        for day in range(-4, 1):
            with grown.open("ab") as file:
                os.posix_fallocate(file.fileno(), 0, (day + 5) * part)
            budget = examine(storage.host, storage.retention.bucket_days(), T + day * DAY_S, disks=disks, remember=True)
        record(budget, storage.host.spool_directory, "host", T + MINUTE_S, "run")
        await one.deliver()
        found = await one.minutes(1, 2)
    assert {rule for rule, _ in found.loud} == {"disk_filling"}
    assert found.ever == found.loud


async def test_a_shift_that_stands_still_since_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with host(tmp_path) as one:
        await one.minutes(0, 2)
        monkeypatch.setattr("tasks.health.status.lack_of_room", lambda folder: f"the disk of {folder} is full")
        found = await one.minutes(2, 9, collect=False)
    assert found.loud == {("lane_stands_still", "lane miners")}
    book = Book.look_into(tmp_path / "data" / "state")
    assert book is not None
    (alert,) = (one for one in book.alerts().values() if one.rule == "lane_stands_still")
    book.close()
    assert alert.message.endswith(f"one is due every 60 s: the disk of {tmp_path / 'data'} is full")
    assert "disk" in RULES["lane_stands_still"].remedy
