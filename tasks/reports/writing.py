"""Writing a report beside those of before: ``<data>/reports/<kind>/<name>.{md,html}``, replaced in one piece."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from storage.spool.durable import replace_file
from tasks.reports.figures import Report
from tasks.reports.text import as_html, as_markdown

_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Written:
    """What was written. ``is_new``: there was none of this period."""

    markdown: Path
    page: Path
    text: str
    is_new: bool


def write_report(report: Report, folder: Path, *, keep_days: int, now: float) -> Written:
    """Write ``report`` under ``folder`` (``<data>/reports``) and take away what is older than ``keep_days``. The same
    again changes nothing; later data makes it anew. ``now``: Unix seconds.

    Raises:
        OSError: it cannot be written.
    """
    home = folder / report.period.kind
    home.mkdir(parents=True, exist_ok=True)
    markdown, page = home / f"{report.period.name}.md", home / f"{report.period.name}.html"
    text = as_markdown(report)
    is_new = not markdown.exists()
    if is_new or not page.exists() or markdown.read_text() != text:
        replace_file(page, as_html(report).encode())
        replace_file(markdown, text.encode())
    for path in home.iterdir():
        if now - path.stat().st_mtime > keep_days * _DAY_S:
            path.unlink(missing_ok=True)
    return Written(markdown, page, text, is_new)
