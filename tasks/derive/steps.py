"""Deriving from what is stored as a task run, tried again while the store does not answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from prefect import State, task
from prefect.cache_policies import NO_CACHE
from prefect.states import Completed
from prefect.tasks import exponential_backoff

from storage.opening import open_store
from storage.settings import StorageSettings
from storage.store import Store
from tasks.derive.forecast.making import ForecastReport, forecast_and_score
from tasks.derive.operations import OperationalReport, derive_operational, kept_s

Report = TypeVar("Report")


async def derive_from_store(
    name: str, storage: StorageSettings, derive: Callable[[Store, int], Report], in_words: Callable[[Report], str]
) -> Report:
    """Run ``derive(store, now)`` (now: Unix seconds) as task ``name`` on the store that is read.

    ``derive`` must be harmless to run again: it is, three times, while the store does not answer. ``in_words`` tells
    what it did in one line, which becomes the message of the task run.
    """
    reports: list[Report] = []

    def work() -> Report:
        store = open_store(storage)
        try:
            return derive(store, int(time.time()))
        finally:
            store.close()

    @task(
        name=name,
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


async def forecast_step(storage: StorageSettings, miners: Sequence[str]) -> ForecastReport:
    """Make the forecasts that are due and score those whose period is over. ``miners``: ids from the configuration."""
    return await derive_from_store(
        "forecast", storage, lambda store, now: forecast_and_score(store, miners, now), forecasts_in_words
    )


def forecasts_in_words(report: ForecastReport) -> str:
    """A run in one line."""
    return f"{report.forecasts} forecasts, {report.scores} scores"


async def metrics_step(
    storage: StorageSettings, miners: Mapping[str, str], retention_days: Mapping[str, int]
) -> OperationalReport:
    """Write the operational metrics that are due. Tried again, it goes on where it stopped.

    ``miners``: models by id from the configuration; ``retention_days`` by bucket is RetentionSettings.bucket_days.
    """
    horizon_s = kept_s(retention_days)
    return await derive_from_store(
        "derive_metrics",
        storage,
        lambda store, now: derive_operational(store, miners, now, horizon_s),
        metrics_in_words,
    )


def metrics_in_words(report: OperationalReport) -> str:
    """A run in one line."""
    return f"{report.rows} rows of operational metrics of {report.windows} hours and days"
