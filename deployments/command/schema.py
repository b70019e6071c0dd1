"""``lodeline schema``: which columns the tables of the lake have had, and since when."""

from __future__ import annotations

from typing import Annotated

import typer

from deployments.command.options import ConfigOption
from storage.errors import NeedsHuman


def schema(
    table: Annotated[
        str | None,
        typer.Argument(
            help="Table, e.g. mining_raw/miner_telemetry: its history. All tables in a line each by default."
        ),
    ] = None,
    *,
    config: ConfigOption = None,
) -> None:
    """Show the schema registry of the lake: versions of every table, or what changed from one to the next of one table.

    The hourly upkeep of the lake keeps it from the files themselves.

    Exit code 0: shown. 2: there is no such table, or this host has no lake.

    Example: lodeline schema mining_raw/miner_telemetry
    """
    import datetime as dt

    from deployments.settings import load_settings
    from storage.opening import lake_location

    settings = load_settings(config)
    if not settings.host.lake.enabled:
        raise NeedsHuman("The lake is off on this host", remedy="Ask on a host that has one")
    from storage.lake.registry import Registry, history  # the lake's libraries are an extra

    registry = Registry(lake_location(settings.host))
    if table is not None and table not in registry.tables:
        known = ", ".join(registry.tables) or "none yet; the upkeep enters them every hour"
        raise NeedsHuman(f"The registry has no table {table!r}", remedy=f"It has: {known}")
    for name in registry.tables if table is None else [table]:
        told = history(registry.of(name))
        for version, change in told if table is not None else told[-1:]:
            since = f"{dt.datetime.fromtimestamp(version.since, dt.UTC):%Y-%m-%d %H:%M} UTC"
            by = f"{version.fingerprint} by Lodeline {version.lodeline or 'of before'}"
            typer.echo(f"{name} version {version.version} since {since}: {change} ({by})")
