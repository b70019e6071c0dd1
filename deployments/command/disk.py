"""``lodeline disk``: what takes the disk, and how long does it last?"""

from __future__ import annotations

import typer

from deployments.command.options import ConfigOption, JsonOption

LOW = 1


def disk(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show the bytes of every measurement and tier, lane, bucket and folder of this host, what each day adds, and when
    each volume is full. Changes nothing; flow guard-disk does the same every hour and acts.

    A growth is told once two whole days are known. Retention ends the growth of a table, so a volume may never be full;
    that takes the archive to run. `alone`: when the volume would be full if nothing else grew.

    Exit code 0: well. 1: a volume is nearly full (LODELINE_DISK__WARN_...). 2: the configuration is wrong, or the lake
    cannot be read.

    Example: lodeline disk --config /etc/lodeline
    """
    import time

    import msgspec

    from deployments.settings import load_settings
    from storage.disk_budget.budget import examine
    from storage.disk_budget.guard import Action
    from storage.disk_budget.words import table_of

    settings = load_settings(config)
    retention = settings.retention
    budget = examine(
        settings.host,
        retention.bucket_days(),
        time.time(),
        archive=retention.general.archive_base_path,
        miners=len(settings.collection.miners),
    )
    typer.echo(msgspec.json.encode(budget).decode() if as_json else "\n".join(table_of(budget)))
    if Action.WARN in budget.actions:
        raise typer.Exit(LOW)
