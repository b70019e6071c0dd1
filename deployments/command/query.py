"""``lodeline query``: rows over any stretch of time, whichever tier holds them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

import typer

from deployments.command.options import MOMENT, ConfigOption
from deployments.command.progress import progress
from deployments.command.rows import Format, FormatOption
from storage.errors import NeedsHuman

if TYPE_CHECKING:
    from storage.across_tiers import Piece

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def query(
    measurement: Annotated[str, typer.Argument(help="Measurement, e.g. miner_telemetry; docs/data-dictionary.md.")],
    *,
    since: Annotated[str, typer.Option("--from", help=f"First moment. {MOMENT}")],
    until: Annotated[str | None, typer.Option("--to", help="Moment after the last; now by default.")] = None,
    where: Annotated[
        list[str] | None,
        typer.Option("--where", help="Tag and value, e.g. miner_id=miner_0001; the same tag again: any of the values."),
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(
            "--columns",
            help="Fields, comma-separated; with --every also columns of roll-ups, e.g. hashrate_hs_max. All fields by "
            "default.",
        ),
    ] = None,
    every: Annotated[
        str | None,
        typer.Option("--every", help="Windows of this length, e.g. 15m, 1h, 1d: divides a day or is whole days, UTC."),
    ] = None,
    interpolate: Annotated[
        bool,
        typer.Option(
            "--interpolate",
            help="Close gaps of up to two polls in raw rows of miner_telemetry where nothing can have happened; column "
            "interpolated names the fields that are worked out.",
        ),
    ] = False,
    as_of: Annotated[
        str | None,
        typer.Option(
            "--as-of", help=f"Answer as the lake would have then, at most 24 hours ago. {MOMENT}", show_default=False
        ),
    ] = None,
    how: FormatOption = Format.TABLE,
    config: ConfigOption = None,
) -> None:
    """Print rows of a measurement. For each stretch of time the tier that fits is taken: raw, hourly, daily, archive.

    Which one it was, and why, is told on stderr. A field's column holds the mean of a gauge and the newest value of
    anything else wherever rows are windows; docs/warehouse.md says more.

    Exit code 0: answered, if with no rows. 2: an unknown measurement, column or tag, or the store does not answer.

    Example: lodeline query miner_telemetry --from 2026-11-01 --every 1h --columns hashrate_hs,power_w_max
    """
    import time

    from deployments.command.interpolating import interpolated_table, needed
    from deployments.command.options import moment
    from deployments.command.rows import print_rows
    from deployments.settings import load_settings
    from storage.across_tiers import AcrossTiers
    from storage.archive.reading import ArchiveReader
    from storage.declaration import MEASUREMENTS
    from storage.opening import open_past, open_store

    settings = load_settings(config)
    declared = MEASUREMENTS.get(measurement)
    if declared is None:
        from storage.configuration.section import nearest

        meant = nearest(measurement, list(MEASUREMENTS))
        hint = f"Did you mean {meant}" if meant else "docs/data-dictionary.md lists them"
        raise NeedsHuman(f"There is no measurement {measurement!r}", remedy=hint)
    if interpolate and (measurement != "miner_telemetry" or every):
        raise NeedsHuman("--interpolate is for raw rows of miner_telemetry", remedy="Leave out --interpolate")
    asked = [name.strip() for name in columns.split(",")] if columns else None
    now = int(time.time())
    start, stop = moment(since), moment(until) if until else now
    tags = tag_conditions(where or [])
    store = open_store(settings.host) if as_of is None else open_past(settings.host, moment(as_of))
    archived = settings.retention.general.archive_base_path
    try:
        with progress("reading", as_json=how is Format.JSON):
            answer = AcrossTiers(
                store, ArchiveReader(archived) if archived else None, settings.retention.bucket_days(), now
            ).read(
                declared,
                start,
                stop,
                resolution_s=seconds(every) if every else None,
                where=tags,
                columns=needed(asked) if interpolate and asked else asked,
            )
    except ValueError as error:
        raise NeedsHuman(str(error), remedy="lodeline query --help says what can be asked") from error
    finally:
        store.close()
    for piece in answer.pieces:
        typer.echo(in_words(piece), err=True)
    table = answer.table
    if interpolate:
        table = interpolated_table(table, settings.collection.miners, asked)
    print_rows(table, how)


def tag_conditions(texts: list[str], option: str = "--where") -> dict[str, list[str]]:
    """``tag=value`` texts as conditions of a store.

    Raises:
        NeedsHuman: a text without ``=``.
    """
    found: dict[str, list[str]] = {}
    for text in texts:
        tag, equals, value = text.partition("=")
        if not equals or not tag:
            raise NeedsHuman(f"{option} {text!r} is no condition", remedy="Write it as tag=value")
        found.setdefault(tag, []).append(value)
    return found


def seconds(text: str) -> int:
    """A length of time such as ``15m`` in seconds.

    Raises:
        NeedsHuman: it is none.
    """
    match = re.fullmatch(r"([1-9]\d{0,6})([smhd])", text)
    if match is None:
        raise NeedsHuman(f"--every {text!r} is no length of time", remedy="Write it as 30s, 15m, 1h or 7d")
    return int(match[1]) * _UNITS_S[match[2]]


def in_words(piece: Piece) -> str:
    """Where a stretch came from, in a line."""
    import datetime as dt

    first, end = (f"{dt.datetime.fromtimestamp(time, dt.UTC):%Y-%m-%d %H:%M:%S}" for time in (piece.start, piece.stop))
    return f"{first} to {end} UTC: {piece.rows} {piece.tier} rows from {piece.place} ({piece.why})"
