"""Whether a volume still takes anything: on a full one shifts collect nothing, and cannot even write that down."""

from __future__ import annotations

import os
from pathlib import Path

LEAST_BYTES = 2**20
"""Below it the spool cannot be relied on to take another tick."""


def lack_of_room(folder: Path) -> str | None:
    """Why nothing more fits on the volume of ``folder``, in words; None where it does, or nobody can tell."""
    try:
        volume = os.statvfs(folder)
    except OSError:
        return None  # no folder, no volume: other reasons tell that
    if not volume.f_blocks:
        return None  # a file system that counts no space
    free = volume.f_bavail * volume.f_frsize  # for this user: some is kept for root
    if free < LEAST_BYTES:
        return f"the disk of {folder} is full: {free:,} bytes free"
    if volume.f_files and not volume.f_favail:
        return f"the disk of {folder} is full: no inode is left"
    return None
