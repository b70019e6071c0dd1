"""Archiving as task runs: one per table, so many at a time, and an artifact of what was done."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from prefect.artifacts import acreate_markdown_artifact

from storage.archive.moving import ArchiveReport
from storage.archive.running import Stop, due_work
from storage.errors import StoreError
from storage.progress import told
from storage.retention_settings import RetentionSettings
from storage.settings import StorageSettings
from tasks.alerts.settings import ChannelSettings
from tasks.archive.notice import in_full, in_words, mail
from tasks.progress.steps import progress_artifact
from tasks.resilience.interruptible import interruptible
from tasks.resilience.steps import as_task

FIRST_DELAY_S = 30
ACTOR = "flow archive"

_log = logging.getLogger(__name__)


async def archive_step(
    storage: StorageSettings,
    archive: Path,
    retention: RetentionSettings,
    *,
    host: str,
    channels: Sequence[ChannelSettings] = (),
) -> ArchiveReport:
    """Archive what is past its retention, ``archiving.parallel_jobs`` tables at a time, and mail what was done to
    ``archiving.notification_email`` by one of ``channels``.

    Raises:
        StoreError: tables were in trouble, each named; all others were archived. Other errors likewise.
    """
    jobs = asyncio.Semaphore(retention.archiving.parallel_jobs)
    total, done = ArchiveReport(), 0

    async def one(name: str, work: Callable[[Stop], ArchiveReport]) -> None:
        nonlocal total, done
        async with jobs:
            report = await as_task(
                "archive_table", lambda: interruptible(work), in_words, run_name=name, first_delay_s=FIRST_DELAY_S
            )
        total |= report
        done += 1
        told(done, len(due), name)

    alone = due_work(storage, archive, retention, int(time.time()), host=host, actor=ACTOR)
    due = await asyncio.to_thread(alone.__enter__)
    try:
        async with progress_artifact("progress-archive", "archive"):
            ended = await asyncio.gather(*(one(*job) for job in due), return_exceptions=True)
    finally:  # once nobody is at it
        await asyncio.to_thread(alone.__exit__, None, None, None)
    to = retention.archiving.notification_email
    mailed = None if to is None else await asyncio.to_thread(mail, total, to, channels)
    if mailed is not None and mailed.trouble is not None:
        _log.warning("%s", mailed)
    text = in_full(total, "" if mailed is None else str(mailed))
    await acreate_markdown_artifact(text, key="archive", description="The weekly archive")
    for failure in filter(None, ended):
        raise failure
    if total.troubles:
        raise StoreError("; ".join(total.troubles))
    return total
