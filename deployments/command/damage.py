"""``lodeline damage``: damaged files of lake and archive, out and back."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deployments.command.options import MOMENT, ConfigOption, JsonOption
from deployments.command.progress import progress

if TYPE_CHECKING:
    from deployments.settings import Settings
    from storage.damaged.case import Case
    from storage.damaged.setting_aside import Damage

ACTOR = "lodeline damage"


class Action(StrEnum):
    """What to do."""

    LIST = "list"
    SET_ASIDE = "set-aside"
    PUT_BACK = "put-back"


def damage(
    action: Annotated[
        Action,
        typer.Argument(
            help="list: read files back, and name those that are damaged. set-aside: take one out of its table. "
            "put-back: what was set aside is of its table again."
        ),
    ],
    file: Annotated[str | None, typer.Argument(help="Without list: the file, as list names it.")] = None,
    *,
    measurement: Annotated[str | None, typer.Option("--measurement", help="With list: only this one.")] = None,
    start: Annotated[
        str | None, typer.Option("--from", help=f"With list: files with rows from then on; all by default. {MOMENT}")
    ] = None,
    stop: Annotated[str | None, typer.Option("--to", help=f"With list: moment after the last. {MOMENT}")] = None,
    why: Annotated[str, typer.Option("--why", help="Without list: for the audit trail.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="With set-aside: do not ask.")] = False,
    copy: Annotated[
        Path | None, typer.Option("--copy", help="With put-back: a whole copy of the file, of a backup say.")
    ] = None,
    as_it_is: Annotated[
        bool, typer.Option("--as-it-is", help="With put-back: the damaged file itself, where there is no whole one.")
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Name damaged files of the lake and of the archive, or take one out of its table so that all else goes on.

    A whole copy, put in the file's place, is better: set aside only what cannot be had again. Before it asks it shows
    what is lost, and where else those rows are. The bytes stay in the folder damaged of the data directory; the table's
    log and the audit trail tell of it. Roll-ups that were made of these rows stay as they are; days of the warehouse
    are made anew by its next build. When a whole copy turns up, put-back takes its rows in again, without what was
    erased since, and the roll-ups of that time are made again. Killed anywhere, the same command again goes on.

    Exit code 0: well. 1: list found damage, or could not read everything. 2: a mistake; a file that is whole, or that
    no table has now, is not set aside, and nothing is put back that is not whole.

    Example: lodeline damage list --measurement miner_telemetry --from 2026-11-01
    """
    from deployments.settings import load_settings
    from storage.errors import NeedsHuman

    settings = load_settings(config)
    if action is Action.LIST:
        if file is not None:
            raise NeedsHuman("list names files and takes none", remedy="Leave it out, or write set-aside or put-back")
        _list(settings, measurement, start, stop, as_json=as_json)
    elif file is None:
        raise NeedsHuman("no file is named", remedy="Name one as lodeline damage list does")
    elif action is Action.PUT_BACK:
        _put_back(settings, _named(file), why, copy, as_it_is=as_it_is, as_json=as_json)
    else:
        _set_aside(settings, _named(file), why, yes=yes, as_json=as_json)


def _damage(settings: Settings) -> Damage:
    import socket

    from storage.archive.catalogue import Catalogue
    from storage.damaged.setting_aside import Damage
    from storage.opening import lake_location, open_lake

    archive = settings.retention.general.archive_base_path
    lake = open_lake(settings.host)
    return Damage(
        settings.host.data_directory.absolute(),
        socket.gethostname(),
        None if lake is None else lake_location(settings.host).absolute(),
        lake if settings.host.influx is None else None,
        None if archive is None else Catalogue.open(archive.absolute()),
        settings.retention.bucket_days(),
    )


def _list(settings: Settings, measurement: str | None, start: str | None, stop: str | None, *, as_json: bool) -> None:
    import msgspec

    from deployments.command.options import moment
    from storage.errors import NeedsHuman

    place = _damage(settings)
    if measurement is not None and measurement not in place.measurements():
        raise NeedsHuman(f"there is no measurement {measurement!r}", remedy="docs/data-dictionary.md lists them")
    troubles: list[str] = []
    read, cases = 0, []
    first = None if start is None else moment(start)
    with progress("reading back", as_json=as_json):
        for case in place.search(measurement, first, None if stop is None else moment(stop), troubles):
            read += 1
            cases += [] if case is None else [case]
    aside = place.set_aside_by_now()
    if as_json:
        said = {"files": read, "damaged": cases, "set_aside": aside, "troubles": troubles}
        typer.echo(msgspec.json.encode(said).decode())
    else:
        for case in cases:
            typer.echo("\n".join(in_words(case)))
        typer.echo(f"{read:,} files read back, {len(cases):,} damaged")
        for case in aside:
            typer.echo("\n".join(["set aside:", *in_words(case)]))
        for trouble in troubles:
            typer.echo(trouble, err=True)
    if cases or troubles:
        raise typer.Exit(1)


def _set_aside(settings: Settings, file: str, why: str, *, yes: bool, as_json: bool) -> None:
    import dataclasses
    import time

    import msgspec

    from storage.damaged.elsewhere import elsewhere
    from storage.damaged.setting_aside import Done
    from storage.opening import open_store

    place = _damage(settings)
    live = place.live(file)
    if live is None:
        case, copy = place.finish(file, why=why, actor=ACTOR)
        done = Done(copy)
    else:
        case = place.case(live)
        if not as_json:
            typer.echo("\n".join(in_words(case)))
            where = elsewhere(
                case,
                lake=place.lake,
                archive=place.archive,
                store=open_store(settings.host),
                has_influx=settings.host.influx is not None,
            )
            typer.echo("\n".join(["where else:", *(f"  {line}" for line in where or ["nowhere"])]))
        if not yes:
            lost = "until the next build" if place.is_of_warehouse(live) else "until a whole copy is put back"
            typer.confirm(f"These {case.rows:,} rows are lost to queries {lost}. Go on?", abort=True, err=True)
        done = place.set_aside(live, case, why=why, actor=ACTOR, now=int(time.time()))
    if as_json:
        typer.echo(msgspec.json.encode({"case": case, **dataclasses.asdict(done)}, enc_hook=str).decode())
        return
    typer.echo(f"set aside: {'there were no bytes to keep' if done.copy is None else f'its bytes are {done.copy}'}")
    if done.held:
        typer.echo(f"{done.held:,} roll-ups of these rows stay as they are, whatever comes late for them")
    if done.anew:
        typer.echo(f"{done.anew:,} windows are made anew by the next roll-up")
    if live is not None and place.is_of_warehouse(live):
        days = f", {done.days:,} days of facts" if done.days else ""
        typer.echo(f"the next run of flow build-warehouse makes it anew{days}, as far back as the tiers are kept")


def _put_back(settings: Settings, file: str, why: str, copy: Path | None, *, as_it_is: bool, as_json: bool) -> None:
    import dataclasses

    import msgspec

    from storage.damaged.putting_back import put_back

    back = put_back(_damage(settings), file, why=why, actor=ACTOR, copy=copy, as_it_is=as_it_is)
    if as_json:
        typer.echo(msgspec.json.encode(dataclasses.asdict(back)).decode())
        return
    if back.case is None:
        typer.echo("it is back already")
        return
    of = f"{back.case.rows:,} rows of {back.case.table}"
    typer.echo(f"back: {of}" if back.is_whole else f"back as it was, damaged: {of}")
    if back.released:
        typer.echo(f"{back.released:,} roll-ups are held no longer")
    if back.due:
        typer.echo(f"{back.due:,} windows are made by the next roll-up")


def _named(file: str) -> str:
    return file if file.startswith("s3://") else str(Path(file).absolute())


def in_words(case: Case) -> list[str]:
    """Lines for a human."""
    import datetime as dt

    def at(second: int) -> str:
        return f"{dt.datetime.fromtimestamp(second, dt.UTC):%Y-%m-%dT%H:%M:%SZ}"

    ends = [f"{tag} {low}" if low == high else f"{tag} {low} to {high}" for tag, (low, high) in case.entities.items()]
    tier = f", {case.tier} tier" if case.tier else ""
    return [
        case.path,
        f"  written was {case.written}, {case.found}",
        f"  {'archived ' if case.archived else ''}{case.measurement}{tier}, table {case.table}: {case.rows:,} rows "
        f"from {at(case.first)} to {at(case.last)}",
        *([f"  {'; '.join(ends)}"] if ends else []),
    ]
