"""The disk budget as task runs: measure and record, act in order, keep the logs."""

from __future__ import annotations

import asyncio
import logging
import time
from functools import partial

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.deployments import arun_deployment
from prefect.events import emit_event
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_API_URL

from storage.audit.trail import AuditKind, Trail
from storage.disk_budget.budget import Budget, examine
from storage.disk_budget.guard import Action
from storage.disk_budget.record import record
from storage.disk_budget.words import volume_in_words
from storage.log_files import Swept, sweep_logs
from storage.retention_settings import LogsRetention, RetentionSettings
from storage.settings import StorageSettings

DEPLOYMENTS = {Action.COMPACT: "maintain-lake/maintain-lake", Action.ARCHIVE: "archive/archive"}
"""What is started early. Each runs once at a time: where it runs already, the early run is cancelled."""

ACTOR = "flow guard-disk"
_log = logging.getLogger(__name__)


@task(name="measure_disk", retries=2, retry_delay_seconds=30, cache_policy=NO_CACHE, persist_result=False)
async def measure_step(
    storage: StorageSettings, retention: RetentionSettings, *, miners: int, host: str, run_id: str
) -> Budget:
    """Measure all places of this host and spool the rows of it."""

    def work() -> Budget:
        now = time.time()
        archive = retention.general.archive_base_path
        budget = examine(storage, retention.bucket_days(), now, archive=archive, miners=miners, remember=True)
        record(budget, storage.spool_directory, host, int(now), run_id)
        return budget

    return await asyncio.to_thread(work)


@task(name="act_on_disk", cache_policy=NO_CACHE, persist_result=False)
async def act_step(budget: Budget, storage: StorageSettings, *, host: str) -> None:
    """Start early what is due, the mildest first, and warn. Nothing is deleted here."""
    for action in budget.actions:
        if action in DEPLOYMENTS:
            await _start(DEPLOYMENTS[action])
    troubled = [one for one in budget.volumes if Action.WARN in one.actions]
    for one in troubled:
        text = volume_in_words(one)
        _log.error("the disk will be full: %s. Add space, shorten retention, or move the archive elsewhere", text)
        detail = {"free": one.volume.free, "total": one.volume.total, "days_until_full": one.forecast.days}
        trail = Trail.open(storage.data_directory, host)
        await asyncio.to_thread(partial(trail.record, AuditKind.DISK_LOW, one.volume.path, actor=ACTOR, detail=detail))
        if PREFECT_API_URL.value() is not None:  # else Prefect would start a server of its own
            emit_event(
                event="lodeline.disk.low",
                resource={
                    "prefect.resource.id": f"lodeline.disk.{host}",
                    "prefect.resource.name": f"{one.volume.path} on {host}",
                },
                payload={"host": host, "volume": one.volume.path, "message": text, **detail},
            )


async def _start(deployment: str) -> None:
    if PREFECT_API_URL.value() is None:
        return
    try:
        await arun_deployment(deployment, timeout=0, as_subflow=False)
    except ObjectNotFound:
        _log.warning("%s is due for the disk's sake, and not deployed", deployment)


@task(name="sweep_logs", cache_policy=NO_CACHE, persist_result=False)
async def sweep_logs_step(storage: StorageSettings, logs: LogsRetention) -> Swept:
    """Compress closed logs and delete those past their retention."""
    return await asyncio.to_thread(
        partial(
            sweep_logs,
            storage.data_directory / "logs",
            time.time(),
            info_days=logs.info_logs.retention_days,
            error_days=logs.error_logs.retention_days,
            info_gzip=logs.info_logs.compression == "gzip",
            error_gzip=logs.error_logs.compression == "gzip",
        )
    )


def in_words(budget: Budget, swept: Swept) -> str:
    """A run in one line."""
    return "; ".join([*map(volume_in_words, budget.volumes), f"{swept.deleted} logs deleted"])
