"""Reading a lane, also while another process writes it. A reader never changes a segment."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

from storage.errors import NeedsHuman
from storage.spool.codec import Header, decode
from storage.spool.record import SpoolRecord
from storage.spool.segment import Damaged, Segment, Stored, lane_id_of, scan, segments_of, set_aside

NO_BOUND = 2**63


class Position(NamedTuple):
    """A place in a lane: after record ``sequence``, up to which the lane had ``points``."""

    sequence: int
    points: int


@dataclass(frozen=True, slots=True)
class Loss:
    """Records that cannot be read any more: ``shed`` by the cap (or removed), or ``damaged`` on the disk.

    ``where`` names what is left of them: a file in the quarantine, or the gap.
    """

    cause: Literal["shed", "damaged"]
    first_sequence: int
    last_sequence: int
    points: int
    where: str


@dataclass(slots=True)
class Extract:
    """What follows a position: records and losses, up to ``position``. Points of both add up to its progress."""

    position: Position
    records: list[SpoolRecord] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)


class Extent(NamedTuple):
    """What a lane holds: records after ``oldest`` up to ``newest``."""

    oldest: Position
    newest: Position


class LaneReader:
    """Reads the lane in folder ``path``, whose name is the lane's. Cheap to make; for one thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read_on: tuple[Path, int, int] | None = None  # segment, sequence, offset after the record read last
        self._tail: tuple[Path, int, Position] | None = None  # newest segment, offset and position of its end

    @property
    def last_sequence(self) -> int:
        """Sequence of the newest record, 0 in an empty lane."""
        return self.extent().newest.sequence

    @property
    def points_accepted(self) -> int:
        """Points of all records the lane ever had."""
        return self.extent().newest.points

    def extent(self) -> Extent:
        """What the lane holds now."""
        while True:
            segments = segments_of(self._path)
            if not segments:
                return Extent(Position(0, 0), Position(0, 0))
            oldest, newest = segments[0], segments[-1]
            try:
                return Extent(Position(oldest.first_sequence - 1, oldest.points_before), self._end_of(newest))
            except FileNotFoundError:
                continue  # segments were added and this one removed since we looked

    def _end_of(self, segment: Segment) -> Position:
        if self._tail is None or self._tail[0] != segment.path:
            self._tail = (segment.path, 0, Position(segment.first_sequence - 1, segment.points_before))
        path, offset, position = self._tail
        for found in scan(path, offset):
            if isinstance(found, Stored):
                offset, position = found.end, Position(found.header.sequence, found.header.points_after)
        self._tail = (path, offset, position)
        return position

    def records_after(self, sequence: int, max_points: int, max_bytes: int = NO_BOUND) -> list[SpoolRecord]:
        """Records after ``sequence``: at least one if there is any, then as many as both bounds allow.

        ``max_bytes`` bounds what they take in the spool, deflated and without headers; in memory they take many
        times that.

        Raises:
            NeedsHuman: a record was written in a format this release does not know.
        """
        return self._retrying(sequence, None, max_points, max_bytes).records

    def read_after(self, position: Position, max_points: int, max_bytes: int = NO_BOUND) -> Extract:
        """As :meth:`records_after`, and what was lost since ``position``, to the point. Damaged bytes are set aside.

        Raises:
            NeedsHuman: a record has an unknown format, or the lane contradicts ``position``.
        """
        return self._retrying(position.sequence, position.points, max_points, max_bytes)

    def _retrying(self, sequence: int, points: int | None, max_points: int, max_bytes: int) -> Extract:
        while True:
            segments = segments_of(self._path)
            if not segments:
                return Extract(Position(sequence, points or 0))
            try:
                return self._read(segments, sequence, points, max_points, max_bytes)
            except FileNotFoundError:
                continue  # a segment was removed since we looked

    def _read(
        self, segments: list[Segment], sequence: int, points: int | None, max_points: int, max_bytes: int
    ) -> Extract:
        progress = _Progress(self._path, sequence, points)
        oldest = segments[0]
        progress.skip_to(oldest.first_sequence, oldest.points_before, "shed", f"records before {oldest.path.name}")
        follows = [*segments[1:], None]
        wanted = size = 0
        for segment, successor in zip(segments, follows, strict=True):
            if successor is not None and successor.first_sequence <= progress.sequence + 1:
                continue
            damage = f"{segment.path.name}: missing"
            progress.skip_to(segment.first_sequence, segment.points_before, "damaged", damage)
            for found in scan(segment.path, self._offset_in(segment, progress.sequence)):
                if isinstance(found, Damaged):
                    if found.at_end and successor is None:
                        break  # being written just now, or torn: its writer decides
                    damage = str(set_aside(segment, found))
                    continue
                header = found.header
                if header.sequence <= progress.sequence:
                    self._read_on = (segment.path, header.sequence, found.end)
                    continue
                if wanted and (wanted + header.points > max_points or size + header.length > max_bytes):
                    return progress.extract()
                progress.skip_to(header.sequence, header.points_before, "damaged", damage)
                progress.take(header, found.payload, f"{segment.path.name} at {found.offset}")
                self._read_on = (segment.path, header.sequence, found.end)
                wanted += max(1, header.points)
                size += header.length
            if successor is not None:
                progress.skip_to(successor.first_sequence, successor.points_before, "damaged", damage)
        return progress.extract()

    def _offset_in(self, segment: Segment, sequence: int) -> int:
        if self._read_on is not None and self._read_on[:2] == (segment.path, sequence):
            return self._read_on[2]
        return 0


class _Progress:
    """What one read gathers. ``points`` is None until known, where only a sequence was given."""

    def __init__(self, lane: Path, sequence: int, points: int | None) -> None:
        self.sequence = sequence
        self._lane = lane
        self._lane_id = lane_id_of(lane)
        self._points = points
        self._records: list[SpoolRecord] = []
        self._losses: list[Loss] = []

    def skip_to(self, first_sequence: int, points_before: int, cause: Literal["shed", "damaged"], where: str) -> None:
        """Go on before record ``first_sequence``; what lies between is lost."""
        if first_sequence > self.sequence + 1:
            lost = points_before - (points_before if self._points is None else self._points)
            if lost < 0:
                raise NeedsHuman(
                    f"{self._lane}: {self._points} points are booked up to record {self.sequence}, but record "
                    f"{first_sequence} says {points_before}; was the spool put back from a copy?",
                    remedy=f"Move the mark.*.json files of {self._lane} away: what the lane holds is delivered again",
                )
            self._losses.append(Loss(cause, self.sequence + 1, first_sequence - 1, lost, where))
            self.sequence, self._points = first_sequence - 1, points_before

    def take(self, header: Header, payload: bytes, where: str) -> None:
        """Add a record."""
        batch = decode(header, payload, f"{self._lane.name}/{where}")
        self._records.append(SpoolRecord(self._lane.name, header.sequence, header.points_before, batch, self._lane_id))
        self.sequence, self._points = header.sequence, header.points_after

    def extract(self) -> Extract:
        return Extract(Position(self.sequence, self._points or 0), self._records, self._losses)
