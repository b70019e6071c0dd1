"""``lodeline series``: miners hour by hour with all sources on one index, as a table."""

from __future__ import annotations

from typing import Annotated

import typer

from deployments.command.options import MOMENT, ConfigOption, known_miners, moment
from deployments.command.rows import Format, FormatOption

_LONGEST_ROWS = 2_000_000


def series(
    *,
    miner: Annotated[
        list[str] | None, typer.Option("--miner", help="Id of a miner; may be given again. All by default.")
    ] = None,
    start: Annotated[str | None, typer.Option("--from", help=f"Start. {MOMENT} A day ago by default.")] = None,
    stop: Annotated[str | None, typer.Option("--to", help="End, not included; now by default.")] = None,
    how: FormatOption = Format.CSV,
    config: ConfigOption = None,
) -> None:
    """Print a row for every miner and hour: telemetry, what pools credited, prices, difficulty, and what is derived.

    Everything is on one index, hours of UTC; what is not known is empty. Columns and units: docs/derived-metrics.md.
    In Python the same is tasks.derive.joined.joined_frame, a DataFrame. (Features that models are fed with, as of when
    they were known, are lodeline features.)

    Exit code 0: printed. 2: a time or id is wrong, the range has more than 2,000,000 rows, the configuration is wrong,
    or the store does not answer.

    Example: lodeline series --miner miner_0001 --from 2026-11-01 --format parquet > hours.parquet
    """
    import time

    import pyarrow as pa

    from deployments.command.rows import print_rows
    from deployments.settings import load_settings
    from storage.errors import NeedsHuman
    from storage.opening import open_store
    from tasks.derive.fleet import fleet_of
    from tasks.derive.joined import joined_hours, joined_schema

    settings = load_settings(config)
    told = settings.collection
    fleet = fleet_of(told.miners, told.electricity, told.economics)
    now = int(time.time())
    first = now - 86_400 if start is None else moment(start)
    end = now if stop is None else moment(stop)
    if first >= end:
        raise NeedsHuman("--from is not before --to", remedy="Give an earlier --from or a later --to")
    known_miners(told, miner)
    rows = (len(set(miner)) if miner else len(fleet.miners)) * ((end - first) // 3600 + 1)
    if rows > _LONGEST_ROWS:
        raise NeedsHuman(
            f"that are {rows:,} rows, more than {_LONGEST_ROWS:,}", remedy="Ask for fewer miners or a shorter time"
        )
    store = open_store(settings.host)
    try:
        parts = list(joined_hours(store, fleet, first, end, miner or None))
    finally:
        store.close()
    print_rows(pa.concat_tables([joined_schema().empty_table(), *parts]), how)
