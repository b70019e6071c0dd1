"""Bytes in files, and the volumes that they lie on."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Volume:
    """One file system. ``free`` is what a user without special rights may still write."""

    identity: int
    path: str
    total: int
    free: int

    @property
    def free_percent(self) -> float:
        """Part of it that is free."""
        return 100 * self.free / self.total if self.total else 0.0


def bytes_in(folder: Path, *, without: frozenset[Path] = frozenset()) -> int:
    """Bytes that the files under ``folder`` occupy. What vanishes meanwhile counts nothing, links are not followed."""
    total, folders = 0, [folder]
    while folders:
        try:
            entries = list(os.scandir(folders.pop()))
        except (FileNotFoundError, NotADirectoryError):
            continue
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if Path(entry.path) not in without:
                    folders.append(Path(entry.path))
                continue
            try:
                total += entry.stat(follow_symlinks=False).st_blocks * 512
            except FileNotFoundError:
                continue
    return total


@dataclass(frozen=True)
class Disks:
    """Asks the kernel; what is asked can be replaced."""

    statvfs: Callable[[Path], os.statvfs_result] = os.statvfs
    device: Callable[[Path], int] = field(default=lambda path: path.stat().st_dev)

    def volume(self, path: Path) -> Volume:
        """The volume of ``path``, or of the nearest folder above it that exists."""
        there = next(place for place in (path, *path.parents) if place.exists())
        found = self.statvfs(there)
        return Volume(self.device(there), str(path), found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize)


KERNEL = Disks()
"""The disks of this host."""
