"""``lodeline anomalies``: which miners are odd, how odd, and why."""

from __future__ import annotations

from typing import Annotated

import typer

from deployments.command.options import ConfigOption, known_miners
from deployments.command.rows import Format, FormatOption


def anomalies(
    *,
    miner: Annotated[
        list[str] | None, typer.Option("--miner", help="Id of a miner, odd or not; may be given again.")
    ] = None,
    everyone: Annotated[bool, typer.Option("--all", help="All miners, odd or not.")] = False,
    how: FormatOption = Format.TABLE,
    config: ConfigOption = None,
) -> None:
    """Show the newest anomaly scores: of the miners that are odd now, the oddest first.

    Scores from 0 to 1 for hashrate, temperature, power and shares, overall, and the reasons of what is 0.5 or more. A
    miner has a row for the last minutes (period 300s, from the stream) and one for the last whole hour (1h, flow
    derive-anomalies). Empty is not known, and the reasons say why; docs/anomalies.md says how all of it is made.

    Exit code 0: shown, if with no rows. 2: an id is not configured, the configuration is wrong, or the store does not
    answer.

    Example: lodeline anomalies --miner miner_0001
    """
    import time

    from deployments.command.rows import print_rows
    from deployments.settings import load_settings
    from storage.opening import open_store
    from tasks.derive.anomaly.latest import latest

    settings = load_settings(config)
    known_miners(settings.collection, miner)
    store = open_store(settings.host)
    try:
        rows = latest(store, int(time.time()), miner, everyone=everyone or bool(miner))
    finally:
        store.close()
    if not rows.num_rows:
        typer.echo("Nothing is odd, or nothing was judged within three hours: see lodeline anomalies --all", err=True)
    print_rows(rows, how)
