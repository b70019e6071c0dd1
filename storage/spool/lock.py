"""Exclusive locks between processes of one host. The kernel frees them when the holder dies, however it dies.

Advisory ``flock``: the spool must lie on a local file system, not on NFS or SMB.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


def try_lock(path: Path, holder: str) -> int | None:
    """Lock ``path`` (created when missing) and note ``holder`` in it; the descriptor, or None when it is taken.

    Closing the descriptor frees the lock.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    os.ftruncate(fd, 0)
    os.pwrite(fd, holder.encode(), 0)
    return fd


def holder_of(path: Path) -> str:
    """Who noted itself in the lock file last, for messages."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip() or "another process"
    except OSError:
        return "another process"
