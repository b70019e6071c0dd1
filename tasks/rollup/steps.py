"""Rolling up as task runs, one per measurement, each tried again while the store does not answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from functools import reduce
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.futures import PrefectFuture
from prefect.task_runners import TaskRunner
from prefect.tasks import exponential_backoff

from storage.downsample.run import RollupReport, roll_up
from storage.downsample.touch import ROLLED_MEASUREMENTS
from storage.opening import open_store
from storage.settings import StorageSettings
from tasks.resilience.interruptible import giving_up, is_given_up


@task(
    name="roll_up",
    task_run_name="roll_up {measurement}",
    retries=3,
    retry_delay_seconds=exponential_backoff(5),
    retry_jitter_factor=0.5,
    cache_policy=NO_CACHE,
    persist_result=False,
)
def roll_up_measurement(settings: StorageSettings, measurement: str) -> RollupReport:
    """Roll up every window of ``measurement`` that is due; measurements do not depend on each other.

    Tried again, or done again because its worker died, it goes on where it stopped.
    """
    store = open_store(settings)
    try:
        return roll_up(store, int(time.time()), measurements=[measurement], stop=is_given_up)
    finally:
        store.close()


async def roll_up_step(
    settings: StorageSettings, runner: TaskRunner[Any], measurements: Sequence[str] = ROLLED_MEASUREMENTS
) -> RollupReport:
    """Roll up every window of the store that is due, the measurements side by side on ``runner``.

    Raises:
        LodelineError: of the first measurement that could not be rolled up, after all others were.
    """
    with giving_up():
        futures = [
            runner.submit(roll_up_measurement, {"settings": settings, "measurement": name}) for name in measurements
        ]
        reports = await asyncio.to_thread(_results, futures)
    return reduce(RollupReport.__or__, reports, RollupReport())


def _results(futures: Sequence[PrefectFuture[RollupReport]]) -> list[RollupReport]:
    for future in futures:
        future.wait()
    return [future.result() for future in futures]


def in_words(report: RollupReport) -> str:
    """A run in one line."""
    hours, days = sum(report.hours.values()), sum(report.days.values())
    return f"{hours} hours and {days} days of {len(report.hours | report.days)} measurements, {report.rows} rows"
