"""What the size cap dropped: one line per segment in ``shed.jsonl``, durable before the segment goes."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import msgspec

from storage.spool.durable import sync_directory
from storage.spool.mark import Mark
from storage.spool.segment import Segment

_log = logging.getLogger(__name__)


class Shed(msgspec.Struct, frozen=True, kw_only=True):
    """One segment dropped. ``undelivered`` has the points of it that each sink had not confirmed at that moment.

    A sink that was storing them just then may still confirm them; its mark, not this line, is its book.
    """

    segment: str
    first_sequence: int
    last_sequence: int
    points: int
    undelivered: dict[str, int]
    time: float


def shed_path(lane: Path) -> Path:
    """Where a lane's shed segments are listed."""
    return lane / "shed.jsonl"


def sheds_of(lane: Path) -> list[Shed]:
    """Segments that the cap dropped, oldest first. A last line torn by a crash does not count: its segment stayed."""
    try:
        lines = shed_path(lane).read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    return [msgspec.json.decode(line, type=Shed) for line in lines[:-1] if line]


def describe_shed(segment: Segment, successor: Segment, marks: dict[str, Mark], now: float) -> Shed:
    """The line for ``segment``, which ends where ``successor`` begins."""
    return Shed(
        segment=segment.path.name,
        first_sequence=segment.first_sequence,
        last_sequence=successor.first_sequence - 1,
        points=successor.points_before - segment.points_before,
        undelivered={
            sink: max(0, successor.points_before - max(mark.points, segment.points_before))
            for sink, mark in marks.items()
        },
        time=now,
    )


def note_shed(lane: Path, shed: Shed) -> None:
    """Make the line durable; only then may the segment be removed."""
    path = shed_path(lane)
    with path.open("ab+") as file:
        file.seek(0)
        whole = file.read().rfind(b"\n") + 1
        file.truncate(whole)  # a line torn by a crash
        file.write(msgspec.json.encode(shed) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    sync_directory(lane)
    _log.error(
        "%s: over its size cap, dropped records %d to %d (%d points); not delivered to: %s",
        lane, shed.first_sequence, shed.last_sequence, shed.points,
        ", ".join(f"{sink} {points}" for sink, points in shed.undelivered.items() if points) or "no sink known yet",
    )  # fmt: skip
