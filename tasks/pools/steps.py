"""Deriving from what pools and miners told as a task run."""

from __future__ import annotations

from storage.settings import StorageSettings
from tasks.collection_settings import CollectionSettings
from tasks.derive.steps import derive_from_store
from tasks.pools.configured import expectations, pool_names
from tasks.pools.deriving import PoolsReport, derive_pools


async def derive_pools_step(storage: StorageSettings, collection: CollectionSettings) -> PoolsReport:
    """Write what is new of matches, summaries and reconciliations. Tried again, it goes on where it stopped."""
    pools = pool_names(collection)
    expected = expectations(collection, pools)
    return await derive_from_store(
        "derive_pools", storage, lambda store, now: derive_pools(store, now, pools, expected), in_words
    )


def in_words(report: PoolsReport) -> str:
    """A run in one line."""
    return (
        f"{report.matches} matches of workers, {report.summaries} rows of summaries, "
        f"{report.payouts} payouts valued, {report.days} reconciled days"
    )
