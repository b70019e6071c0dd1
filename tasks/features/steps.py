"""Publishing features and measuring their drift as task runs, tried again while a store does not answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from storage.audit.entry import AuditKind
from storage.audit.trail import Trail
from storage.features.online import OnlineStore
from storage.features.publish import PublishReport, publish
from storage.opening import lake_location, open_store
from storage.retention_settings import RetentionSettings
from storage.settings import StorageSettings
from tasks.derive.steps import derive_from_store
from tasks.features.drifting import DriftReport, measure_due
from tasks.resilience.interruptible import interruptible
from tasks.resilience.steps import as_task


async def publish_step(storage: StorageSettings, retention: RetentionSettings, host: str) -> PublishReport:
    """Bring feature tables and online store up to what the store holds. Tried again, it goes on where it stopped.

    What became of files goes into the audit trail of ``host``.

    Raises:
        TryAgain, NeedsHuman: views were in trouble, each named; all others were published.
    """

    def work(stop: Callable[[], bool]) -> PublishReport:
        store = open_store(storage)
        try:
            with OnlineStore(storage.online_features_file) as online:
                now, kept = int(time.time()), retention.bucket_days()
                return publish(
                    store, lake_location(storage), online, now, kept, clock=lambda: int(time.time()), stop=stop
                )
        finally:
            store.close()

    async def once() -> PublishReport:
        report = await interruptible(work)
        await asyncio.to_thread(_tell_trail, storage, host, report)
        report.raise_troubles()
        return report

    return await as_task("publish_features", once, in_words)


def _tell_trail(storage: StorageSettings, host: str, report: PublishReport) -> None:
    done = (
        (AuditKind.COMPACTED, report.files_merged),
        (AuditKind.EXPIRED, report.files_expired),
        (AuditKind.VACUUMED, report.files_deleted),
    )
    trail = Trail.open(storage.data_directory, host)
    for kind, files in done:
        if files:
            trail.record(kind, "features", actor="flow publish-features", detail={"files": files})


def in_words(report: PublishReport) -> str:
    """A run in one line."""
    if report.skipped:
        return f"another process is at it; {report.online} newest values"
    return f"{sum(report.rows.values())} rows of {len(report.rows)} views, {report.online} newest values"


async def drift_step(storage: StorageSettings) -> DriftReport:
    """Measure the drift of the days that are due."""
    lake = lake_location(storage)
    return await derive_from_store(
        "measure_drift", storage, lambda store, now: measure_due(store, lake, now), drift_in_words
    )


def drift_in_words(report: DriftReport) -> str:
    """A run in one line."""
    told = f"{report.features} features of {report.days} days"
    return f"{told}; drifted: {', '.join(report.drifted)}" if report.drifted else f"{told}; none has drifted"
