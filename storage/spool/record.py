"""One spool record: what one append made durable, and what every sink is handed."""

from __future__ import annotations

import msgspec

from storage.frame import Frame


class Batch(msgspec.Struct, frozen=True, array_like=True):
    """Content of one record: the frames of one slot from one run.

    ``slot`` is the poll slot in whole UTC seconds; ``run_id`` the flow or process run; ``batch_id`` is the
    idempotency key of its source (lane, slot, part): spooling the same id twice is harmless, not doubled.
    """

    batch_id: str
    slot: int
    run_id: str
    frames: list[Frame]

    @property
    def points(self) -> int:
        """Rows over all frames."""
        return sum(len(frame) for frame in self.frames)


class SpoolRecord(msgspec.Struct, frozen=True):
    """A batch with its place: ``sequence`` rises by one per record of a lane and is never used again.

    ``points_before`` is the number of points in all earlier records of the lane, ever: the books need nothing else.
    ``lane_id`` tells a lane from an earlier one of the same name, whose files somebody deleted: a sink that keeps
    sequences of its own (the lake's transactions) keeps them by ``lane_id``, or it would take new records for old.
    """

    lane: str
    sequence: int
    points_before: int
    batch: Batch
    lane_id: str = ""

    @property
    def points_after(self) -> int:
        """Points of the lane up to and with this record."""
        return self.points_before + self.batch.points
