"""``lodeline profit``: revenue, cost and profit by fleet, model, site or miner."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from deployments.command.options import MOMENT, ConfigOption, known_miners, moment, time_zone
from deployments.command.rows import Format, FormatOption


class By(StrEnum):
    """Whose money a row is."""

    FLEET = "fleet"
    MODEL = "model"
    SITE = "site"
    MINER = "miner"


class Every(StrEnum):
    """How long a row's period is."""

    HOUR = "hour"
    DAY = "day"
    PERIOD = "period"


def profit(
    *,
    start: Annotated[str | None, typer.Option("--from", help=f"Start. {MOMENT} 7 days ago by default.")] = None,
    stop: Annotated[str | None, typer.Option("--to", help="End, not included; now by default.")] = None,
    by: Annotated[By, typer.Option("--by", help="Whose money a row is.")] = By.FLEET,
    every: Annotated[Every, typer.Option("--every", help="How long a row's period is.")] = Every.DAY,
    zone: Annotated[
        str, typer.Option("--zone", help="Time zone of days and of times without a zone, e.g. Europe/Berlin.")
    ] = "UTC",
    miner: Annotated[list[str] | None, typer.Option("--miner", help="Only this miner; may be given again.")] = None,
    how: FormatOption = Format.TABLE,
    config: ConfigOption = None,
) -> None:
    """Show revenue, fees, electricity, cost and profit in USD, with the price of power at which it would break even.

    They are sums over the hours stored; hours_known of hours (of each miner one) says of how many the profit is
    known. Days are those of --zone, 23 or 25 hours long where its clocks change. roi_percent and break_even_days are as
    of the newest day of UTC that begins in the period. What is not known is empty: rows of financial_metrics have the
    reason (lodeline query financial_metrics). docs/derived-metrics.md has every formula. Flow derive-metrics makes the
    rows at minute 34 of every hour.

    Exit code 0: shown, if with no rows. 2: a time, zone or id is wrong, the configuration is, or the store does not
    answer.

    Example: lodeline profit --by site --from 2026-11-01 --to 2026-12-01 --every period --zone Europe/Berlin
    """
    import time

    from deployments.command.rows import print_rows
    from deployments.settings import load_settings
    from storage.errors import NeedsHuman
    from storage.opening import open_store
    from tasks.derive.profit import profit as profit_of

    time_zone(zone)
    settings = load_settings(config)
    now = int(time.time())
    first = now - 7 * 86_400 if start is None else moment(start, zone)
    end = now if stop is None else moment(stop, zone)
    if first >= end:
        raise NeedsHuman("--from is not before --to", remedy="Give an earlier --from or a later --to")
    labels = {one.id: (one.model, one.site) for one in settings.collection.miners}
    known_miners(settings.collection, miner)
    store = open_store(settings.host)
    try:
        rows = profit_of(
            store,
            labels,
            first // 3600 * 3600,
            -(-end // 3600) * 3600,
            by=by.value,
            every=every.value,
            zone=zone,
            miners=miner or None,
        )
    finally:
        store.close()
    if not rows.num_rows:
        typer.echo(
            "No money of that time is stored: flow derive-metrics works it out, at minute 34 of every hour", err=True
        )
    print_rows(rows, how)
