"""Rolling up as task runs, one per measurement, each tried again while the store does not answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.futures import PrefectFuture
from prefect.task_runners import TaskRunner
from prefect.tasks import exponential_backoff

from storage.audit.trail import AuditKind, Trail
from storage.downsample import watermarks
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
def roll_up_measurement(settings: StorageSettings, measurement: str, retention_days: Mapping[str, int]) -> RollupReport:
    """Roll up every window of ``measurement`` that is due; measurements do not depend on each other.

    Tried again, or done again because its worker died, it goes on where it stopped.
    """
    store = open_store(settings)
    try:
        now = int(time.time())
        return roll_up(store, now, measurements=[measurement], retention_days=retention_days, stop=is_given_up)
    finally:
        store.close()


async def roll_up_step(
    settings: StorageSettings,
    retention_days: Mapping[str, int],
    host: str,
    runner: TaskRunner[Any],
    measurements: Sequence[str] = ROLLED_MEASUREMENTS,
) -> RollupReport:
    """Roll up every window of the store that is due, the measurements side by side on ``runner``.

    ``retention_days`` by bucket is RetentionSettings.bucket_days. What was done is recorded in the audit trail, how far
    each measurement is complete where ``lodeline status`` looks; also of those that could be rolled up while another
    could not.

    Raises:
        LodelineError: of the first measurement that could not be rolled up, after all others were.
    """
    with giving_up():
        same = {"settings": settings, "retention_days": dict(retention_days)}
        futures = [runner.submit(roll_up_measurement, {**same, "measurement": name}) for name in measurements]
        return await asyncio.to_thread(_together, settings, host, futures)


def _together(settings: StorageSettings, host: str, futures: Sequence[PrefectFuture[RollupReport]]) -> RollupReport:
    for future in futures:
        future.wait()
    done = [future.result() for future in futures if future.state.is_completed()]
    report = reduce(RollupReport.__or__, done, RollupReport())
    watermarks.keep(settings.state_directory, report.watermark, int(time.time()))
    if report.rows:
        detail = {"hours": sum(report.hours.values()), "days": sum(report.days.values()), "rows": report.rows}
        subject = ", ".join(sorted(report.hours | report.days))
        Trail.open(settings.data_directory, host).record(
            AuditKind.ROLLED_UP, subject, actor="downsample", detail=detail
        )
    for future in futures:
        future.result()
    return report


def in_words(report: RollupReport) -> str:
    """A run in one line."""
    hours, days = sum(report.hours.values()), sum(report.days.values())
    return f"{hours} hours and {days} days of {len(report.hours | report.days)} measurements, {report.rows} rows"
