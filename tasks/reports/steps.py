"""Reports as a task run: files, an artifact of Prefect for each, and the channels that are told of new ones."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from prefect.artifacts import acreate_markdown_artifact

from storage.errors import NeedsHuman
from storage.settings import REPORTS, StorageSettings
from tasks.alerts.channels import send
from tasks.alerts.rule import Level
from tasks.alerts.settings import AlertSettings
from tasks.alerts.telling import Message
from tasks.derive.fleet import Fleet
from tasks.derive.steps import derive_from_store
from tasks.reports.making import make_reports
from tasks.reports.settings import ReportSettings
from tasks.reports.writing import Written

_log = logging.getLogger(__name__)

Made = Sequence[tuple[str, Written]]


async def report_step(storage: StorageSettings, fleet: Fleet, settings: ReportSettings, alerts: AlertSettings) -> Made:
    """Write the reports that are due and tell of those that are new. A channel that does not take one is logged."""
    folder = storage.data_directory / REPORTS
    made = await derive_from_store(
        "report", storage, lambda store, now: make_reports(store, fleet, settings, folder, now), reports_in_words
    )
    for title, written in made:
        key = f"report-{written.markdown.parent.name}"
        await acreate_markdown_artifact(written.text, key=key, description=title)
        if written.is_new:
            await asyncio.to_thread(_tell, settings.tell, alerts, title, written.text)
    return made


def _tell(names: Sequence[str], alerts: AlertSettings, title: str, text: str) -> None:
    for channel in alerts.channels:
        if channel.name not in names:
            continue
        message = Message(
            channel=channel.name, title=title, body=text, level=Level.INFO, over=False, key="report", alerts=()
        )
        try:
            trouble = send(channel.url, message)
        except NeedsHuman as error:
            trouble = str(error)
        if trouble is not None:
            _log.error("channel %s does not take %s: %s", channel.name, title, trouble)


def reports_in_words(made: Made) -> str:
    """A run in one line."""
    return ", ".join(title for title, _ in made) or "no report is due"
