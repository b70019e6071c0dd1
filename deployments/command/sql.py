"""``lodeline sql``: one SELECT over the warehouse and the tables of the lake."""

from __future__ import annotations

from typing import Annotated

import typer

from deployments.command.options import ConfigOption
from deployments.command.rows import Format, FormatOption


def sql(
    statement: Annotated[
        str | None, typer.Argument(help="One SELECT, in DuckDB's SQL; without it the tables are listed.")
    ] = None,
    how: FormatOption = Format.TABLE,
    timeout: Annotated[float, typer.Option("--timeout", min=0.1, help="Seconds that it may take.")] = 60,
    config: ConfigOption = None,
) -> None:
    """Ask the warehouse, and the tables of the lake, by SQL. Times are UTC; docs/warehouse.md has tables and examples.

    It only reads: nothing is written, and no file and no network is reached but the files of the tables named.

    Exit code 0: answered, if with no rows. 2: the statement is wrong, took too long, or the lake cannot be read.

    Example: lodeline sql "SELECT site, sum(power_w) / 1000 AS kwh FROM fact_telemetry_hourly GROUP BY site"
    """
    from deployments.command.rows import print_rows
    from deployments.settings import load_settings
    from storage.errors import NeedsHuman

    settings = load_settings(config)
    if not settings.host.lake.enabled:
        raise NeedsHuman("This host has no lake", remedy="Ask where LODELINE_LAKE__ENABLED is not false")
    from storage.opening import lake_location
    from storage.warehouse.sql import answer, tables

    if statement is None:
        for name, meaning, columns in tables():
            typer.echo(f"{name}: {meaning}\n    {', '.join(columns)}")
        return
    print_rows(answer(lake_location(settings.host), statement, timeout_s=timeout), how)
