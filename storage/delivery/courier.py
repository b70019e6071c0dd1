"""One courier brings the records of one lane to one sink, in order, and keeps the sink's mark."""

from __future__ import annotations

import itertools
import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from storage.delivery.backoff import Backoff
from storage.delivery.dead_letters import DeadLetterFile
from storage.delivery.lag import lag_of, noted, save_lag
from storage.delivery.trouble import Trouble, clear_trouble, tell_trouble, trouble_of
from storage.errors import NeedsHuman, TryAgain
from storage.sink import Receipt, Sink
from storage.spool.lane import KEPT_SEGMENTS
from storage.spool.lock import try_lock
from storage.spool.mark import Mark, load_mark, marks_of, save_mark
from storage.spool.reader import Extract, LaneReader, Position
from storage.spool.record import SpoolRecord
from storage.spool.segment import lane_id_of, segments_of

POINTS_PER_DELIVERY = 20_000
BYTES_PER_DELIVERY = 2 * 1024 * 1024
"""In the spool. Readings reach the bound of points first, at 1.2 MB; answers of miners, long texts, reach this one."""
NEEDS_HUMAN_RETRY_S = 60.0
"""A human may have repaired it; asking once a minute harms nobody."""

_log = logging.getLogger(__name__)


class Courier:
    """Delivers one lane to one sink. ``attempt`` may be called from several threads; they take turns.

    Only one process of a host delivers a lane to a sink, held by a lock that the kernel frees when it dies; the
    couriers of others find nothing to do meanwhile. ``all_sinks`` names the sinks for which the lane keeps its records.
    """

    def __init__(
        self,
        lane: Path,
        sink: Sink,
        all_sinks: Sequence[str],
        *,
        holder: str,
        random: Callable[[], float],
        now: Callable[[], float] = time.time,
        max_points: int = POINTS_PER_DELIVERY,
        max_bytes: int = BYTES_PER_DELIVERY,
    ) -> None:
        self.lane = lane
        self.sink = sink
        self._all_sinks = all_sinks
        self._holder = holder
        self._now = now
        self._max_points = max_points
        self._max_bytes = max_bytes
        self._backoff = Backoff(random)
        self._reader = LaneReader(lane)
        self._lane_id = ""
        self._dead_letters = DeadLetterFile(lane, sink.name)
        self._mark: Mark | None = None
        self._lock_fd: int | None = None
        self._trouble: Trouble | None = None
        self._turn = threading.Lock()

    def attempt(self) -> float | None:
        """Deliver once. Seconds until the next attempt makes sense: 0.0 after a success, None when nothing waits.

        Raises nothing: what goes wrong is shown as trouble, and the records stay in the spool.
        """
        with self._turn:
            try:
                moved = self._deliver()
            except TryAgain as error:
                self._tell("try_again", str(error))
                return self._backoff.failed(error.retry_after_s)
            except NeedsHuman as error:
                self._tell("needs_human", str(error))
                return NEEDS_HUMAN_RETRY_S
            except Exception as error:  # noqa: BLE001  # a fault of a sink must not end the delivery; shown and logged
                message = f"{type(error).__name__}: {error}"
                if self._trouble is None or self._trouble.message != message:
                    _log.exception("%s to %s: unexpected error, trying again", self.lane.name, self.sink.name)
                self._tell("fault", message)
                return self._backoff.failed()
            return 0.0 if moved else None

    def close(self) -> None:
        """Let another process deliver."""
        with self._turn:
            self._unlock()

    def has_reached(self, sequence: int) -> bool:
        """Whether record ``sequence`` is known to have its place, whoever brought it there."""
        try:
            mark = load_mark(self.lane, self.sink.name)
        except (OSError, NeedsHuman):  # attempts tell of it
            return False
        return mark is not None and mark.sequence >= sequence

    def _deliver(self) -> bool:
        if self._lock_fd is not None and lane_id_of(self.lane) != self._lane_id:
            self._unlock()  # the lane was begun anew: our lock and mark are those of files that are gone
        if self._lock_fd is None:
            self._lock_fd = try_lock(self.lane / f"lock.{self.sink.name}", self._holder)
            if self._lock_fd is None:
                return False
            # Another process may have been at it since: forget what we knew.
            self._lane_id = lane_id_of(self.lane)
            self._mark = None
            self._reader = LaneReader(self.lane)
            self._dead_letters = DeadLetterFile(self.lane, self.sink.name)
            self._trouble = trouble_of(self.lane, self.sink.name)
        if self._mark is None:
            self._mark = load_mark(self.lane, self.sink.name) or self._begin()
        mark = self._mark
        extract = self._reader.read_after(Position(mark.sequence, mark.points), self._max_points, self._max_bytes)
        if extract.position.sequence == mark.sequence:
            return False
        receipt = self._balanced(self.sink.deliver(extract.records), extract) if extract.records else Receipt(0)
        damaged = [loss for loss in extract.losses if loss.cause == "damaged"]
        self._dead_letters.write(mark.sequence, receipt.dead, damaged)
        moved = Mark(
            sink=mark.sink,
            sequence=extract.position.sequence,
            points_before_start=mark.points_before_start,
            points_stored=mark.points_stored + receipt.stored,
            points_dead_lettered=mark.points_dead_lettered + len(receipt.dead) + sum(loss.points for loss in damaged),
            points_shed=mark.points_shed + sum(loss.points for loss in extract.losses if loss.cause == "shed"),
        )
        save_mark(self.lane, moved)
        self._mark = moved
        self._succeeded()
        self._note_lag(extract.records)
        remove_delivered(self.lane, self._all_sinks)
        return True

    def _note_lag(self, records: Sequence[SpoolRecord]) -> None:
        if not records:
            return
        try:
            save_lag(self.lane, self.sink.name, noted(lag_of(self.lane, self.sink.name), records, self._now()))
        except OSError as error:  # what was delivered is delivered; the next one is counted again
            _log.warning("%s: how late it was is not noted (%s)", self.lane, error)

    def _unlock(self) -> None:
        if self._lock_fd is not None:
            os.close(self._lock_fd)
            self._lock_fd = None

    def _begin(self) -> Mark:
        """The first mark of a sink that is new to this lane: everything still there is for it."""
        oldest = self._reader.extent().oldest
        mark = Mark(sink=self.sink.name, sequence=oldest.sequence, points_before_start=oldest.points)
        save_mark(self.lane, mark)
        return mark

    def _balanced(self, receipt: Receipt, extract: Extract) -> Receipt:
        points = sum(record.batch.points for record in extract.records)
        if receipt.stored < 0 or receipt.stored + len(receipt.dead) != points:
            raise RuntimeError(
                f"sink {self.sink.name} was handed {points} points and tells of {receipt.stored} stored and "
                f"{len(receipt.dead)} dead; they are delivered again"
            )
        return receipt

    def _succeeded(self) -> None:
        self._backoff.succeeded()
        if self._trouble is not None:
            _log.info("%s to %s: well again", self.lane.name, self.sink.name)
            clear_trouble(self.lane, self.sink.name)
            self._trouble = None

    def _tell(self, kind: Literal["try_again", "needs_human", "fault"], message: str) -> None:
        if self._trouble is not None and (self._trouble.kind, self._trouble.message) == (kind, message):
            return
        since = self._now() if self._trouble is None else self._trouble.since
        self._trouble = Trouble(kind=kind, message=message, since=since)
        _log.warning("%s to %s: %s", self.lane.name, self.sink.name, message)
        try:
            tell_trouble(self.lane, self.sink.name, self._trouble)
        except OSError as error:  # a full disk, most likely the very trouble
            _log.warning("%s: cannot show it in a file (%s)", self.lane, error)


def remove_delivered(lane: Path, sinks: Sequence[str]) -> None:
    """Remove segments that every one of ``sinks`` has passed, but for the newest ones (KEPT_SEGMENTS)."""
    marks = marks_of(lane)
    if any(sink not in marks for sink in sinks):
        return
    passed = min(marks[sink].sequence for sink in sinks)
    segments = segments_of(lane)
    for segment, successor in itertools.pairwise(segments[: 1 - KEPT_SEGMENTS]):  # a successor that is kept anyway
        if successor.first_sequence <= passed + 1:
            segment.path.unlink(missing_ok=True)
