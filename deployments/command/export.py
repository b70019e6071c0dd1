"""``lodeline export``: any stored series into a file, with what its columns mean."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from deployments.command.options import MOMENT, ConfigOption, JsonOption
from deployments.command.progress import progress
from storage.errors import NeedsHuman


class As(StrEnum):
    """Format of the file."""

    CSV = "csv"
    PARQUET = "parquet"
    JSON = "json"


def export(
    what: Annotated[
        str,
        typer.Argument(
            help="Measurement, e.g. miner_telemetry (docs/data-dictionary.md); or series: miners hour by hour, as "
            "lodeline series prints them.",
            metavar="MEASUREMENT|series",
        ),
    ],
    *,
    since: Annotated[str, typer.Option("--from", help=f"First moment. {MOMENT}")],
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write.")],
    until: Annotated[str | None, typer.Option("--to", help="Moment after the last; now by default.")] = None,
    tier: Annotated[
        str | None,
        typer.Option(
            "--tier", help="raw (rows as fine as they are kept), hourly or daily windows of UTC; raw by default."
        ),
    ] = None,
    entity: Annotated[
        list[str] | None,
        typer.Option(
            "--entity", help="Tag and value, e.g. miner_id=miner_0001; the same tag again: any of the values."
        ),
    ] = None,
    fields: Annotated[
        str | None,
        typer.Option(
            "--fields",
            help="Fields, comma-separated, of windows also columns of roll-ups, e.g. power_w_max; all by default. "
            "Columns that say why a value is null come along.",
        ),
    ] = None,
    how: Annotated[
        As | None, typer.Option("--format", help="Format of the file; by its ending where not given.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file where it is there.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write rows of any time to a file: from the store and the archive, whichever tier holds them, sorted by time.

    Memory does not grow with the time asked for. The file appears whole or not at all. FILE.about.json beside it has
    units, meanings and types of the columns, the tier and place that each stretch came from, and the file's SHA-256.
    Times are UTC; what is not known is empty (JSON, Parquet: null). docs/operations.md says more.

    Exit code 0: written, if with no rows. 2: the file is there, something asked for is not, or the store does not
    answer.

    Example: lodeline export miner_telemetry --from 2026-01-01 --to 2027-01-01 --tier hourly -o year.parquet
    """
    import json
    import time

    from deployments.command.options import moment
    from deployments.command.query import tag_conditions
    from deployments.settings import load_settings
    from storage.archive.reading import ArchiveReader
    from storage.declaration import Tier
    from storage.opening import open_store
    from tasks.derive.fleet import fleet_of
    from tasks.exports.asked import Asked, exported
    from tasks.exports.settings import SERIES, Format
    from tasks.exports.writing import iso, write_export

    if tier is not None and tier not in set(Tier):
        raise NeedsHuman(f"There is no tier {tier!r}", remedy=f"There are {', '.join(Tier)}")
    if what == SERIES and tier not in (None, Tier.HOURLY):
        raise NeedsHuman(f"series is hourly, not {tier}", remedy="Leave out --tier")
    ending = out.suffix.removeprefix(".").lower()
    if how is None and ending not in set(As):
        raise NeedsHuman(f"the ending of {out.name} names no format", remedy=f"Give --format: {', '.join(As)}")
    settings = load_settings(config)
    told, now = settings.collection, int(time.time())
    asked = Asked(
        what=what,
        start=moment(since),
        stop=moment(until) if until else now,
        tier=Tier.HOURLY if what == SERIES else Tier(tier or Tier.RAW),
        where=tag_conditions(entity or [], "--entity"),
        fields=[name.strip() for name in fields.split(",")] if fields else None,
    )
    archived = settings.retention.general.archive_base_path
    store = open_store(settings.host)
    try:
        found = exported(
            asked,
            store,
            ArchiveReader(archived) if archived else None,
            fleet=fleet_of(told.miners, told.electricity, told.economics),
            retention_days=settings.retention.bucket_days(),
            now=now,
        )
        with progress("exporting", as_json=as_json) as show:
            done = write_export(
                found,
                out,
                Format(how or ending),
                made_by="lodeline export",
                force=force,
                told=lambda at: show(at - asked.start, asked.stop - asked.start, iso(at)),
            )
    finally:
        store.close()
    if as_json:
        typer.echo(json.dumps({"file": str(done.path), "rows": done.rows, "bytes": done.bytes}))
    else:
        typer.echo(f"{done.path}: {done.rows:,} rows, {done.bytes:,} bytes")
