"""A lane: an endless row of records on disk with one writer. What it accepted is durable, whatever happens next.

Lanes of a host are folders under one spool folder; storage/spool/__init__.py lists the files in them.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import re
import secrets
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from storage.errors import NeedsHuman, TryAgain
from storage.spool.codec import Header, decode, decode_batch_id, encode
from storage.spool.durable import replace_file, sync_directory, write_all
from storage.spool.lock import holder_of, try_lock
from storage.spool.mark import marks_of
from storage.spool.reader import LaneReader, Position
from storage.spool.record import Batch, SpoolRecord
from storage.spool.segment import LANE_ID, Damaged, Segment, Stored, lane_id_of, scan, segments_of, set_aside
from storage.spool.shed import describe_shed, note_shed, sheds_of

__all__ = ["KEPT_SEGMENTS", "Lane", "LaneBusy", "LaneReader"]

SEGMENT_BYTES = 8 * 1024 * 1024
KEPT_SEGMENTS = 2
"""Newest segments that stay although delivered: a batch in them is known again after a restart (``batch_id``)."""
REMEMBERED = 4096
"""Batch ids a writer knows at most, the newest ones."""

_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]*")
_log = logging.getLogger(__name__)


class LaneBusy(TryAgain):
    """Another process writes this lane; it is free as soon as that one ends."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a record lies."""

    segment: Segment
    offset: int
    header: Header


class Lane:
    """The exclusive writer of a lane. Open it with :meth:`open`; usable from several threads.

    Size: the segments of a lane never exceed ``cap_bytes``. Where a new record does not fit, segments all known
    sinks have stored go first, then the oldest ones, each noted in ``shed.jsonl`` and logged before it goes.
    """

    def __init__(self, path: Path, lock_fd: int, cap_bytes: int, segment_bytes: int) -> None:
        self._path = path
        self._lock_fd = lock_fd
        self._cap_bytes = cap_bytes
        self._segment_bytes = segment_bytes
        self._thread_lock = threading.Lock()
        self._places: dict[str, _Place] = {}
        self._unsynced: tuple[_Place, bytes, str] | None = None
        self._fd = -1
        self._end = 0
        self._bytes = cap_bytes  # upper bound of what all segments hold; counted when it matters
        with _explained(path):
            self._finish_sheds()
            self._recover()

    @classmethod
    def open(cls, root: Path, name: str, *, cap_bytes: int, segment_bytes: int | None = None) -> Lane:
        """Open lane ``name`` under the spool folder ``root`` for writing, making it when it is new.

        A record torn by a crash at the end of the newest segment is set aside in ``quarantine/``; all others stand.

        Raises:
            LaneBusy: another process has it open.
            NeedsHuman: the disk is full or not writable.
            ValueError: the name cannot be a folder name.
        """
        if not _NAME.fullmatch(name):
            raise ValueError(f"lane name {name!r}: expected lower case letters, digits, '_', '-', '.'")
        path = root / name
        with _explained(path):
            path.mkdir(parents=True, exist_ok=True)
            sync_directory(root)
            lock_fd = try_lock(path / "lock.writer", f"process {os.getpid()}")
        if lock_fd is None:
            raise LaneBusy(f"spool lane {path} is being written by {holder_of(path / 'lock.writer')}; one at a time")
        try:
            return cls(path, lock_fd, cap_bytes, segment_bytes or min(SEGMENT_BYTES, max(1, cap_bytes // 8)))
        except BaseException:
            os.close(lock_fd)
            raise

    def close(self) -> None:
        """Let the lane go; what was appended is durable already."""
        with self._thread_lock:
            for fd in (self._fd, self._lock_fd):
                if fd >= 0:
                    os.close(fd)
            self._fd = self._lock_fd = -1

    def __enter__(self) -> Lane:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def append(self, batch: Batch, *, follows: bool = False) -> SpoolRecord:
        """Make ``batch`` durable: written and fsynced when this returns.

        A ``batch_id`` that was appended before gives the record of then, whatever is in ``batch`` now. One that
        ``follows`` is a further part of the record before it and lies in the same segment, however large that grows:
        whoever opens the lane anew knows all parts of the newest whole, or none.

        Raises:
            NeedsHuman: the disk is full or failing, or the batch is larger than the cap. Nothing accepted before is
                touched; the same call succeeds as soon as there is room.
        """
        with self._thread_lock, _explained(self._path):
            if self._fd < 0:
                raise ValueError(f"lane {self._path} is closed")
            self._sync_again()
            known = self._places.get(batch.batch_id)
            if known is not None:
                return self._read_again(known, batch)
            if os.fstat(self._fd).st_nlink == 0:
                self._restore_folder()
            header, content = encode(self._position.sequence + 1, self._position.points, batch)
            self._make_room(len(content))
            if self._end and not follows and self._end + len(content) > self._segment_bytes:
                self._start_segment(self._position)
            self._write(header, content, batch.batch_id)
            return SpoolRecord(self._path.name, header.sequence, header.points_before, batch, self._id)

    def _write(self, header: Header, content: bytes, batch_id: str) -> None:
        try:
            write_all(self._fd, content, self._end)
        except OSError:
            # Should this fail too: the next append writes at the same offset, and an open sets the rest aside.
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, self._end)
            raise
        self._unsynced = (_Place(self._segment, self._end, header), content, batch_id)
        os.fsync(self._fd)
        self._accept()

    def _sync_again(self) -> None:
        """Finish a record whose fsync failed. Readers may have seen it, so it keeps its sequence.

        It is written again, since the kernel takes pages it failed to write for clean.
        """
        if self._unsynced is not None:
            place, content, _ = self._unsynced
            write_all(self._fd, content, place.offset)
            os.fsync(self._fd)
            self._accept()

    def _accept(self) -> None:
        assert self._unsynced is not None  # noqa: S101  # set by both callers
        place, content, batch_id = self._unsynced
        self._unsynced = None
        self._end = place.offset + len(content)
        self._bytes += len(content)
        self._position = Position(place.header.sequence, place.header.points_after)
        self._remember(batch_id, place)

    def _remember(self, batch_id: str, place: _Place) -> None:
        self._places[batch_id] = place
        if len(self._places) > REMEMBERED:
            del self._places[next(iter(self._places))]

    def _read_again(self, place: _Place, batch: Batch) -> SpoolRecord:
        header = place.header
        with contextlib.suppress(FileNotFoundError):  # delivered and removed: its place is still known
            found = next(scan(place.segment.path, place.offset), None)
            if isinstance(found, Stored) and found.header == header:
                batch = decode(header, found.payload, str(place.segment.path))
        return SpoolRecord(self._path.name, header.sequence, header.points_before, batch, self._id)

    def _recover(self) -> None:
        """Find the end of the newest segment, cut off what a crash tore, and learn the newest batch ids."""
        segments = segments_of(self._path)
        floor = max((Position(mark.sequence, mark.points) for mark in marks_of(self._path).values()), default=None)
        self._id = lane_id_of(self._path)
        if not self._id or (not segments and floor is None):
            self._id = secrets.token_hex(8)
            replace_file(self._path / LANE_ID, self._id.encode())
        if not segments:
            self._start_segment(floor or Position(0, 0))
            return
        for segment in segments[-KEPT_SEGMENTS:]:
            self._segment, self._end = segment, 0
            self._position = Position(segment.first_sequence - 1, segment.points_before)
            torn = self._learn(segment)
        self._fd = os.open(self._segment.path, os.O_WRONLY | os.O_CLOEXEC)
        if torn is not None:
            set_aside(self._segment, torn)
            os.ftruncate(self._fd, self._end)
        os.fsync(self._fd)  # a record whose writer was killed before its fsync counts from here on
        if floor is not None and floor.sequence > self._position.sequence:
            _log.error(
                "%s ends with record %d, but a sink already has record %d: the disk lost what was not yet durable",
                self._path, self._position.sequence, floor.sequence,
            )  # fmt: skip
            self._start_segment(floor)

    def _learn(self, segment: Segment) -> Damaged | None:
        """Take in the records of ``segment``; what is torn at its end."""
        for found in scan(segment.path):
            if isinstance(found, Stored):
                try:
                    batch_id = decode_batch_id(found.header, found.payload, str(segment.path))
                    self._remember(batch_id, _Place(segment, found.offset, found.header))
                except NeedsHuman as error:
                    _log.warning("%s", error)  # its delivery waits for a human; collecting need not
                self._position = Position(found.header.sequence, found.header.points_after)
                self._end = found.end
            elif found.at_end:
                return found
        return None

    def _start_segment(self, position: Position) -> None:
        segment = Segment.at(self._path, position.sequence + 1, position.points)
        fd = os.open(segment.path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            sync_directory(self._path)
        except OSError:
            os.close(fd)
            with contextlib.suppress(OSError):
                segment.path.unlink()  # readers would take the present segment for finished
            raise
        if self._fd >= 0:
            os.close(self._fd)
        self._fd, self._segment, self._end, self._position = fd, segment, 0, position

    def _restore_folder(self) -> None:
        """Go on in a new segment after somebody deleted the present one: what is written to it would be lost."""
        _log.error(
            "%s was deleted under its writer; going on after record %d, what was not delivered before it is gone",
            self._segment.path, self._position.sequence,
        )  # fmt: skip
        self._path.mkdir(parents=True, exist_ok=True)
        replace_file(self._path / LANE_ID, self._id.encode())
        self._start_segment(self._position)

    def _make_room(self, needed: int) -> None:
        if needed > self._cap_bytes:
            raise NeedsHuman(
                f"spool lane {self._path}: one batch of {needed} bytes is larger than the whole cap of "
                f"{self._cap_bytes} bytes",
                remedy="Raise the cap of the spool",
            )
        if self._bytes + needed <= self._cap_bytes:
            return
        sizes = {segment: _size(segment) for segment in segments_of(self._path)}
        self._bytes = sum(sizes.values())
        if self._bytes + needed <= self._cap_bytes:
            return
        if self._end + needed > self._cap_bytes:
            self._start_segment(self._position)
        sealed = [segment for segment in sizes if segment.first_sequence < self._segment.first_sequence]
        for segment, successor in zip(sealed, [*sealed[1:], self._segment], strict=True):
            if self._bytes + needed <= self._cap_bytes:
                return
            marks = marks_of(self._path)
            if not marks or any(mark.sequence < successor.first_sequence - 1 for mark in marks.values()):
                note_shed(self._path, describe_shed(segment, successor, marks, time.time()))
            segment.path.unlink(missing_ok=True)
            self._bytes -= sizes[segment]

    def _finish_sheds(self) -> None:
        """Remove segments that are listed as shed and yet there: their writer died in between."""
        for shed in sheds_of(self._path):
            (self._path / shed.segment).unlink(missing_ok=True)


def _size(segment: Segment) -> int:
    try:
        return segment.path.stat().st_size
    except FileNotFoundError:  # delivered and removed this moment
        return 0


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn an error of the disk into one that says what it means here."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        raise NeedsHuman(
            f"spool lane {path}: {'no room to write' if full else 'cannot write'} ({error.strerror or error}); "
            "what it accepted before is safe, what comes now is not taken",
            remedy=f"{'Free space on' if full else 'Look after'} the volume of {path}; writing goes on by itself then",
        ) from error
