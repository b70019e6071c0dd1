"""``lodeline report``: the report of a day or a week, now."""

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


class Kind(StrEnum):
    """How long a report's period is."""

    DAILY = "daily"
    WEEKLY = "weekly"


def report(
    kind: Annotated[Kind, typer.Argument(help="Of a day, or of a week from Monday to Sunday.")] = Kind.DAILY,
    *,
    day: Annotated[
        str | None, typer.Option("--for", help="The day, or one of the week, e.g. 2026-11-28; the newest that is over.")
    ] = None,
    how: Annotated[As, typer.Option("--as", help="How it is written.")] = As.MARKDOWN,
    out: Annotated[Path | None, typer.Option("--out", help="File to write; the terminal by default.")] = None,
    config: ConfigOption = None,
) -> None:
    """Show what a day or a week brought: hashrate and what was lost to which cause, money, the miners that lost most,
    alerts, pools, and what is worth changing. Days are those of reports.timezone.

    Flow report writes the same to the folder reports of the data directory, once a period is over.

    Exit code 0: shown. 2: the day is none, the configuration is wrong, or the store does not answer.

    Example: lodeline report weekly --as html --out week.html
    """
    import datetime as dt
    import time

    from deployments.settings import load_settings
    from storage.opening import open_store
    from tasks.derive.fleet import fleet_of
    from tasks.reports import period as periods
    from tasks.reports.figures import gather
    from tasks.reports.text import as_html, as_markdown

    settings = load_settings(config)
    told, now = settings.collection, time.time()
    zone, length = told.reports.timezone, periods.Kind(kind)
    try:
        wanted = (
            periods.newest_period(length, now, zone)
            if day is None
            else periods.period_of(length, dt.date.fromisoformat(day), zone)
        )
    except ValueError as error:
        raise NeedsHuman(f"{day!r} is not a day", remedy="Write it as 2026-11-28") from error
    store = open_store(settings.host)
    try:
        found = gather(store, fleet_of(told.miners, told.electricity, told.economics), wanted, now)
    finally:
        store.close()
    text = as_html(found) if how is As.HTML else as_markdown(found)
    if out is None:
        typer.echo(text)
        return
    try:
        out.write_text(text)
    except OSError as error:
        raise NeedsHuman(f"{out} cannot be written: {error.strerror}", remedy="Give another --out") from error
    typer.echo(f"{out}: {wanted.title}")
