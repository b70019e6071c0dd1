"""Building the warehouse as a task run, tried again while a store does not answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial

from storage.audit.entry import AuditKind
from storage.audit.trail import Trail
from storage.opening import lake_location, open_store
from storage.retention_settings import RetentionSettings
from storage.settings import StorageSettings
from storage.warehouse.build import BuildReport, Surroundings, build
from storage.warehouse.members import Coin
from tasks.collection_settings import CollectionSettings
from tasks.market.coins import COINS
from tasks.resilience.interruptible import interruptible
from tasks.resilience.steps import as_task

ACTOR = "flow build-warehouse"


async def build_step(
    storage: StorageSettings, collection: CollectionSettings, retention: RetentionSettings, *, host: str
) -> BuildReport:
    """Bring the warehouse up to what the store holds. Tried again, it goes on where it stopped.

    Facts that expired are told to the audit trail of ``host``.
    """
    told = Surroundings(
        retention.bucket_days(),
        retention.general.timezone,
        {miner.id: miner.location for miner in collection.miners if miner.location},
        {coin.id: Coin(coin.symbol, coin.name, coin.algorithm) for coin in COINS.values()},
    )

    def work(stop: Callable[[], bool]) -> BuildReport:
        store = open_store(storage)
        try:
            return build(store, lake_location(storage), int(time.time()), told, stop=stop)
        finally:
            store.close()

    report = await as_task(
        "build_warehouse", lambda: interruptible(work), in_words, shown_as="progress-build-warehouse"
    )
    if report.files_expired:
        trail = Trail.open(storage.data_directory, host)
        note = partial(trail.record, AuditKind.EXPIRED, "warehouse", actor=ACTOR)
        await asyncio.to_thread(partial(note, detail={"files": report.files_expired}))
    return report


def in_words(report: BuildReport) -> str:
    """A run in one line."""
    if report.skipped:
        return "another process is at it"
    return (
        f"{sum(report.days.values())} days of {len(report.days)} facts, {report.rows} rows; "
        f"{report.files_expired} files past their retention"
    )
