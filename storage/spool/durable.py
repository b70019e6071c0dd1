"""Files that survive a power cut: fsync of the content, and of the directory that names it."""

from __future__ import annotations

import os
from pathlib import Path


def sync_directory(path: Path) -> None:
    """Make the names in ``path`` durable: a file that was created or renamed may else be gone after a power cut."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def replace_file(path: Path, content: bytes) -> None:
    """Put ``content`` in place of ``path`` at once: whoever reads sees all of the old or all of the new, durably."""
    draft = path.with_name(path.name + ".new")
    with draft.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    sync_directory(path.parent)


def write_all(fd: int, content: bytes, offset: int) -> None:
    """Write all of ``content`` at ``offset``; one write may take only a part of it, e.g. on a disk that gets full."""
    rest = memoryview(content)
    while rest:
        written = os.pwrite(fd, rest, offset)
        rest, offset = rest[written:], offset + written
