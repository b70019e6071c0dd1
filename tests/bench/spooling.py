"""The spool: an append with fsync against building the same points as Point objects."""

from __future__ import annotations

import tempfile
from itertools import count
from pathlib import Path

from storage.frame import Frame
from storage.spool.lane import Lane
from storage.spool.record import Batch
from tests.bench.encoding import START, as_points
from tests.bench.figure import Figure, median_cost
from tests.bench.fleet import ticks


def figures() -> list[Figure]:
    """Wall seconds of one append of about 5,000 points, fsynced, against Point objects of them."""
    (slot, frames), *_ = ticks(470, START, 1)
    points = sum(len(frame) for frame in frames)
    numbers = count()
    with tempfile.TemporaryDirectory() as folder:
        lane = Lane.open(Path(folder), "bench", cap_bytes=1 << 30)
        append = median_cost(lambda: lane.append(Batch(f"bench/{next(numbers)}", slot, "bench", frames)), runs=9)
        lane.close()
    theirs = median_cost(lambda: build_points(frames), runs=3)
    ratio = append.wall_s / theirs.wall_s
    note = (
        f"{points} points: append {append.wall_s * 1e3:.1f} ms, {points / append.wall_s:,.0f} rows/s; "
        f"Points {theirs.wall_s * 1e3:.1f} ms"
    )
    return [Figure(name="spool_append", ratio=round(ratio, 3), target="at most 0.5", ok=ratio <= 0.5, note=note)]


def build_points(frames: list[Frame]) -> list[str]:
    """The points as text, which is what a client without a spool would hold in memory."""
    return [line for frame in frames for line in as_points(frame)]
