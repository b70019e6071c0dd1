"""Collects a farm the way a shift does, without Prefect: polls, spools, delivers; prints what it cost.

Arguments: JSON with ``configs`` (folders), ``data`` (folder), ``ticks``, ``raw_payloads`` (as in LakeSettings) and
``every_s`` (wait for the wall clock's slots; 0: one tick after the other); with ``influx`` (address) it is stored there
and in the lake. ``patient``: no time is too long for a miner or a tick, so that CPU can be measured on a host that is
busy with other work. Times in seconds, memory in MB.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from storage.delivery.books import books_of_lane
from storage.influx.settings import InfluxSettings
from storage.opening import open_sinks
from storage.settings import LakeSettings, StorageSettings
from tasks.collection_settings import load_collection_settings
from tasks.miners import fleet
from tasks.miners.collection import LANE, open_collection
from tasks.miners.settings import FleetSettings, MinerSettings
from tasks.shift.delivering import Delivering
from tasks.shift.slots import Slot


def miners_of(configs: list[str]) -> Iterator[MinerSettings]:
    """All of them, to be asked at every tick."""
    for folder in configs:
        file = Path(folder) / "data_collection_config.yaml"
        for miner in load_collection_settings(file, os.environ, lambda _: None).miners:
            yield miner.model_copy(update={"adaptive": False})


async def main() -> None:
    """Ticks of 60 s slots; each is timed until all of it is stored."""
    asked = json.loads(sys.argv[1])
    ticks, every_s = asked["ticks"], asked["every_s"]
    lake = LakeSettings(raw_payloads=asked["raw_payloads"])
    influx = InfluxSettings(url=asked["influx"], timeout_s=120) if asked.get("influx") else None
    storage = StorageSettings(data_directory=Path(asked["data"]), lake=lake, influx=influx)
    limits = FleetSettings()
    if asked.get("patient"):
        fleet._TICK_SHARE = 30.0
        limits = FleetSettings(
            request_deadline_s=60, miner_deadline_s=120, connect_timeout_s=30, overload_lag_ms=60_000
        )
    sinks = open_sinks(storage, "bench")
    delivering = Delivering(storage.spool_directory, sinks, "bench")
    names = [sink.name for sink in sinks]
    rows = []
    start = int(time.time()) // 60 * 60
    async with open_collection(
        tuple(miners_of(asked["configs"])),
        limits=limits,
        storage=storage,
        host="bench",
        sinks=names,
        run_id="bench",
    ) as collection:
        delivering.start()
        for turn in range(ticks):
            await asyncio.sleep(max(0.0, start + every_s * turn - time.time()) if every_s else 0)
            began, cpu_before = time.perf_counter(), time.process_time()
            report = await collection.tick(Slot(start + 60 * turn, 0))
            spooled = time.perf_counter() - began
            lane = storage.spool_directory / LANE
            while any(books.backlog for books in books_of_lane(lane).values()):  # noqa: ASYNC110 (files of a thread)
                await asyncio.sleep(0.02)
            rows.append(
                {
                    "tick_s": report.tick_s,
                    "spooled_s": spooled,
                    "stored_s": time.perf_counter() - began,
                    "cpu_s": time.process_time() - cpu_before,
                    "slot": report.slot,
                    "polled": report.polled,
                    "failed": report.failed,
                    "reasons": report.failed_by_reason,
                    "points": report.points,
                    "failing": [miner.miner_id for miner in report.miners if miner.failure],
                }
            )
    await asyncio.to_thread(delivering.end, 5.0)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps({"rows": rows, "rss_mb": usage.ru_maxrss / 1024, "cpu_s": usage.ru_utime + usage.ru_stime}))


asyncio.run(main())
