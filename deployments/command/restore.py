"""``lodeline restore``: a data directory out of a backup."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from deployments.command.options import JsonOption


def restore(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Backup folder, of which the newest set is taken; or one set.")
    ],
    target: Annotated[Path, typer.Option("--to", help="Data directory to make; it must be new or empty.")],
    *,
    as_json: JsonOption = False,
) -> None:
    """Put a backup back as a new data directory, each file checked by its hash.

    Nothing is ever restored over data. The lake is then in the folder lake of the new directory, the archive in its
    folder archive, if they lay elsewhere before. Start lodeline with the new directory: what was not delivered at the
    backup is delivered now, once. Killed anywhere, there is no directory, and the same command begins anew.

    Exit code 0: restored. 2: a file is damaged or missing, the directory is not empty, or there is no such set.

    Example: lodeline restore /mnt/backup/lodeline --to /var/lib/lodeline
    """
    import json

    from storage.backup.manifest import FILE_NAME, load_manifest, sets_in
    from storage.backup.restoring import newer_erasures, restore_set
    from storage.errors import NeedsHuman

    sets = [folder] if (folder / FILE_NAME).is_file() else sets_in(folder)
    if not sets:
        raise NeedsHuman(f"There is no set in {folder}", remedy="Name the folder that lodeline backup was given")
    taken = sets[-1]
    with typer.progressbar(length=load_manifest(taken).bytes, label="restoring", file=sys.stderr) as bar:
        manifest = restore_set(taken, target, actor="lodeline restore", told=bar.update)
    for case in newer_erasures(taken, manifest):
        typer.echo(
            f"Erased after this backup, and here again: case {case}. Run the same lodeline erase on {target}", err=True
        )
    if as_json:
        told = {"set": str(taken), "to": str(target), "files": len(manifest.files), "bytes": manifest.bytes}
        typer.echo(json.dumps(told))
        return
    typer.echo(f"{taken} is restored to {target}: {len(manifest.files):,} files, {manifest.bytes:,} bytes")
    if manifest.lake is None and manifest.lake_address:
        typer.echo(f"The lake was not in it: it is at {manifest.lake_address}")
