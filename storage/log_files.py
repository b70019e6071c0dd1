"""Log files by day: who writes closes the day before, and a sweep compresses closed files and deletes old ones.

``<name>.log`` is written to; ``<name>.<day>.log`` (``.<day>.2.log`` and so on) is closed, and ``.gz`` once compressed.
Errors stand in ``<name>.errors.log`` as well, which is kept longer. Any number of processes may write one file.
"""

from __future__ import annotations

import fcntl
import gzip
import logging
import logging.handlers
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from storage.spool.durable import sync_directory

ERRORS = ".errors"
MOST_BYTES = 64 << 20
"""A file is closed at this size, whatever the day: a storm of errors makes many files, each of which compresses."""

SETTLED_S = 600
"""A closed file is left alone so long: a process that was just writing may have a line left for it."""

_CLOSED = re.compile(r"(?P<name>.+)\.(?P<day>\d{4}-\d\d-\d\d)(\.\d+)?\.log(?P<gz>\.gz)?")
_DAY_S = 86_400


class DailyHandler(logging.handlers.WatchedFileHandler):
    """Appends to a file, and closes it first where what it holds is of a day before. UTC."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        path = Path(self.baseFilename)
        try:
            status = path.stat()
            if status.st_size and (_day(status.st_mtime) < _day(record.created) or status.st_size >= MOST_BYTES):
                _close(path, status.st_ino)
        except FileNotFoundError:
            pass  # it is made
        except OSError:  # a log that cannot be rotated is still a log
            self.handleError(record)
        super().emit(record)


def _close(path: Path, inode: int) -> None:
    with _locked(path.parent):
        status = path.stat()
        if status.st_ino == inode:  # nobody else was quicker
            path.rename(_closed_name(path, status.st_mtime))


def close_log(path: Path) -> None:
    """Close ``path``, to which nobody writes any more, under the day of its last line. Nothing where it is empty."""
    with _locked(path.parent):
        if path.exists() and path.stat().st_size:
            path.rename(_closed_name(path, path.stat().st_mtime))


def close_log_in_use(path: Path, at: float) -> None:
    """Close ``path`` under the day of ``at`` (Unix seconds) while a process has it open for appending.

    It is copied and emptied, for the process would follow it to any other name: what is written in between is lost, a
    few lines at most. Nothing of ours depends on such a file; it is what a process prints.
    """
    with _locked(path.parent):
        if path.exists() and path.stat().st_size:
            shutil.copyfile(path, _closed_name(path, at))
            os.truncate(path, 0)


def _closed_name(path: Path, at: float) -> Path:
    stem, number = f"{path.name.removesuffix('.log')}.{_day(at)}", 2
    free = path.with_name(f"{stem}.log")
    while free.exists() or free.with_name(f"{free.name}.gz").exists():
        free = path.with_name(f"{stem}.{number}.log")
        number += 1
    return free


@dataclass(slots=True)
class Swept:
    """What a sweep did, in files."""

    compressed: int = 0
    deleted: int = 0
    emptied: int = 0


def sweep_logs(
    folder: Path, now: float, *, info_days: int, error_days: int, info_gzip: bool, error_gzip: bool
) -> Swept:
    """Compress closed files of ``folder`` and delete those older than their days, counted from the end of their day.

    A file that is written to but was not for so long is emptied, never deleted: a process may have it open.
    Two at once are harmless, and so is a kill.
    """
    done = Swept()
    if not folder.is_dir():
        return done
    with _locked(folder):
        for path in sorted(folder.glob("*.log*")):
            closed = _CLOSED.fullmatch(path.name)
            name = closed["name"] if closed else path.name.removesuffix(".log")
            days, compress = (error_days, error_gzip) if name.endswith(ERRORS) else (info_days, info_gzip)
            oldest = _day(now - days * _DAY_S)
            if closed is None:
                if path.suffix == ".log" and path.stat().st_size and _day(path.stat().st_mtime) < oldest:
                    os.truncate(path, 0)
                    done.emptied += 1
            elif closed["day"] < oldest:
                path.unlink()
                done.deleted += 1
            elif compress and not closed["gz"] and now - path.stat().st_ctime >= SETTLED_S:
                _compress(path)
                done.compressed += 1
    return done


def _compress(path: Path) -> None:
    draft, status = path.with_name(f".{path.name}.gz.new"), path.stat()
    with path.open("rb") as plain, draft.open("wb") as target:
        with gzip.GzipFile(filename=path.name, fileobj=target, mode="wb", mtime=status.st_mtime) as packed:
            shutil.copyfileobj(plain, packed, 1 << 20)
        target.flush()
        os.fsync(target.fileno())
    draft.replace(path.with_name(f"{path.name}.gz"))
    sync_directory(path.parent)
    path.unlink()


def _day(at: float) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(at))


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder / ".rotation.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
