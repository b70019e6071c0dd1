"""Deriving from market data as a task run, tried again while the store does not answer."""

from __future__ import annotations

import asyncio
import time

from prefect import State, task
from prefect.cache_policies import NO_CACHE
from prefect.states import Completed
from prefect.tasks import exponential_backoff

from storage.opening import open_store
from storage.settings import StorageSettings
from tasks.market.deriving import DerivedReport, derive
from tasks.market.settings import MarketSettings


async def derive_step(storage: StorageSettings, market: MarketSettings) -> DerivedReport:
    """Write indicators and values of mining that are new. Tried again, it goes on where it stopped."""
    reports: list[DerivedReport] = []

    def work() -> DerivedReport:
        store = open_store(storage)
        try:
            return derive(store, int(time.time()), market.watched_coins)
        finally:
            store.close()

    @task(
        name="derive_market",
        retries=3,
        retry_delay_seconds=exponential_backoff(5),
        retry_jitter_factor=0.5,
        cache_policy=NO_CACHE,
        persist_result=False,
    )
    async def run() -> State[None]:
        reports.append(await asyncio.to_thread(work))
        return Completed(message=in_words(reports[-1]))

    await run()
    return reports[-1]


def in_words(report: DerivedReport) -> str:
    """A run in one line."""
    return f"{report.indicators} rows of indicators, {report.values} values of mining"
