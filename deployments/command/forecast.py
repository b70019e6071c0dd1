"""``lodeline forecast``: what is expected, and how good the last forecast was."""

from __future__ import annotations

from typing import Annotated

import typer

from deployments.command.options import ConfigOption, known_miners
from deployments.command.progress import progress
from deployments.command.rows import Format, FormatOption


def forecast(
    *,
    miner: Annotated[
        list[str] | None, typer.Option("--miner", help="Id of a miner; may be given again. The fleet by default.")
    ] = None,
    everyone: Annotated[bool, typer.Option("--all", help="The fleet and all miners.")] = False,
    how: FormatOption = Format.TABLE,
    config: ConfigOption = None,
) -> None:
    """Show the newest forecasts: hashrate and revenue of 24 hours, profit of seven days, from the time they start.

    Each with the interval that should hold it nine times in ten, its model, hours since its start, and the last score
    of the same quantity: error is forecast - actual, mase below 1 is better than repeating the day before. What is not
    known is empty and has its reason; docs/forecasts.md says how all of it is made. Flow forecast makes them.

    Exit code 0: shown, if with no rows. 2: an id is not configured, the configuration is wrong, or the store does not
    answer.

    Example: lodeline forecast --miner miner_0001
    """
    import time

    from deployments.command.rows import print_rows
    from deployments.settings import load_settings
    from storage.opening import open_store
    from tasks.derive.forecast.latest import latest
    from tasks.derive.forecast.series import FLEET

    settings = load_settings(config)
    known_miners(settings.collection, miner)
    store = open_store(settings.host)
    try:
        with progress("reading", as_json=how is Format.JSON):
            rows = latest(store, int(time.time()), None if everyone else miner or [FLEET])
    finally:
        store.close()
    if not rows.num_rows:
        typer.echo(
            "No forecasts of the last seven days: flow forecast makes them, at minute 28 of every hour", err=True
        )
    print_rows(rows, how)
