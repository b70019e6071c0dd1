"""``lodeline refill``: what InfluxDB lacks, out of the lake."""

from __future__ import annotations

from typing import Annotated

import typer

from deployments.command.options import MOMENT, ConfigOption, JsonOption


def refill(
    start: Annotated[str, typer.Option("--from", help=f"First time, e.g. that of InfluxDB's backup. {MOMENT}")],
    stop: Annotated[
        str | None, typer.Option("--to", help=f"Time after the last; now by default. {MOMENT}", show_default=False)
    ] = None,
    *,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send what the lake of this host holds of a stretch of time to InfluxDB again, after that was restored.

    InfluxDB keeps one point of a series and time, so what it has already stays as it is, and the command may be killed
    and run again. The hours it fills are rolled up by the next run of flow downsample.

    Exit code 0: done. 2: this host has no lake or no InfluxDB, one of them does not answer, or times are wrong.

    Example: lodeline refill --from 2026-11-25T03:40:00Z
    """
    import contextlib
    import json
    import socket
    import time

    from deployments.command.options import moment
    from deployments.settings import load_settings
    from storage.backup.refill import refill as refilled
    from storage.errors import NeedsHuman
    from storage.influx.sink import InfluxSink
    from storage.opening import open_lake

    settings = load_settings(config).host
    first, end = moment(start), int(time.time()) + 1 if stop is None else moment(stop)
    if first >= end:
        raise NeedsHuman(f"--from {start} is not before --to {stop or 'now'}", remedy="Swap them")
    if settings.influx is None:
        raise NeedsHuman("No InfluxDB is configured, so nothing is to be filled", remedy="Set LODELINE_INFLUX__URL")
    with contextlib.ExitStack() as opened:
        lake = open_lake(settings)
        if lake is None:
            raise NeedsHuman("The lake of this host is off", remedy="Run it on a host that stores into a lake as well")
        opened.callback(lake.close)
        influx = InfluxSink(settings.influx, socket.gethostname())
        opened.callback(influx.close)
        sent = refilled(lake, influx, first, end)
    if as_json:
        typer.echo(json.dumps({"rows": dict(sent)}))
        return
    for name, rows in sorted(sent.items()):
        typer.echo(f"{name}: {rows:,} rows")
    typer.echo(f"{sum(sent.values()):,} rows sent to {settings.influx.url}")
