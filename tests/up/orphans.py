"""Processes that a test may have left."""

from __future__ import annotations

import os
from pathlib import Path


def processes_of(data: Path) -> list[str]:
    """Command lines of all processes whose environment or arguments name ``data``. Linux only."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            try:
                known = (folder / "environ").read_bytes() + (folder / "cmdline").read_bytes()
                if str(data).encode() in known:
                    found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode())
            except OSError:
                continue
    return found
