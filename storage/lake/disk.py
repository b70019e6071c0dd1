"""What the lake asks of a disk: fsync of files and folders, kernel locks, hard links."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import uuid
from collections.abc import Iterator
from pathlib import Path

from storage.errors import LodelineError, NeedsHuman, StoreError

_FULL_OR_FORBIDDEN = frozenset(
    {
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EROFS,
        errno.EACCES,
        errno.EPERM,
        errno.ENAMETOOLONG,
        errno.ENOTDIR,
        errno.EEXIST,
    }
)


def sync(path: Path) -> None:
    """Make a file's bytes, or a folder's entries, durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(path: Path) -> None:
    """Make ``path`` with its parents, each durable in its own parent."""
    if not path.is_dir():
        make_folder(path.parent)
        path.mkdir(exist_ok=True)
        sync(path.parent)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the exclusive kernel lock of ``path``; waits for it. A process that dies lets go of it."""
    with _opened(path) as descriptor:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def locked_if_free(path: Path) -> Iterator[bool]:
    """Like :func:`locked`, but gives False at once where somebody else holds the lock."""
    with _opened(path) as descriptor:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    make_folder(path.parent)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        yield descriptor  # closing it lets go of the lock
    finally:
        os.close(descriptor)


def require_local_disk(root: Path) -> None:
    """Check that ``root`` can hold a lake, making the folder when it is missing.

    Raises:
        NeedsHuman: it is an address and no path, its file system has no hard links (a Delta commit is one) or no
            kernel locks, or it cannot be written.
    """
    if re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*:/", str(root)):
        raise NeedsHuman(f"lake {str(root)!r} is not a path on this host", remedy="Give a folder on a local disk")
    if re.search(r"%[0-9a-fA-F]{2}", str(root)):
        raise NeedsHuman(
            f"lake {str(root)!r}: the Delta library takes '%' with two hex digits for an escape",
            remedy="Give a folder without it",
        )
    probe = root / f".probe-{uuid.uuid4().hex}"
    link = probe.with_suffix(".link")
    with explained(f"lake {root}"):
        make_folder(root)
        try:
            with locked(probe):
                os.link(probe, link)
        except OSError as error:
            if error.errno in _FULL_OR_FORBIDDEN - {errno.EPERM}:
                raise
            raise NeedsHuman(
                f"lake {root}: its file system has no hard links or no locks ({error.strerror})",
                remedy="Put the data directory on a local disk (ext4, xfs, btrfs, APFS); NFS, SMB and s3fs do not do",
            ) from error
        finally:
            for leftover in (probe, link):
                leftover.unlink(missing_ok=True)


@contextlib.contextmanager
def explained(what: str) -> Iterator[None]:
    """Turn an OSError into the error of Lodeline that says whether waiting helps.

    Raises:
        NeedsHuman: the disk is full, read-only or forbidden.
        StoreError: any other failure of the disk.
    """
    try:
        yield
    except LodelineError:
        raise
    except OSError as error:
        if error.errno in _FULL_OR_FORBIDDEN:
            raise NeedsHuman(f"{what}: {error}", remedy="Free or grant what is missing, nothing is lost") from error
        raise StoreError(f"{what}: {error}") from error
