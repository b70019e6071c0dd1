"""Copying a file into a set: hashed while it is read, or linked to the set before where it did not change."""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from storage.backup.manifest import DATA, KeptFile
from storage.errors import StoreError

_CHUNK = 1 << 20
_BUSY_S = 30.0


class MovedOn(Exception):
    """What was to be copied was removed meanwhile, as its owner may."""


@dataclass(frozen=True, slots=True)
class Place:
    """A folder of the host, and its path in the set's ``data/``; empty for the data directory itself."""

    source: Path
    target: str

    def below(self, name: str) -> Place:
        """The folder ``name`` in it."""
        return Place(self.source / name, f"{self.target}/{name}".lstrip("/"))


@dataclass
class Copier:
    """Fills one set, ``folder``. ``before`` are files of the set ``linked_from`` by path.

    ``taken`` are the files of this try, ``ready`` those that earlier tries brought. A file that never changes once it
    is there (Parquet, commits, full segments) is linked where size and time are those of before, and copied once.
    """

    folder: Path
    linked_from: Path | None
    before: Mapping[str, KeptFile]
    told: Callable[[int], None] = lambda _: None
    taken: dict[str, KeptFile] = field(default_factory=dict)
    ready: dict[str, KeptFile] = field(default_factory=dict)
    copied_bytes: int = 0

    def begin_anew(self) -> None:
        """A new try; what was brought stays to be taken."""
        self.ready |= self.taken
        self.taken = {}

    def drop_the_rest(self) -> None:
        """Delete what earlier tries brought and this one did not take."""
        for path in self.ready.keys() - self.taken.keys():
            (self.folder / DATA / path).unlink(missing_ok=True)

    def copy(self, source: Path, path: str, *, up_to: int | None = None) -> None:
        """Take the file ``source`` as ``path``; of one that is being written only ``up_to`` so many bytes.

        Raises:
            MovedOn: it is gone.
            OSError: a disk fails or is full.
        """
        target = self._target(path)
        try:
            if up_to is None and is_final(source):
                stat = source.stat()
                if self._has(path, stat, self.ready):
                    self.taken[path] = self.ready[path]
                    return
                if self.linked_from is not None and self._has(path, stat, self.before):
                    target.unlink(missing_ok=True)
                    if _linked(self.linked_from / DATA / path, target):
                        self.taken[path] = self.before[path]
                        self.told(stat.st_size)
                        return
            self._copy(source, path, target, up_to)
        except FileNotFoundError as error:
            if source.exists():
                raise
            raise MovedOn(f"{source} was removed") from error

    def put(self, path: str, content: bytes) -> None:
        """Take ``content`` as the file ``path``."""
        target = self._target(path)
        target.write_bytes(content)
        self._took(path, target, hashlib.sha256(content).hexdigest(), target.stat().st_mtime_ns)

    def _target(self, path: str) -> Path:
        target = self.folder / DATA / path
        target.parent.mkdir(parents=True, exist_ok=True)
        return target

    @staticmethod
    def _has(path: str, stat: os.stat_result, known: Mapping[str, KeptFile]) -> bool:
        file = known.get(path)
        return file is not None and (file.size, file.mtime_ns) == (stat.st_size, stat.st_mtime_ns)

    def _copy(self, source: Path, path: str, target: Path, up_to: int | None) -> None:
        target.unlink(missing_ok=True)
        if source.suffix == ".sqlite":
            _copy_database(source, target)
            self._took(path, target, _hash_of(target), source.stat().st_mtime_ns)
            return
        digest, left = hashlib.sha256(), up_to
        whole_lines = source.suffix == ".jsonl"
        with source.open("rb") as read, target.open("wb") as written:
            stat = os.fstat(read.fileno())
            left = stat.st_size if left is None else left  # what comes later belongs to the next set
            while left and (chunk := read.read(min(_CHUNK, left))):
                left -= len(chunk)
                if whole_lines and not left:
                    chunk = chunk[: chunk.rfind(b"\n") + 1]  # a line that is being written belongs to the next set too
                digest.update(chunk)
                written.write(chunk)
                self.told(len(chunk))
        os.utime(target, ns=(stat.st_mtime_ns, stat.st_mtime_ns))
        self._took(path, target, digest.hexdigest(), stat.st_mtime_ns)

    def _took(self, path: str, target: Path, sha256: str, mtime_ns: int) -> None:
        size = target.stat().st_size
        self.copied_bytes += size
        self.taken[path] = KeptFile(path, size, mtime_ns, sha256)


def copied_tree(
    copier: Copier, place: Place, *, leave: Callable[[Path], bool] = lambda _: False, only_final: bool = False
) -> None:
    """Take every file below ``place`` but locks, drafts and those that ``leave`` names.

    Raises:
        MovedOn: a file was removed before its turn.
    """
    for folder, below, names in os.walk(place.source, followlinks=True):  # a lake may lie behind a link
        at = Path(folder)
        below[:] = sorted(name for name in below if name not in (".spill",) and not leave(at / name))
        for name in sorted(names):
            path = at / name
            if is_passing(path) or leave(path) or (only_final and not is_final(path)):
                continue
            relative = path.relative_to(place.source).as_posix()
            copier.copy(path, f"{place.target}/{relative}".lstrip("/"))


def is_final(path: Path) -> bool:
    """Whether a file of this name never changes once it is there."""
    return path.suffix in (".parquet", ".spool") or (path.suffix == ".json" and path.parent.name == "_delta_log")


def is_passing(path: Path) -> bool:
    """Whether a file of this name means nothing to another process: locks, drafts, logs of an open database."""
    name = path.name
    drafts = (".new", ".sqlite-wal", ".sqlite-shm", ".sqlite-journal", ".tmp")
    return is_lock(path) or name.endswith(drafts) or name.startswith(".probe-")


def is_lock(path: Path) -> bool:
    """Whether a file of this name is a lock: the kernel's hold is what counts, not the file."""
    return path.name.startswith("lock.") or path.name.endswith(".lock")


def copy_checked(source: Path, target: Path, sha256: str) -> bool:
    """Copy ``source`` to the new file ``target``; whether what was read has this hash."""
    digest = hashlib.sha256()
    with source.open("rb") as read, target.open("xb") as written:
        while chunk := read.read(_CHUNK):
            digest.update(chunk)
            written.write(chunk)
    shutil.copystat(source, target)
    return digest.hexdigest() == sha256


def _hash_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _linked(source: Path, target: Path) -> bool:
    try:
        os.link(source, target)
    except FileNotFoundError:
        return False
    except OSError:  # a file system without hard links, or a file that has as many as it may
        return False
    return True


def _copy_database(source: Path, target: Path) -> None:
    """By SQLite itself: all of one transaction or nothing of it, while others write."""
    if not source.exists():
        raise FileNotFoundError(source)
    try:
        with (
            closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True, timeout=_BUSY_S)) as read,
            closing(sqlite3.connect(target)) as written,
        ):
            read.backup(written)
            written.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.Error as error:
        raise StoreError(f"{source} cannot be copied: {error}") from error
