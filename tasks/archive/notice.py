"""Who is told of a run of the archive, and in what words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from storage.archive.moving import ArchiveReport
from storage.errors import NeedsHuman
from tasks.alerts.channels import NO_MAIL, addressed, send
from tasks.alerts.rule import Level
from tasks.alerts.settings import ChannelSettings
from tasks.alerts.telling import Message


def in_words(report: ArchiveReport) -> str:
    """A run in one line."""
    size = f"{report.bytes_before} to {report.bytes_after}" if report.bytes_before else report.bytes_after
    said = f"{report.files} files with {report.rows} rows moved, {size} bytes"
    return f"{said}; {len(report.troubles)} tables in trouble" if report.troubles else said


def in_full(report: ArchiveReport, told: str = "") -> str:
    """A run as the text of a message and of Prefect's artifact, in Markdown. ``told``: who was told, in words."""
    lines = [f"# Archive\n\n{in_words(report)}", told]
    lines += [f"- **trouble:** {trouble}" for trouble in report.troubles]
    lines += [f"- {part.path}: {part.rows} rows, SHA-256 `{part.sha256}`" for part in report.moved]
    return "\n".join(filter(None, lines))


@dataclass(frozen=True, slots=True)
class Mailed:
    """Whether ``to`` was told: None where it was, else why not, without secrets."""

    to: str
    trouble: str | None

    def __str__(self) -> str:
        return f"Told: {self.to}" if self.trouble is None else f"Not told: {self.to}, {self.trouble}"


def mail(report: ArchiveReport, to: str, channels: Sequence[ChannelSettings]) -> Mailed:
    """Mail a run to ``to`` by the first of ``channels`` that sends e-mail, in the place of those whom that tells of
    alerts; blocks."""
    for channel in channels:
        url = addressed(channel.url, to)
        if url is None:
            continue
        message = Message(
            channel=channel.name,
            title=f"Lodeline archive: {in_words(report)}",
            body=in_full(report),
            level=Level.WARNING if report.troubles else Level.INFO,
            over=False,
            alerts=(),
        )
        try:
            trouble = send(url, message)
        except NeedsHuman as error:
            trouble = str(error)
        return Mailed(to, None if trouble is None else f"channel {channel.name}: {trouble}")
    return Mailed(to, NO_MAIL)
