"""Upkeep of the lake as a task run."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from prefect import State, task
from prefect.cache_policies import NO_CACHE
from prefect.states import Completed

from storage.audit.entry import AuditKind, Detail
from storage.audit.trail import Trail
from storage.errors import NeedsHuman, StoreError
from storage.features.table import feature_table
from storage.features.views import VIEWS
from storage.lake.location import LakeLocation
from storage.lake.maintenance import MaintenanceReport, maintain
from storage.lake.scrub import ScrubReport, scrub
from storage.retention_settings import TableRetention
from storage.warehouse.books import BUILT
from storage.warehouse.star import STAR
from storage.warehouse.table import WarehouseTable
from tasks.resilience.interruptible import interruptible
from tasks.resilience.steps import as_task

FIRST_DELAY_S = 30
ACTOR = "flow maintain-lake"
CHECK = "flow check-lake"


async def maintain_step(
    root: LakeLocation,
    data_directory: Path,
    host: str,
    retention_days: Mapping[str, int] | None = None,
    tables: Mapping[str, TableRetention] | None = None,
) -> MaintenanceReport:
    """Keep every table under ``root`` in shape, see storage.lake.maintenance. What each try did is told to the audit
    trail of ``host``.

    Raises:
        StoreError: tables were in trouble, each named; all others were kept.
    """

    def work(stop: Callable[[], bool]) -> MaintenanceReport:
        report = maintain(root, int(time.time()), retention_days=retention_days, tables=tables, stop=stop)
        _tell_trail(Trail.open(data_directory, host), report)
        if report.troubles:
            raise StoreError("; ".join(report.troubles))
        return report

    return await as_task(
        "maintain",
        lambda: interruptible(work),
        in_words,
        first_delay_s=FIRST_DELAY_S,
        shown_as="progress-maintain-lake",
    )


def _tell_trail(trail: Trail, report: MaintenanceReport) -> None:
    """Record what was merged, expired and deleted, and new schemas; nothing where nothing was."""
    done = (
        (AuditKind.COMPACTED, report.files_merged),
        (AuditKind.EXPIRED, report.files_expired),
        (AuditKind.VACUUMED, report.files_deleted),
    )
    for kind, files in done:
        if files:
            trail.record(kind, "lake", actor=ACTOR, detail={"files": files})
    for schema in report.schemas:
        detail: dict[str, Detail] = {
            "version": schema.version,
            "fingerprint": schema.fingerprint,
            "lodeline": schema.lodeline,
        }
        trail.record(AuditKind.SCHEMA_CHANGED, schema.table, actor=ACTOR, detail=detail)


async def check_step(root: LakeLocation, data_directory: Path, host: str) -> ScrubReport:
    """Let the doctor look at every table and read back the files whose turn is today, see storage.lake.scrub.

    Raises:
        NeedsHuman: files are damaged or tables torn, each named. All that was found is in the audit trail.
    """
    reports: list[ScrubReport] = []

    def work(stop: Callable[[], bool]) -> ScrubReport:
        others = [
            *(feature_table(root, view) for view in VIEWS.values()),
            *(WarehouseTable(root, star) for star in (*STAR, BUILT)),
        ]
        return scrub(root, int(time.time()), others=others, stop=stop)

    @task(name="check", cache_policy=NO_CACHE, persist_result=False)
    async def run() -> State[None]:
        reports.append(report := await interruptible(work))
        detail: dict[str, Detail] = {"files": report.files, "bytes": report.bytes, "damaged": "; ".join(report.damaged)}
        trail = Trail.open(data_directory, host)
        await asyncio.to_thread(partial(trail.record, AuditKind.SCRUBBED, "lake", actor=CHECK, detail=detail))
        if report.damaged or report.troubles:
            raise NeedsHuman(
                "; ".join([*report.damaged, *report.troubles]),
                remedy="Restore these files from a backup, or see lodeline damage list; docs/operations.md says how",
            )
        return Completed(message=checked_in_words(report))

    await run()
    return reports[-1]


def checked_in_words(report: ScrubReport) -> str:
    """A check in one line."""
    return f"{report.tables} tables sound; {report.files} files read back, {report.bytes / 1e6:.1f} MB"


def in_words(report: MaintenanceReport) -> str:
    """A run in one line."""
    if report.skipped:
        return "another process is at it"
    return (
        f"{report.tables} tables: {report.files_merged} files merged, {report.files_expired} past their retention, "
        f"{report.files_deleted} deleted, "
        f"{report.checkpoints} checkpoints"
    )
