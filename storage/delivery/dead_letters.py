"""Points that a sink will never take, kept with its words: ``dead.<sink>.jsonl`` in the lane, one line per point.

They are durable before the mark moves. What was written by a delivery that was killed before its mark moved is cut
off again by the next one, which starts at the same record: so nothing is in the file twice, and a point that the
sink takes at the second try is not in it at all.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from storage.sink import DeadLetter
from storage.spool.durable import sync_directory
from storage.spool.reader import Loss

FILE_BYTES = 64 * 1024 * 1024
KEPT_FILES = 8
"""Full files kept beside the present one. The oldest goes first; the mark counts its points as before."""

_log = logging.getLogger(__name__)


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """One line. ``after`` is the record after which the delivery began that wrote it; ``line`` as sent to the sink.

    A record damaged on the disk is one line with all its ``points``; ``line`` then names the file with its bytes.
    """

    after: int
    points: int
    measurement: str
    line: str
    reason: str


class DeadLetterFile:
    """The dead letters of one sink in one lane. For one thread of one process, which holds the sink's lock."""

    def __init__(self, lane: Path, sink: str, *, file_bytes: int = FILE_BYTES, kept_files: int = KEPT_FILES) -> None:
        self.path = lane / f"dead.{sink}.jsonl"
        self._file_bytes = file_bytes
        self._kept_files = kept_files
        self._written_after = -1  # the newest delivery in the file, once known
        self._told = ""

    def write(self, after: int, dead: Sequence[DeadLetter], losses: Sequence[Loss]) -> None:
        """Make the dead letters of the delivery that began after record ``after`` durable, in place of earlier tries.

        Raises:
            OSError: they are not durable; the mark must not move.
        """
        self._cut(after)
        letters = [
            Letter(after=after, points=1, measurement=letter.measurement, line=letter.line, reason=letter.reason)
            for letter in dead
        ]
        letters += [
            Letter(
                after=after,
                points=loss.points,
                measurement="",
                line=loss.where,
                reason=f"damaged on disk: records {loss.first_sequence} to {loss.last_sequence} cannot be read",
            )
            for loss in losses
        ]
        if not letters:
            return
        self._turn_over(after)
        self._written_after = after
        with self.path.open("ab") as file:
            file.write(b"".join(msgspec.json.encode(letter) + b"\n" for letter in letters))
            file.flush()
            os.fsync(file.fileno())
        sync_directory(self.path.parent)
        if letters[0].reason != self._told:  # a series that is refused is refused every tick
            self._told = letters[0].reason
            _log.warning("%s: %d points more; first: %s", self.path, sum(x.points for x in letters), self._told)

    def _cut(self, after: int) -> None:
        """Cut off what deliveries that began at or after ``after`` left, and a line torn by a crash."""
        if -1 < self._written_after < after:
            return
        if self.path.exists():
            kept, newest = 0, -1
            with self.path.open("rb+") as file:
                for line in file:
                    letter = _parsed(line)
                    if (letter is not None and letter.after >= after) or not line.endswith(b"\n"):
                        break
                    kept += len(line)
                    newest = newest if letter is None else letter.after
                if kept < os.fstat(file.fileno()).st_size:
                    file.truncate(kept)
                    os.fsync(file.fileno())
            self._written_after = newest

    def _turn_over(self, after: int) -> None:
        if not self.path.exists() or self.path.stat().st_size < self._file_bytes:
            return
        self.path.rename(self.path.with_suffix(f".{after:012d}.jsonl"))
        full = sorted(self.path.parent.glob(f"{self.path.stem}.*.jsonl"))
        for oldest in full[: -self._kept_files]:
            _log.error("%s: dropped, more than %d full files of dead letters", oldest, self._kept_files)
            oldest.unlink()


def letters_of(lane: Path, sink: str) -> Iterator[Letter]:
    """All dead letters kept of a sink, oldest first."""
    present = lane / f"dead.{sink}.jsonl"
    for path in [*sorted(lane.glob(f"dead.{sink}.*.jsonl")), present]:
        if path.exists():
            with path.open("rb") as file:
                yield from (letter for letter in map(_parsed, file) if letter is not None)


def _parsed(line: bytes) -> Letter | None:
    try:
        return msgspec.json.decode(line, type=Letter) if line.endswith(b"\n") else None
    except msgspec.MsgspecError:
        return None
