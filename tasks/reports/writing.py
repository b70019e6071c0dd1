"""Writing a report beside those of before: ``<data>/reports/<kind>/<name>.{md,html,pdf}`` and ``<name>-<picture>.svg``,
each replaced in one piece."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from storage.erasure.files import REPORT_TEXT
from storage.errors import NeedsHuman
from storage.spool.durable import replace_file
from tasks.reports.figures import Report
from tasks.reports.page import as_html
from tasks.reports.paper import as_pdf
from tasks.reports.text import as_markdown, as_message, sections

_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Written:
    """What was written. ``text`` is all of it without pictures, ``message`` its first page in plain words. ``pdf`` is
    None where none was wanted, or ``no_pdf`` says why there is none."""

    title: str
    markdown: Path
    page: Path
    pdf: Path | None
    no_pdf: str | None
    text: str
    message: str

    @property
    def name(self) -> str:
        """Of its files, without their endings."""
        return self.markdown.stem


def write_report(report: Report, folder: Path, *, keep_days: int, now: float, pdf: bool = True) -> Written:
    """Write ``report`` under ``folder`` (``<data>/reports``) and take away what is older than ``keep_days``. The same
    again changes nothing; later data makes it anew. ``now``: Unix seconds. Without fpdf2 there is no PDF.

    Raises:
        OSError: it cannot be written.
    """
    home = folder / report.period.kind
    home.mkdir(parents=True, exist_ok=True)
    name = report.period.name
    markdown, page, paper = (home / f"{name}{ending}" for ending in (REPORT_TEXT, ".html", ".pdf"))
    no_pdf: str | None = None
    files = {home / f"{name}-{one.name}.svg": one.svg.encode() for part in sections(report) for one in part.pictures}
    if pdf:
        try:
            files[paper] = as_pdf(report)
        except NeedsHuman as error:
            no_pdf = str(error)
    files |= {page: as_html(report).encode(), markdown: as_markdown(report, pictures=name).encode()}
    for path, content in files.items():  # the Markdown last: where it is, the others are
        if not path.exists() or path.read_bytes() != content:
            replace_file(path, content)
    for path in home.iterdir():
        if now - path.stat().st_mtime > keep_days * _DAY_S:
            path.unlink(missing_ok=True)
    return Written(
        title=report.period.title,
        markdown=markdown,
        page=page,
        pdf=paper if paper in files else None,
        no_pdf=no_pdf,
        text=as_markdown(report),
        message=as_message(report),
    )
