"""The page over a FramesStore, as a process: ``python -m tests.page.frames_page FOLDER HOST PORT [ROSTER...]``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from pydantic import SecretStr

from deployments.page.model import RosterEntry
from deployments.page.reading import PageReader
from deployments.page.serve import Binding, serve
from tests.page.frames_store import FramesStore

if __name__ == "__main__":
    folder, host, port, *roster = sys.argv[1:]
    password = os.environ.get("LODELINE_PAGE__PASSWORD")
    serve(
        PageReader(
            lambda: FramesStore(Path(folder) / "store"),
            Path(folder) / "state",
            [RosterEntry(name, "ANTMINER_S19", "hall-1", 60) for name in roster],
            refresh_s=0.5,
            assumed_interval_s=60,
        ),
        Binding(host, int(port), SecretStr(password) if password else None, Path(folder) / "state" / "page.secret"),
    )
