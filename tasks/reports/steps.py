"""Reports as a task run: files, an artifact of Prefect for each, and the channels that are told of new ones."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from prefect.artifacts import acreate_markdown_artifact

from storage.settings import REPORTS, StorageSettings
from tasks.alerts.settings import AlertSettings
from tasks.derive.fleet import Fleet
from tasks.derive.steps import derive_from_store
from tasks.reports.making import make_reports
from tasks.reports.settings import ReportSettings
from tasks.reports.telling import tell
from tasks.reports.writing import Written

_log = logging.getLogger(__name__)

Made = Sequence[Written]


async def report_step(storage: StorageSettings, fleet: Fleet, settings: ReportSettings, alerts: AlertSettings) -> Made:
    """Write the reports that are due and tell of those that are new. A channel that does not take one is logged."""
    folder = storage.data_directory / REPORTS
    made = await derive_from_store(
        "report", storage, lambda store, now: make_reports(store, fleet, settings, folder, now), reports_in_words
    )
    for written in made:
        key = f"report-{written.markdown.parent.name}"
        await acreate_markdown_artifact(written.text, key=key, description=written.title)
        for trouble in await asyncio.to_thread(tell, written, settings.tell, alerts.channels):
            _log.error("%s", trouble)
    return made


def reports_in_words(made: Made) -> str:
    """A run in one line."""
    missing = {one.no_pdf for one in made} - {None}
    return ", ".join([one.title for one in made] + [f"no PDF: {why}" for why in missing]) or "no report is due"
