"""Rolling up as a task run, tried again while the store does not answer."""

from __future__ import annotations

import time
from collections.abc import Callable

from prefect import State, task
from prefect.cache_policies import NO_CACHE
from prefect.states import Completed
from prefect.tasks import exponential_backoff

from storage.downsample.run import RollupReport, roll_up
from storage.opening import open_store
from storage.settings import StorageSettings
from tasks.resilience.interruptible import interruptible


async def roll_up_step(settings: StorageSettings) -> RollupReport:
    """Roll up every window of the store that is due. Tried again, it goes on where it stopped."""
    reports: list[RollupReport] = []

    def work(stop: Callable[[], bool]) -> RollupReport:
        store = open_store(settings)
        try:
            return roll_up(store, int(time.time()), stop=stop)
        finally:
            store.close()

    @task(
        name="roll_up",
        retries=3,
        retry_delay_seconds=exponential_backoff(5),
        retry_jitter_factor=0.5,
        cache_policy=NO_CACHE,
        persist_result=False,
    )
    async def run() -> State[None]:
        reports.append(await interruptible(work))
        return Completed(message=in_words(reports[-1]))

    await run()
    return reports[-1]


def in_words(report: RollupReport) -> str:
    """A run in one line."""
    hours, days = sum(report.hours.values()), sum(report.days.values())
    return f"{hours} hours and {days} days of {len(report.hours | report.days)} measurements, {report.rows} rows"
