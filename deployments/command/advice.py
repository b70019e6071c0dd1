"""``lodeline advice``: what is worth changing, what it brings, what became of it."""

from __future__ import annotations

from typing import Annotated

import typer

from deployments.command.options import ConfigOption, known_miners
from deployments.command.rows import Format, FormatOption


def advice(
    *,
    miner: Annotated[
        list[str] | None, typer.Option("--miner", help="Id of a miner; may be given again. All by default.")
    ] = None,
    ended: Annotated[bool, typer.Option("--ended", help="What was taken or refuted in the last 90 days too.")] = False,
    least: Annotated[
        float, typer.Option("--least", help="Leave out what brings less, USD a day; what is not known stays.")
    ] = 0.0,
    how: FormatOption = Format.TABLE,
    config: ConfigOption = None,
) -> None:
    """Show what is worth changing at miners: what to do, USD a day that it would bring, how sure that is, what was
    measured, and what would show it wrong. What brings most comes first.

    Flow advise finds it every hour from the last day; docs/advice.md tells the formulas. An impact is empty where a
    price is missing: of coins, or of power (section electricity).

    Exit code 0: shown, if with no rows. 2: an id is not configured, the configuration is wrong, or the store does not
    answer.

    Example: lodeline advice --least 0.5
    """
    import time

    from deployments.command.rows import print_rows
    from deployments.settings import load_settings
    from storage.opening import open_store
    from tasks.derive.opportunities.latest import latest

    settings = load_settings(config)
    known_miners(settings.collection, miner)
    store = open_store(settings.host)
    try:
        rows = latest(store, int(time.time()), miner, ended=ended, least_usd_day=least)
    finally:
        store.close()
    if not rows.num_rows:
        typer.echo(
            "Nothing is worth changing, or flow advise has not run: it does at minute 39 of every hour", err=True
        )
    print_rows(rows, how)
