"""``lodeline quality``: how good the data of each source was, day by day."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from deployments.command.options import MOMENT, ConfigOption
from deployments.command.rows import Format, FormatOption

_DAY_S = 86_400


def quality(
    *,
    source: Annotated[
        list[str] | None,
        typer.Option("--source", help="Id of a miner or pool, or name of a provider; may be given again."),
    ] = None,
    kind: Annotated[
        Literal["miner", "pool", "price", "network"] | None, typer.Option("--kind", help="Sources of one kind.")
    ] = None,
    start: Annotated[
        str | None, typer.Option("--from", help=f"First day, of UTC. {MOMENT} The last that is over by default.")
    ] = None,
    how: FormatOption = Format.TABLE,
    config: ConfigOption = None,
) -> None:
    """Show how complete, timely, accurate and consistent the data of each source was, the newest day and the worst
    first.

    What is not known is empty and has its reason; docs/source-quality.md says how all of it is made. Flow
    derive-quality makes it, once a day of UTC is over.

    Exit code 0: shown, if with no rows. 2: a time is wrong, the configuration is wrong, or the store does not answer.

    Example: lodeline quality --kind pool --from 2026-11-01
    """
    import time

    from deployments.command.options import moment
    from deployments.command.rows import print_rows
    from deployments.settings import load_settings
    from storage.errors import NeedsHuman
    from storage.opening import open_store
    from tasks.derive.source_quality.latest import days

    now = int(time.time())
    first = (now // _DAY_S - 1) * _DAY_S if start is None else moment(start) // _DAY_S * _DAY_S
    if first >= now:
        raise NeedsHuman("--from is in the future", remedy="Give the first day to show")
    store = open_store(load_settings(config).host)
    try:
        rows = days(store, first, now, source, kind)
    finally:
        store.close()
    if not rows.num_rows:
        typer.echo(
            "Nothing of these days: flow derive-quality makes it at minute 43 of every hour, once a day is over",
            err=True,
        )
    print_rows(rows, how)
