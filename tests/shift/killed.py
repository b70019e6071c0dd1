"""A collector that is killed between two parts of a tick: ``python -m tests.shift.killed FOLDER PARTS``."""

from __future__ import annotations

import os
import signal
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from storage.frame import Frame, build_frame
from storage.spool.lane import Lane
from storage.spool.record import Batch, SpoolRecord
from tasks.shift.journal import Journal
from tasks.shift.parts import parts_of
from tasks.shift.recorder import Recorder
from tasks.shift.slots import Slot

SLOT = 1_795_478_400
MINERS = 12
PART_TEXT = 100
SEGMENT_BYTES = 300
"""Less than two records: every record begins a segment, unless it belongs to the one before."""


def polled(hashrate: float) -> Any:
    """One poll of the fleet; readings and answers tell it by its ``hashrate``. Four parts of answers."""
    names = [f"m{row:02d}" for row in range(MINERS)]
    tags: dict[str, list[Any]] = {"miner_id": names, "model": ["S19"] * MINERS, "site": ["north"] * MINERS}
    bodies = [f"{name} hashes {hashrate:f}".ljust(30, ".") for name in names]
    frames: list[Frame] = [
        build_frame("miner_telemetry", [SLOT] * MINERS, {**tags, "hashrate_hs": [hashrate] * MINERS}),
        build_frame("raw_payload", [SLOT] * MINERS, {**tags, "path": ["/summary"] * MINERS, "body": bodies}),
    ]
    return SimpleNamespace(
        frames=frames, polled=MINERS, failed=0, failed_by_reason={}, standings=(), left_alone=0,
        configurations_dropped=0, payloads_dropped=0, next_slot=None, tick_s=0.5, loop_lag_ms=1.0,
    )  # fmt: skip


def record(folder: Path, hashrate: float, run_id: str, *, killed_after: int | None = None) -> None:
    """Open the lane and record what was polled; the process is killed once ``killed_after`` parts are durable."""
    append = Lane.append
    left = killed_after

    def appended(self: Lane, batch: Batch, *, follows: bool = False) -> SpoolRecord:
        nonlocal left
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left = None if left is None else left - 1
        return append(self, batch, follows=follows)

    with (
        patch("tasks.shift.recorder.parts_of", partial(parts_of, part_text=PART_TEXT)),
        patch.object(Lane, "append", appended),
        Lane.open(folder / "spool", "miners", cap_bytes=10**7, segment_bytes=SEGMENT_BYTES) as lane,
    ):
        Recorder(
            lane, folder / "spool" / "miners", Journal(folder / "state", "miners"),
            host="host", store="embedded", sinks=["lake"], run_id=run_id,
        ).record(Slot(SLOT), polled(hashrate))  # fmt: skip


if __name__ == "__main__":
    record(Path(sys.argv[1]), 1e14, "killed", killed_after=int(sys.argv[2]))
