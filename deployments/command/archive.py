"""``lodeline archive``: what the archive holds, whether it is whole, and getting it back."""

from __future__ import annotations

import itertools
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from deployments.command.options import MOMENT, ConfigOption, JsonOption
from deployments.command.progress import progress

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from deployments.settings import Settings
    from storage.archive.catalogue import Catalogue
    from storage.archive.part import ArchivedPart

ACTOR = "lodeline archive"


class Action(StrEnum):
    """What to do with the archive."""

    LIST = "list"
    VERIFY = "verify"
    RESTORE = "restore"
    RUN = "run"


def archive(
    action: Annotated[
        Action,
        typer.Argument(
            help="list: what is there. verify: hash every file, and read it with --read. restore: bring rows back into "
            "the folder restored of the data directory. run: archive now what is past its retention."
        ),
    ],
    *,
    measurement: Annotated[str | None, typer.Option("--measurement", help="Only this measurement.")] = None,
    tier: Annotated[str | None, typer.Option("--tier", help="Only this tier: raw, hourly or daily.")] = None,
    entity: Annotated[
        list[str] | None,
        typer.Option("--entity", help="Only files that can hold this tag, e.g. miner_id=miner_0001; may come again."),
    ] = None,
    since: Annotated[str | None, typer.Option("--from", help=f"First moment; all by default. {MOMENT}")] = None,
    until: Annotated[str | None, typer.Option("--to", help=f"Moment after the last. {MOMENT}")] = None,
    read: Annotated[bool, typer.Option("--read", help="With verify: read every row too, and compare.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List, verify, restore or fill the archive.

    Restored rows go to a lake of their own, so that retention does not take them away again; delete the folder when
    you are done. Restoring may be killed and run again, and twice is once.

    Exit code 0: well. 1: a file is damaged; it is named with both hashes. 2: a mistake, or nothing is configured.

    Example: lodeline archive restore --measurement miner_telemetry --entity miner_id=miner_0001 --from 2026-01-01
    """
    from deployments.command.options import moment
    from deployments.settings import load_settings
    from storage.archive.catalogue import Catalogue, measurement_named
    from storage.declaration import Tier
    from storage.errors import NeedsHuman

    settings = load_settings(config)
    root = settings.retention.general.archive_base_path
    if root is None:
        raise NeedsHuman(
            "No archive is configured", remedy="Set general.archive_base_path in data_retention_config.yaml"
        )
    catalogue = Catalogue.open(root)
    if action is Action.RUN:
        _run(settings, root)
        return
    if tier is not None and tier not in set(Tier):
        raise NeedsHuman(f"There is no tier {tier!r}", remedy=f"There are {', '.join(Tier)}")
    parts = catalogue.parts(
        None if measurement is None else measurement_named(measurement),
        None if tier is None else Tier(tier),
        None if since is None else moment(since),
        None if until is None else moment(until),
        _tags(entity or []),
    )
    if action is Action.LIST:
        _list(parts, as_json=as_json)
    elif action is Action.VERIFY:
        _verify(settings, catalogue, parts, read=read, as_json=as_json)
    else:
        _restore(settings, catalogue, parts, as_json=as_json)


def _tags(said: Sequence[str]) -> dict[str, str]:
    from storage.errors import NeedsHuman

    tags = {}
    for text in said:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise NeedsHuman(f"--entity {text!r} is not tag=value", remedy="Write it as miner_id=miner_0001")
        tags[name] = value
    return tags


def _list(parts: Sequence[ArchivedPart], *, as_json: bool) -> None:
    import msgspec

    if as_json:
        typer.echo(msgspec.json.encode(list(parts)).decode())
        return
    for part in parts:
        typer.echo(f"{part.measurement} {part.tier} {part.date}: {part.rows} rows, {part.bytes} bytes, {part.state}")
    total = sum(part.bytes for part in parts)
    typer.echo(f"{len(parts)} files, {sum(part.rows for part in parts)} rows, {total} bytes")


def _verify(
    settings: Settings, catalogue: Catalogue, parts: Sequence[ArchivedPart], *, read: bool, as_json: bool
) -> None:
    import dataclasses
    import json
    import socket

    from storage.archive.verifying import verify
    from storage.audit.entry import AuditKind
    from storage.audit.trail import Trail

    files = itertools.count(1)
    with progress("verifying", as_json=as_json) as show:
        report = verify(catalogue, parts, read=read, told=lambda part: show(next(files), len(parts), part.path))
    trail = Trail.open(settings.host.data_directory, socket.gethostname())
    trail.record(
        AuditKind.VERIFIED,
        str(catalogue.root),
        actor=ACTOR,
        detail={"files": report.files, "bytes": report.bytes, "faults": len(report.faults)},
    )
    if as_json:
        typer.echo(json.dumps(dataclasses.asdict(report)))
    else:
        for fault in report.faults:
            typer.echo(fault)
        typer.echo(f"{report.files} files, {report.bytes} bytes: {len(report.faults)} damaged")
    if report.faults:
        raise typer.Exit(1)


def _restore(settings: Settings, catalogue: Catalogue, parts: Sequence[ArchivedPart], *, as_json: bool) -> None:
    import json
    import socket

    from storage.archive.restoring import FOLDER, restore
    from storage.audit.entry import AuditKind
    from storage.audit.trail import Trail
    from storage.erasure.tombstones import Tombstones

    lake = settings.host.data_directory / FOLDER
    erased = Tombstones(settings.host.data_directory)
    files = itertools.count(1)
    trail = Trail.open(settings.host.data_directory, socket.gethostname())
    with progress("restoring", as_json=as_json) as show:

        def told(part: ArchivedPart) -> None:
            trail.record(AuditKind.RESTORED, part.path, actor=ACTOR, detail={"rows": part.rows})
            show(next(files), len(parts), part.path)

        report = restore(
            catalogue,
            parts,
            lake,
            without=lambda part, rows: erased.without_erased_rows(part.declared, rows),
            told=told,
        )
    if as_json:
        typer.echo(json.dumps({"files": len(report.parts), "rows_written": report.rows, "lake": str(lake)}))
    else:
        typer.echo(f"{len(report.parts)} files, {report.rows} rows written into {lake}")


def _run(settings: Settings, root: Path) -> None:
    import socket
    import time

    from storage.archive.moving import ArchiveReport
    from storage.archive.running import due_work
    from tasks.archive.notice import in_words

    total = ArchiveReport()
    with (
        progress("archiving") as show,
        due_work(
            settings.host, root, settings.retention, int(time.time()), host=socket.gethostname(), actor=ACTOR
        ) as due,
    ):
        for number, (name, work) in enumerate(due):
            show(number, len(due), name)
            total |= work(lambda: False)
    typer.echo(in_words(total))
    for trouble in total.troubles:
        typer.echo(trouble)
    if total.troubles:
        raise typer.Exit(1)
