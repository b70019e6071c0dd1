"""Making a set while the host collects."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from storage.audit.trail import AuditKind, Trail
from storage.backup.copying import Copier, MovedOn, Place, copied_tree
from storage.backup.manifest import FORMAT, KeptFile, Manifest, load_manifest, save_manifest, sets_in
from storage.backup.moment import Moment, take_moment
from storage.erasure.tombstones import Tombstones
from storage.errors import NeedsHuman, TryAgain
from storage.lake.disk import explained, locked_if_free, make_folder, sync
from storage.settings import StorageSettings

LEFT_OUT = ("locks", "logs", "prefect", "restored", "farm", "fake-abacus", "page.secret")
"""Of the data directory: what means nothing elsewhere, is made anew, or can be had back from the archive."""

TRIES = 6
_UNFINISHED = ".unfinished"
_AUDIT, _ERASURE, _SPOOL = "audit", "erasure", "spool"


@dataclass(frozen=True, slots=True)
class Sources:
    """What a host keeps. ``lake`` and ``archive`` are None where they are not folders of this host, or not there."""

    data: Path
    lake: Place | None
    archive: Place | None
    lake_address: str

    @staticmethod
    def of(settings: StorageSettings, archive: Path | None) -> Sources:
        """Of a host by its settings; ``archive`` is its ``general.archive_base_path``.

        Raises:
            NeedsHuman: it has no data directory.
        """
        data = settings.data_directory.resolve()
        if not data.is_dir():
            raise NeedsHuman(f"There is no data directory {data}", remedy="Name the one that is to be backed up")
        on_disk = settings.lake.enabled and settings.lake.uri is None
        return Sources(
            data,
            _place(settings.lake_directory, data, "lake") if on_disk else None,
            _place(archive, data, "archive") if archive is not None else None,
            settings.lake_address if settings.lake.enabled else "",
        )

    @property
    def folders(self) -> list[Path]:
        """All of them."""
        return [self.data, *(place.source for place in (self.lake, self.archive) if place is not None)]

    def is_apart(self, path: Path) -> bool:
        """Whether ``path`` has its own turn, or is left out."""
        names = (*LEFT_OUT, _SPOOL, _AUDIT, _ERASURE, "lake", "archive")
        return path in self.folders or (path.parent == self.data and path.name in names)


def _place(folder: Path, data: Path, name: str) -> Place | None:
    """``folder`` and where it lies in a set: as on the host where that is inside of ``data``, else under ``name``."""
    folder = folder.resolve()
    if not folder.is_dir():
        return None
    return Place(folder, folder.relative_to(data).as_posix() if folder.is_relative_to(data) else name)


def make_backup(
    sources: Sources,
    folder: Path,
    *,
    actor: str,
    keep: int | None = None,
    told: Callable[[int], None] = lambda _: None,
) -> tuple[Path, Manifest]:
    """Make a set of ``sources`` in ``folder``; durable, and named as a set, when this returns.

    ``keep`` so many sets, this one among them; older ones are deleted afterwards. ``told`` hears of bytes that are
    done. Killed anywhere, no set is there that is not whole; the next one clears away what was left.

    Raises:
        NeedsHuman: the folder lies inside of the data, or a disk is full or forbidden.
        TryAgain: another backup into this folder, or an erasure, is under way; or all moved on too fast.
    """
    folder = folder.absolute()
    for place in sources.folders:
        if folder.resolve().is_relative_to(place):
            raise NeedsHuman(f"{folder} lies in {place}, which is to be copied", remedy="Name a folder outside of it")
    with explained(f"backup {folder}"):
        make_folder(folder)
        with locked_if_free(folder / ".lock") as ours:
            if not ours:
                raise TryAgain(f"another backup into {folder} is under way")
            for leftover in folder.glob(f"*{_UNFINISHED}"):
                shutil.rmtree(leftover)
            path, manifest = _make(sources, folder, told)
            Trail.open(sources.data, socket.gethostname()).record(
                AuditKind.BACKED_UP,
                str(path),
                actor=actor,
                detail={
                    "files": len(manifest.files),
                    "bytes": manifest.bytes,
                    "copied_bytes": manifest.copied_bytes,
                },
            )
            for old in sets_in(folder)[:-keep] if keep is not None else ():
                gone = old.with_name(old.name + _UNFINISHED)
                old.rename(gone)
                shutil.rmtree(gone)
            return path, manifest


def _make(sources: Sources, folder: Path, told: Callable[[int], None]) -> tuple[Path, Manifest]:
    began, clock = time.time(), time.monotonic()
    final = _free_name(folder, began)
    draft = final.with_name(final.name + _UNFINISHED)
    draft.mkdir()
    copier = Copier(draft, *_set_before(folder), told=told)
    for place in filter(None, (sources.lake, sources.archive)):
        with contextlib.suppress(MovedOn):  # the bulk, so that the moment is short; what moves on has its turn there
            copied_tree(copier, place, only_final=True)
    moment = _take(copier, sources)
    copier.drop_the_rest()
    manifest = Manifest(
        format=FORMAT,
        lodeline=version("lodeline"),
        host=socket.gethostname(),
        made_s=int(began),
        took_s=round(time.monotonic() - clock, 1),
        lake=sources.lake.target if sources.lake is not None else None,
        lake_address=sources.lake_address,
        archive=sources.archive.target if sources.archive is not None else None,
        tables=moment.tables,
        lanes=moment.lanes,
        files=[copier.taken[path] for path in sorted(copier.taken)],
        copied_bytes=copier.copied_bytes,
    )
    os.sync()
    save_manifest(draft, manifest)
    draft.rename(final)
    sync(folder)
    return final, manifest


def _take(copier: Copier, sources: Sources) -> Moment:
    """Everything as of one moment, in as many tries as that takes."""
    audit = Place(sources.data / _AUDIT, _AUDIT)
    reason = ""
    for _ in range(TRIES):
        copier.begin_anew()
        cases = _settled_cases(sources.data)
        try:
            # What says "done until" comes first, so it is behind what it tells of: some is done again, nothing is left.
            copied_tree(copier, Place(sources.data, ""), leave=sources.is_apart)
            copied_tree(copier, audit, leave=lambda path: not path.name.startswith("."))
            moment = take_moment(copier, Place(sources.data / _SPOOL, _SPOOL), sources.lake, sources.archive)
            # The trail comes last: nothing in the set is newer than it.
            copied_tree(copier, audit, leave=lambda path: path.name.startswith("."))
            copied_tree(copier, Place(sources.data / _ERASURE, _ERASURE))
        except MovedOn as error:
            reason = str(error)
            continue
        if _settled_cases(sources.data) == cases:
            return moment
        reason = "an erasure was done meanwhile"
    raise TryAgain(f"no set could be taken in {TRIES} tries: {reason}")


def _settled_cases(data: Path) -> list[str]:
    """Numbers of all erasures.

    Raises:
        TryAgain: one is not finished. A set made now could bring back half of what it takes.
    """
    cases = Tombstones(data).cases()
    for case in cases:
        if case.state == "begun":
            raise TryAgain(f"erasure {case.number} is not finished; back up when lodeline erase has ended")
    return [case.number for case in cases]


def _free_name(folder: Path, now: float) -> Path:
    """Sets are named by the second; two of one second are a second apart."""
    while (path := folder / time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))).exists():
        now += 1
    return path


def _set_before(folder: Path) -> tuple[Path | None, dict[str, KeptFile]]:
    """The newest whole set, and its files by path. Of a damaged one nothing is linked."""
    for path in reversed(sets_in(folder)):
        with contextlib.suppress(NeedsHuman):
            return path, {file.path: file for file in load_manifest(path).files}
    return None, {}
