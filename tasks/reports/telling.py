"""Sending a new report to channels, once to each: ``<data>/reports/<kind>/<name>.told.json`` has those that took it.

It is noted after a channel took it, so a process that is killed in between sends it once more: twice rather than never.
A channel that does not take it is asked again while the report is made anew, a day and a half.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from storage.errors import NeedsHuman
from storage.spool.durable import replace_file
from tasks.alerts.channels import send, takes_files
from tasks.alerts.rule import Level
from tasks.alerts.settings import ChannelSettings
from tasks.alerts.telling import Message
from tasks.reports.writing import Written

ENDING = ".told.json"


def tell(report: Written, names: Sequence[str], channels: Sequence[ChannelSettings]) -> list[str]:
    """Send ``report`` to those of ``channels`` that ``names`` has and that were not told yet; blocks. What went wrong,
    a line for each channel, without secrets.

    Raises:
        OSError: the note cannot be written.
    """
    note = report.markdown.with_name(report.name + ENDING)
    told, troubles = _told(note), []
    for channel in channels:
        if channel.name not in names or channel.name in told:
            continue
        try:
            trouble = _send(report, channel)
        except NeedsHuman as error:
            trouble = str(error)
        if trouble is not None:
            troubles.append(f"channel {channel.name} does not take {report.title}: {trouble}")
            continue
        told.append(channel.name)
        replace_file(note, json.dumps(told).encode())
    return troubles


def _send(report: Written, channel: ChannelSettings) -> str | None:
    files = takes_files(channel.url)
    message = Message(
        channel=channel.name,
        title=report.title,
        body=report.message if files else report.text,
        level=Level.INFO,
        over=False,
        alerts=(),
    )
    return send(channel.url, message, attached=[report.pdf or report.page] if files else [])


def _told(note: Path) -> list[str]:
    try:
        found = json.loads(note.read_text())
    except (OSError, ValueError):
        return []
    return [str(name) for name in found] if isinstance(found, list) else []
