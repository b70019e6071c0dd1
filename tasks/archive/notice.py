"""Who is told of a run of the archive."""

from __future__ import annotations

from typing import Protocol

from storage.archive.moving import ArchiveReport


class Notice(Protocol):
    """Takes what a run did to whom it concerns. Rooms that send messages implement it; there is none yet."""

    async def tell(self, to: str | None, text: str) -> None:
        """Deliver ``text`` to ``to``, an e-mail address."""
        ...


def in_words(report: ArchiveReport) -> str:
    """A run in one line."""
    size = f"{report.bytes_before} to {report.bytes_after}" if report.bytes_before else report.bytes_after
    said = f"{report.files} files with {report.rows} rows moved, {size} bytes"
    return f"{said}; {len(report.troubles)} tables in trouble" if report.troubles else said


def in_full(report: ArchiveReport, to: str | None) -> str:
    """A run as the text of a message and of Prefect's artifact, in Markdown."""
    lines = [f"# Archive\n\n{in_words(report)}"]
    if to is not None:
        lines.append(f"To be told: {to}")
    lines += [f"- **trouble:** {trouble}" for trouble in report.troubles]
    lines += [f"- {part.path}: {part.rows} rows, SHA-256 `{part.sha256}`" for part in report.moved]
    return "\n".join(lines)
