"""One stage behind the collection, in a process of its own: prints its CPU seconds and peak memory.

Arguments: JSON with ``stage`` (rollup, watch, page), ``configs``, ``data`` and ``influx`` as the collector had them,
and ``slot``, the newest one.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from storage.influx.settings import InfluxSettings
from storage.opening import open_store
from storage.settings import StorageSettings
from tasks.collection_settings import load_collection_settings

HOUR_S = 3_600


def _rollup(storage: StorageSettings, miners: tuple[Any, ...], slot: int) -> Callable[[], str]:
    from storage.downsample.run import GRACE_S, roll_up

    def work() -> str:
        store = open_store(storage)
        try:
            report = roll_up(store, slot // HOUR_S * HOUR_S + HOUR_S + GRACE_S + 60)
        finally:
            store.close()
        return f"{report.rows} rows written"

    return work


def _watch(storage: StorageSettings, miners: tuple[Any, ...], slot: int) -> Callable[[], str]:
    from tasks.alerts.settings import AlertSettings
    from tasks.alerts.watch import Watch

    settings = AlertSettings()
    watch = Watch(
        partial(open_store, storage), storage.data_directory, miners=miners, pool_ids=frozenset(), settings=settings,
        send=lambda *_: None,
    )  # fmt: skip
    looked = iter(range(slot + 30, slot + HOUR_S, 60))

    def work() -> str:
        return watch.look(next(looked)).in_words()

    work()  # the first look imports and opens
    return work


def _page(storage: StorageSettings, miners: tuple[Any, ...], slot: int) -> Callable[[], str]:
    from deployments.page.miners_view import row_of
    from deployments.page.model import RosterEntry
    from deployments.page.reading import PageReader

    reader = PageReader(
        partial(open_store, storage), storage.state_directory, [RosterEntry.of(miner) for miner in miners],
        refresh_s=0.0, patience_s=600.0, clock=lambda: slot + 30.0,
    )  # fmt: skip
    shown: list[int] = []

    async def ask() -> str:
        fleet = (await reader.fleet()).value
        assert fleet is not None
        text = json.dumps([row_of(line) for line in fleet.lines], separators=(",", ":"))
        shown.append(sum(line.hashrate_hs is not None for line in fleet.lines))
        return f"{len(text) / 1e6:.1f} MB pushed, {shown[-1]} miners with a hashrate"

    asyncio.run(ask())
    return lambda: asyncio.run(ask())


STAGES = {"rollup": _rollup, "watch": _watch, "page": _page}


def main() -> None:
    """Prepare the stage, run it once, and tell."""
    asked = json.loads(sys.argv[1])
    miners: tuple[Any, ...] = ()
    for folder in asked["configs"]:
        file = Path(folder) / "data_collection_config.yaml"
        miners += load_collection_settings(file, os.environ, lambda _: None).miners
    influx = InfluxSettings(url=asked["influx"], timeout_s=120)
    storage = StorageSettings(data_directory=Path(asked["data"]), influx=influx)
    work = STAGES[asked["stage"]](storage, miners, asked["slot"])
    began, wall = time.process_time(), time.perf_counter()
    note = work()
    spent, took = time.process_time() - began, time.perf_counter() - wall
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"cpu_s": spent, "wall_s": took, "peak_mb": peak, "note": note}))


if __name__ == "__main__":
    main()
