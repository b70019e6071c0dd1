"""Putting a set back into an empty folder, as a data directory to begin from."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

from storage.audit.trail import AuditKind, Trail
from storage.backup.copying import copy_checked
from storage.backup.manifest import DATA, Manifest, load_manifest, sets_in
from storage.errors import NeedsHuman, TryAgain
from storage.lake.disk import explained, locked_if_free, make_folder, sync
from storage.spool.durable import replace_file
from storage.spool.segment import LANE_ID


def restore_set(folder: Path, target: Path, *, actor: str, told: Callable[[int], None] = lambda _: None) -> Manifest:
    """Put the set ``folder`` back as the data directory ``target``, every file checked by its hash; durable.

    ``target`` appears whole or not at all: killed before, the same call again begins anew.

    A lake that is not in the set, on an object store say, may know records of the lanes beyond those of the set. Their
    numbers are given again from now on, so such lanes get a new identity: nothing new is taken for old. What was not
    delivered at the backup comes to that lake a second time then, and is merged when it is read.

    Raises:
        NeedsHuman: the set is not whole or damaged; ``target`` is not empty; the disk is full or forbidden.
        TryAgain: another process restores to ``target``.
    """
    manifest = load_manifest(folder)
    target = target.absolute()
    draft = target.with_name(f".{target.name}.restoring")
    with explained(f"restore to {target}"):
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise NeedsHuman(
                f"{target} is not empty, and nothing is ever restored over data",
                remedy="Name a new folder, or move what is there away",
            )
        make_folder(target.parent)
        with locked_if_free(target.parent / f".{target.name}.restoring.lock") as ours:
            if not ours:
                raise TryAgain(f"{target} is being restored by another process")
            if draft.exists():
                shutil.rmtree(draft)
            _copy(folder, draft, manifest, told)
            if manifest.lake is None and manifest.lake_address:
                for identity in draft.glob(f"spool/*/{LANE_ID}"):
                    replace_file(identity, secrets.token_hex(8).encode())
            os.sync()
            draft.rename(target)
            sync(target.parent)
        (target.parent / f".{target.name}.restoring.lock").unlink(missing_ok=True)
    Trail.open(target, socket.gethostname()).record(
        AuditKind.RESTORED, str(folder), actor=actor, detail={"files": len(manifest.files), "bytes": manifest.bytes}
    )
    return manifest


def _copy(folder: Path, draft: Path, manifest: Manifest, told: Callable[[int], None]) -> None:
    draft.mkdir()
    for file in manifest.files:
        to = draft / file.path
        to.parent.mkdir(parents=True, exist_ok=True)
        source = folder / DATA / file.path
        if not source.is_file() or not copy_checked(source, to, file.sha256):
            shutil.rmtree(draft)
            raise NeedsHuman(
                f"{source} is {'damaged' if source.is_file() else 'missing'}; nothing was restored",
                remedy="Take another set: lodeline backup verify FOLDER says which are whole",
            )
        told(file.size)


def newer_erasures(folder: Path, manifest: Manifest) -> list[str]:
    """Numbers of erasures that sets beside ``folder`` know and this one does not: what they took is in it."""
    known = _cases(manifest)
    later: set[str] = set()
    for other in sets_in(folder.parent):
        later |= _cases(load_manifest(other)) - known
    return sorted(later)


def _cases(manifest: Manifest) -> set[str]:
    return {Path(file.path).stem for file in manifest.files if file.path.startswith("erasure/")}
