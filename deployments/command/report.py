"""``lodeline report``: the report of a day, a week or a month, now."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from deployments.command.options import ConfigOption
from storage.errors import NeedsHuman


class As(StrEnum):
    """How a report is written."""

    MARKDOWN = "markdown"
    HTML = "html"
    PDF = "pdf"


class Kind(StrEnum):
    """How long a report's period is."""

    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"


def report(
    kind: Annotated[
        Kind, typer.Argument(help="Of a day, of a week from Monday to Sunday, or of a calendar month.")
    ] = Kind.DAILY,
    *,
    day: Annotated[
        str | None,
        typer.Option("--for", help="The day, or one of the week or month, e.g. 2026-11-28; the newest that is over."),
    ] = None,
    how: Annotated[As, typer.Option("--as", help="How it is written; pdf needs the extra [pdf].")] = As.MARKDOWN,
    out: Annotated[Path | None, typer.Option("--out", help="File to write; stdout by default.")] = None,
    config: ConfigOption = None,
) -> None:
    """Show what a day, a week or a month brought, beside the one before: what was earned, spent and lost, and what to
    do; then hashrate and what was lost to which cause, money, prices, the miners that lost most, alerts, temperatures,
    anomalies, pools, and what is worth changing. Days are those of reports.timezone.

    HTML and PDF have pictures; Markdown given --out has them in files beside it. Flow report writes all three to the
    folder reports of the data directory, once a period is over.

    Exit code 0: shown. 2: the day is none, the configuration is wrong, or the store does not answer.

    Example: lodeline report monthly --as pdf --out november.pdf
    """
    import datetime as dt
    import sys
    import time

    from deployments.settings import load_settings
    from storage.opening import open_store
    from tasks.derive.fleet import fleet_of
    from tasks.reports import period as periods
    from tasks.reports.figures import gather
    from tasks.reports.page import as_html
    from tasks.reports.paper import as_pdf
    from tasks.reports.text import as_markdown, sections

    settings = load_settings(config)
    told, now = settings.collection, time.time()
    zone, length = told.reports.timezone, periods.Kind(kind)
    try:
        wanted = (
            periods.newest_period(length, now, zone)
            if day is None
            else periods.period_of(length, dt.date.fromisoformat(day), zone)
        )
        wanted.before  # noqa: B018 - the first days of the calendar have none
    except (ValueError, OverflowError) as error:
        raise NeedsHuman(f"{day!r} is not a day", remedy="Write it as 2026-11-28") from error
    store = open_store(settings.host)
    try:
        found = gather(store, fleet_of(told.miners, told.electricity, told.economics), wanted, now)
    finally:
        store.close()
    if out is None:
        if how is not As.PDF:
            typer.echo(as_html(found) if how is As.HTML else as_markdown(found))
        elif sys.stdout.isatty():
            raise NeedsHuman("a PDF is nothing for a terminal", remedy="Give --out, or send it into a file")
        else:
            sys.stdout.buffer.write(as_pdf(found))
        return
    try:
        if how is As.PDF:
            out.write_bytes(as_pdf(found))
        elif how is As.HTML:
            out.write_text(as_html(found))
        else:
            for picture in [one for part in sections(found) for one in part.pictures]:
                out.with_name(f"{out.stem}-{picture.name}.svg").write_text(picture.svg)
            out.write_text(as_markdown(found, pictures=out.stem))
    except OSError as error:
        raise NeedsHuman(f"{out} cannot be written: {error.strerror}", remedy="Give another --out") from error
    typer.echo(f"{out}: {wanted.title}")
