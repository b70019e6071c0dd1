"""``lodeline page``: the live page."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from deployments.command.options import ConfigOption
from storage.errors import NeedsHuman


def page(
    config: ConfigOption = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Data directory, in place of the configured one.", show_default=False),
    ] = None,
    host: Annotated[
        str | None,
        typer.Option(
            "--host", help="Address to listen on. Any but loopback needs LODELINE_PAGE__PASSWORD.", show_default=False
        ),
    ] = None,
    port: Annotated[
        int | None, typer.Option("--port", min=1, max=65_535, help="Port to listen on.", show_default=False)
    ] = None,
) -> None:
    """Serve the live page: fleet totals, states, lines over time, every miner, and the age of every number.

    Reads the store and the tick reports; collects nothing. Runs until Ctrl-C or SIGTERM.

    Example: lodeline page --config /etc/lodeline --port 8642
    """
    from deployments.settings import load_settings
    from storage.opening import open_store

    try:
        from deployments.page.serve import Binding, serve
    except ModuleNotFoundError as error:
        raise NeedsHuman(
            f"the page needs {error.name}, which is not installed", remedy="Install lodeline[dashboard,lake]"
        ) from error
    from deployments.page.configured import Configured
    from deployments.page.model import RosterEntry
    from deployments.page.reading import PageReader

    environ = {**os.environ, **({} if data is None else {"LODELINE_DATA_DIRECTORY": str(data)})}
    settings = load_settings(config, environ)
    roster = [RosterEntry.of(miner) for miner in settings.collection.miners]
    reader = PageReader(
        lambda: open_store(settings.host),
        settings.host.state_directory,
        roster,
        acknowledgement_hours=settings.collection.alerts.acknowledgement_hours,
        configured=Configured.of(settings.collection),
    )
    serve(
        reader,
        Binding(
            host=host or settings.host.page.host,
            port=port or settings.host.page.port,
            password=settings.host.page.password,
            data_directory=settings.host.data_directory,
        ),
    )
