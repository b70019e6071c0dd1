"""The trail of one host: ``<data>/audit/<host>.jsonl``, append-only, fsynced, every entry chained to the one before.

The file is the truth. Its entries follow into the stores as rows of ``audit_event`` by a spool lane of their own; those
rows are also the anchor by which entries cut off at the end of the file are missed (:mod:`storage.audit.verify`).
"""

from __future__ import annotations

import fcntl
import itertools
import logging
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from storage.audit.entry import AuditEntry, AuditKind, Detail, decoded, new_entry
from storage.audit.rows import AuditLane
from storage.errors import LodelineError, NeedsHuman
from storage.spool.durable import replace_file, sync_directory

__all__ = ["AuditEntry", "AuditKind", "Trail"]

_CHUNK = 64 * 1024
_log = logging.getLogger(__name__)


class Trail:
    """Writes and reads a trail; any number of processes may have it open. Open it with :meth:`open`."""

    def __init__(self, folder: Path, host: str, lane: AuditLane) -> None:
        self.host = host
        self.path = folder / f"{file_name(host)}.jsonl"
        self._lock_path = folder / f".{file_name(host)}.lock"
        self._lane = lane

    @classmethod
    def open(cls, data_directory: Path, host: str) -> Trail:
        """The trail of ``host`` under ``data_directory``; nothing is made before the first entry."""
        return cls(data_directory / "audit", host, AuditLane(data_directory / "spool", host, file_name(host)))

    def record(
        self, kind: AuditKind, subject: str, *, actor: str, detail: Mapping[str, Detail] | None = None
    ) -> AuditEntry:
        """Append one entry: durable when this returns. Its row follows into the spool, now or with a later entry.

        ``subject`` is what it happened to, e.g. a bucket or table; ``actor`` who did it, e.g. ``flow archive`` or
        ``lodeline erase``. Neither may hold a secret.

        Raises:
            NeedsHuman: the file cannot be written, or its last line is no entry.
        """
        with self._locked(), _explained(self.path):
            entry = self._record(kind, subject, actor, detail or {})
        self.follow()
        return entry

    def follow(self) -> None:
        """Spool rows of entries that have none yet. What cannot be spooled now is tried again with the next entry."""
        try:
            with self._locked():
                self._lane.spool(self._newest_first())
        except (LodelineError, OSError) as error:
            _log.warning("%s: rows of new entries wait (%s)", self.path, error)

    def entries(self) -> Iterator[AuditEntry]:
        """Entries of the file in order; a line that is none is left to :mod:`storage.audit.verify`."""
        try:
            with self.path.open("rb") as file:
                for line in file:
                    if (entry := decoded(line)) is not None:
                        yield entry
        except FileNotFoundError:
            return

    def cut(self, before_s: int, *, actor: str) -> int:
        """Remove entries older than ``before_s`` (Unix seconds); the number removed.

        The cut is an entry of its own with sequence and hash of the last one removed, recorded first: what is left
        still verifies. Killed in between, the next cut finishes.
        """
        with self._locked(), _explained(self.path):
            old = list(itertools.takewhile(lambda entry: entry.time_ms < before_s * 1000, self.entries()))
            if not old:
                return 0
            last = old[-1]
            detail: dict[str, Detail] = {"through_sequence": last.sequence, "last_hash": last.hash}
            self._record(AuditKind.TRAIL_CUT, f"audit trail of {self.host}", actor, detail)
            kept = (entry.encoded() for entry in self.entries() if entry.sequence > last.sequence)
            replace_file(self.path, b"".join(kept))
        self.follow()
        return len(old)

    def redact(self, names_it: Callable[[str], bool], *, actor: str, case: str) -> int:
        """Take the content out of entries with a text for which ``names_it`` holds; the number of them.

        Which entries those are is recorded first, as an entry of ``case``. Killed in between, the same call again
        finishes.
        """

        def is_named(entry: AuditEntry) -> bool:
            texts = [entry.subject or "", *(entry.detail or {}), *(entry.detail or {}).values()]
            return any(isinstance(text, str) and names_it(text) for text in texts)

        with self._locked(), _explained(self.path):
            named = {entry.sequence for entry in self.entries() if is_named(entry)}
            if not named:
                return 0
            told = ",".join(map(str, sorted(named)))
            self._record(AuditKind.REDACTED, f"audit trail of {self.host}", actor, {"case": case, "entries": told})
            lines = [(x.redacted() if x.sequence in named else x).encoded() for x in self.entries()]
            replace_file(self.path, b"".join(lines))
        self.follow()
        return len(named)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with _explained(self.path):
            made = not self.path.parent.is_dir()
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if made:
                sync_directory(self.path.parent.parent)
            descriptor = os.open(self._lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _record(self, kind: AuditKind, subject: str, actor: str, detail: Mapping[str, Detail]) -> AuditEntry:
        self._mend_end()
        now_ms = time.time_ns() // 1_000_000
        entry = new_entry(
            self._last(), time_ms=now_ms, host=self.host, actor=actor, kind=kind, subject=subject, detail=detail
        )
        made = not self.path.exists()
        with self.path.open("ab") as file:
            file.write(entry.encoded())
            file.flush()
            os.fsync(file.fileno())
        if made:
            sync_directory(self.path.parent)
        return entry

    def _mend_end(self) -> None:
        """Set aside a last line that a kill tore: nobody was told of it."""
        if not self.path.exists():
            return
        with self.path.open("rb+") as file:
            torn = next(_lines_backwards(file), b"")
            if torn.endswith(b"\n") or not torn:
                return
            whole = file.seek(0, os.SEEK_END) - len(torn)
            replace_file(self.path.with_suffix(f".{whole}.torn"), torn)
            file.truncate(whole)
            os.fsync(file.fileno())
        _log.warning("%s: %d bytes at its end were torn by a crash; set aside", self.path, len(torn))

    def _last(self) -> AuditEntry | None:
        return next(self._newest_first(), None)

    def _newest_first(self) -> Iterator[AuditEntry]:
        try:
            with self.path.open("rb") as file:
                for line in _lines_backwards(file):
                    entry = decoded(line)
                    if entry is None:
                        raise NeedsHuman(
                            f"{self.path}: a line at its end is no entry of an audit trail; nothing is recorded",
                            remedy="lodeline audit --verify tells more. Keep the file, move it away, and a new chain "
                            "begins",
                        )
                    yield entry
        except FileNotFoundError:
            return


def file_name(host: str) -> str:
    """``host`` as the name of a file and of a spool lane: lower case letters, digits, ``_ - .``."""
    return re.sub(r"[^a-z0-9_.-]", "_", host.lower()).lstrip("_.-") or "host"


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise NeedsHuman(
            f"audit trail {path} cannot be written ({error.strerror or error})",
            remedy="Free space on its volume or grant the rights; nothing that must be recorded is done without it",
        ) from error


def _lines_backwards(file: BinaryIO) -> Iterator[bytes]:
    """Lines of ``file`` from its end, each with its own end; the first one may be without."""
    end, rest = file.seek(0, os.SEEK_END), b""
    while end:
        start = max(0, end - _CHUNK)
        file.seek(start)
        lines = re.findall(rb"[^\n]*\n|[^\n]+", file.read(end - start) + rest)
        rest, end = (lines[0], start) if start else (b"", 0)
        yield from reversed(lines[1:] if start else lines)
