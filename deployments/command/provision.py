"""``lodeline provision``: make the databases or buckets of InfluxDB."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from deployments.command.options import ConfigOption, JsonOption
from storage.errors import NeedsHuman


def provision(
    config: ConfigOption = None,
    only_missing: Annotated[
        bool, typer.Option("--only-missing", help="Leave the retention of what exists as it is.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Make InfluxDB's databases or buckets with the retention of the configuration. May be run again any time.

    A shorter retention than before lets the server delete what is older.

    Example: lodeline provision --config /etc/lodeline
    """
    from deployments.settings import load_settings
    from storage.influx.provision import provision as make

    settings = load_settings(config)
    if settings.host.influx is None:
        raise NeedsHuman("no InfluxDB is configured", remedy="Set LODELINE_INFLUX__URL; the lake makes its own tables")
    made = make(settings.host.influx, settings.retention.bucket_days(), only_missing=only_missing)
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in made]))
        return
    for one in made:
        typer.echo(f"{one.bucket}: {one.done}, {one.retention_days} days")
