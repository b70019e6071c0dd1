"""``lodeline backup``: copies of this host's data while it collects."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deployments.command.options import ConfigOption, JsonOption

if TYPE_CHECKING:
    from storage.backup.manifest import Manifest


def backup(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="[list|verify] FOLDER",
            help="FOLDER: make a set in it. list FOLDER: its sets. verify FOLDER: hash every file of every set, or of "
            "one where FOLDER is a set.",
            show_default=False,
        ),
    ],
    *,
    keep: Annotated[
        int | None, typer.Option("--keep", min=1, help="Afterwards delete all but so many sets, the newest ones.")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a backup of the data directory, lake and archive of this host, list backups, or verify them.

    Collecting goes on meanwhile. Every set is whole by itself; what did not change since the set before is a hard link
    to it, so put FOLDER on another disk, and no file of it elsewhere. Not in it: InfluxDB, a lake on an object store,
    configuration, secrets that do not lie in the data directory, logs, and Prefect's server. Killed anywhere, it leaves
    no set that is not whole. docs/operations.md says how to go on from one.

    Exit code 0: made, or whole. 1: a file is damaged; it is named with both hashes. 2: a mistake, or nothing was made.

    Example: lodeline backup /mnt/backup/lodeline --keep 14
    """
    from storage.errors import NeedsHuman

    match words:
        case [folder] if folder not in ("list", "verify"):
            _make(Path(folder), keep, config, as_json=as_json)
        case ["list", folder]:
            _list(Path(folder), as_json=as_json)
        case ["verify", folder]:
            _verify(Path(folder), as_json=as_json)
        case _:
            raise NeedsHuman(f"{' '.join(words)!r} is no backup folder", remedy="Write FOLDER, or verify FOLDER")


def _make(folder: Path, keep: int | None, config: Path | None, *, as_json: bool) -> None:
    import json

    from deployments.settings import load_settings
    from storage.backup.making import Sources, make_backup

    settings = load_settings(config)
    sources = Sources.of(settings.host, settings.retention.general.archive_base_path)
    path, manifest = make_backup(sources, folder, actor="lodeline backup", keep=keep)
    if as_json:
        typer.echo(json.dumps({"set": str(path), **_told(manifest)}))
        return
    typer.echo(f"{path}: {_in_words(manifest)}, {manifest.copied_bytes:,} bytes copied in {manifest.took_s:g} s")
    if sources.lake is None and sources.lake_address:
        typer.echo(f"Not in it: the lake, which is at {sources.lake_address}", err=True)
    if settings.host.influx is not None:
        typer.echo(f"Not in it: InfluxDB at {settings.host.influx.url}", err=True)


def _list(folder: Path, *, as_json: bool) -> None:
    import json

    from storage.backup.manifest import load_manifest, sets_in

    sets = {path: load_manifest(path) for path in sets_in(folder)}
    if as_json:
        typer.echo(json.dumps([{"set": str(path), **_told(manifest)} for path, manifest in sets.items()]))
        return
    for path, manifest in sets.items():
        typer.echo(f"{path.name}  {_in_words(manifest)}, of {manifest.host}, by lodeline {manifest.lodeline}")
    typer.echo(f"{len(sets)} sets in {folder}")


def _verify(folder: Path, *, as_json: bool) -> None:
    import dataclasses
    import json

    from storage.backup.manifest import FILE_NAME, load_manifest, sets_in
    from storage.backup.verifying import verify_set
    from storage.errors import NeedsHuman

    sets = [folder] if (folder / FILE_NAME).is_file() else sets_in(folder)
    if not sets:
        raise NeedsHuman(f"There is no set in {folder}", remedy="Name the folder that lodeline backup was given")
    found = {}
    for path in sets:
        try:
            with typer.progressbar(length=load_manifest(path).bytes, label=path.name, file=sys.stderr) as bar:
                found[path] = verify_set(path, told=bar.update)
        except NeedsHuman as error:
            from storage.backup.verifying import Verified

            found[path] = Verified(faults=[str(error)])
    if as_json:
        typer.echo(json.dumps([{"set": str(path), **dataclasses.asdict(one)} for path, one in found.items()]))
    else:
        for path, one in found.items():
            for fault in one.faults:
                typer.echo(fault)
            state = f"{len(one.faults)} faults" if one.faults else "whole"
            typer.echo(f"{path.name}: {one.files:,} files, {one.bytes:,} bytes: {state}")
    if any(one.faults for one in found.values()):
        raise typer.Exit(1)


def _told(manifest: Manifest) -> dict[str, object]:
    return {
        "made": manifest.made_s, "host": manifest.host, "files": len(manifest.files), "bytes": manifest.bytes,
        "copied_bytes": manifest.copied_bytes, "seconds": manifest.took_s, "tables": len(manifest.tables),
        "lanes": manifest.lanes, "lake": manifest.lake is not None, "archive": manifest.archive is not None,
    }  # fmt: skip


def _in_words(manifest: Manifest) -> str:
    parts = [f"{len(manifest.files):,} files, {manifest.bytes:,} bytes, {len(manifest.lanes)} lanes"]
    parts += [f"{len(manifest.tables)} tables"] if manifest.lake is not None else []
    return ", ".join(parts)
