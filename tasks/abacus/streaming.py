"""One feature group as a stream: its features over short windows, to a group that is written row by row.

A window has the features that the view has of an hour, worked out by the same code; its rows are keyed by entity and
time (the window's end). Rows of closed windows become files of at most batch_size rows, then the watermark moves, then
the files are sent, oldest first. A micro-batch is appended whole, and that once: where the outcome is not known, or the
service takes not all of it, its rows are upserted one by one, which may be done again. So each row is there once.

What comes later than its window is not streamed: the export has it. Windows of readings close half a minute after their
end; those of a view that is derived, whose rows are written long after their hour, once that is usually done.
"""

from __future__ import annotations

import dataclasses
import logging
from dataclasses import dataclass
from functools import partial
from operator import methodcaller
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from storage.arrow_schema import integers
from storage.declaration import Tier
from storage.downsample.carried import carried_rows
from storage.downsample.rollup import hours_of_raw, window_of
from storage.errors import NeedsHuman, TryAgain
from storage.features.rows import feature_rows
from storage.features.view import KNOWN, FeatureView
from storage.store import Store
from tasks.abacus.connection import Abacus, Busy, Refusal
from tasks.abacus.definition import RECORD, Definition
from tasks.abacus.journal import JournalFile, Rejection, StreamJournal
from tasks.abacus.rows import group_rows, plain_rows

GRACE_S = 30
"""A window of readings is closed so long after its end: until then they may be on their way to the store."""

CATCH_UP_S = 86_400
"""Older windows are not streamed after an outage; the export has what was in them."""

WINDOWS_AT_ONCE = 12

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class StreamReport:
    """What one run did for one group. ``watermark``: windows that end by then are over there."""

    table: str
    batches: int = 0
    rows: int = 0
    rejected: int = 0
    skipped: int = 0
    watermark: int | None = None


def window_rows(definition: Definition, store: Store, start: int, stop: int, window_s: int) -> pa.Table:
    """Rows of the group's view over the windows in ``[start, stop)`` (Unix seconds, multiples of ``window_s``).

    Of a view of raw rows they are those rows, with ``start < time <= stop``. Counters need to know where they stood:
    the window before is read too.
    """
    view = definition.view
    where = view.where or None
    if view.tier is Tier.RAW:
        first = start + 1 - view.width_s
        source = store.read(
            view.measurement, Tier.RAW, first, stop + 1 - view.width_s, where=where, columns=view.source_columns
        )
        rows = feature_rows(view, source, stop)
    else:
        raw = store.read(view.measurement, Tier.RAW, start - window_s, stop, where=where)
        order = [(name, "ascending") for name in (*view.measurement.tag_names, "time")]
        nothing = hours_of_raw(view.measurement, raw.slice(0, 0), raw.slice(0, 0), window_s)
        rolled = hours_of_raw(view.measurement, raw.sort_by(order), carried_rows(view.measurement, nothing), window_s)
        rows = feature_rows(dataclasses.replace(view, width_s=window_s), rolled, stop)
    ends = rows["time"].cast(pa.int64()).to_numpy() // 1_000_000
    kept = np.flatnonzero((ends > start) & (ends <= stop))
    rows = rows.take(integers(kept))
    known = integers(np.maximum(ends[kept], stop))
    return rows.set_column(rows.schema.get_field_index(KNOWN), KNOWN, known)


def closed_after_s(view: FeatureView) -> int:
    """Seconds from the end of a window until it is closed: what belongs to it is in the store by then."""
    is_derived = view.tier is Tier.RAW and view.width_s > 0
    return view.lag_s if is_derived else GRACE_S


class Stream:
    """The stream of one group.

    Args:
        group_id: of the group that is written row by row.
        window_s: length of a window.
        batch_rows: most rows of a micro-batch.
    """

    def __init__(
        self,
        abacus: Abacus,
        definition: Definition,
        group_id: str,
        file: JournalFile,
        store: Store,
        *,
        window_s: int,
        batch_rows: int,
    ) -> None:
        self._abacus = abacus
        self._definition = definition
        self._group_id = group_id
        self._file = file
        self._store = store
        self._window_s = window_s
        self._batch_rows = batch_rows
        self._token = ""
        self._report = StreamReport(file.folder.name)

    def run(self, now: int) -> StreamReport:
        """Send the windows that are closed at ``now`` (Unix seconds); the first run begins with the newest.

        Raises:
            TryAgain: the service is away; files wait. NeedsHuman: it refuses.
        """
        journal = self._file.load_stream()
        self._file.sweep(journal.waiting)
        end = window_of(now - closed_after_s(self._definition.view), self._window_s)
        if journal.watermark is None:
            journal.watermark = end - self._window_s
        while True:
            while journal.waiting:
                self._send(journal, journal.waiting[0])
            start = self._caught_up(journal, end)
            if start >= end:
                break
            self._begin(journal, start, min(end, start + WINDOWS_AT_ONCE * self._window_s))
        self._report.watermark = journal.watermark
        return self._report

    def _caught_up(self, journal: StreamJournal, end: int) -> int:
        """Where the next windows begin; those that are too old are counted and left out."""
        watermark = end if journal.watermark is None else journal.watermark
        start = window_of(max(watermark, end - CATCH_UP_S), self._window_s)
        skipped = max(0, (start - watermark) // self._window_s)
        journal.windows_skipped += skipped
        self._report.skipped += skipped
        return start

    def _begin(self, journal: StreamJournal, start: int, stop: int) -> None:
        """Have the rows of the windows in ``[start, stop)`` wait as files, and move the watermark."""
        source = window_rows(self._definition, self._store, start, stop, self._window_s)
        rows, rejected = group_rows(self._definition, source)
        letters = [Rejection(record_id=row.record, reason=row.reason, by="lodeline") for row in rejected]
        number, names = journal.batches, []
        self._file.write_rejected(number + 1, letters, by="lodeline")
        for offset in range(0, rows.num_rows, self._batch_rows):
            number += 1
            names.append(f"batch-{number:08d}.jsonl")
            part = plain_rows(rows.slice(offset, self._batch_rows))
            self._file.write_batch(names[-1], msgspec.json.Encoder().encode_lines(part))
        journal.batches = max(number, journal.batches + bool(letters))
        journal.rows_rejected += len(letters)
        self._report.rejected += len(letters)
        journal.waiting = names
        journal.watermark = stop
        self._file.save(journal)

    def _send(self, journal: StreamJournal, name: str) -> None:
        rows = self._file.read_rows(name)
        if rows is None:  # which does not hold up those after it
            _log.warning("%s: %s is gone or damaged, its rows are left to the export", self._report.table, name)
            rows = []
        rejections: list[Rejection] = []
        if rows and not self._token:
            made = self._abacus.told("a streaming token", methodcaller("create_streaming_token"))
            self._token = str(made.streaming_token)
        if rows and not self._appended(journal, name, rows):
            for row in rows:
                try:
                    self._abacus.call(f"a row of {self._report.table}", partial(self._upsert, row))
                except Refusal as refusal:
                    if refusal.is_missing:
                        raise NeedsHuman(str(refusal), remedy="Run lodeline abacus register") from refusal
                    rejections.append(Rejection(record_id=row[RECORD], reason=str(refusal), by="service", row=row))
        number = int(name.partition("-")[2].partition(".")[0])
        self._file.write_rejected(number, rejections, by="service")
        journal.waiting = [other for other in journal.waiting if other != name]
        journal.trying = None
        journal.rows_sent += len(rows) - len(rejections)
        journal.rows_rejected += len(rejections)
        self._file.save(journal)
        self._file.sweep(journal.waiting)
        self._report.batches += 1
        self._report.rows += len(rows) - len(rejections)
        self._report.rejected += len(rejections)

    def _appended(self, journal: StreamJournal, name: str, rows: list[dict[str, Any]]) -> bool:
        """Append the micro-batch, if that was never tried; whether all of it is known to be there.

        Raises:
            Busy: the service did not take it now; it is appended by the next run.
        """
        if journal.trying == name:
            return False
        journal.trying = name
        self._file.save(journal)
        try:
            self._abacus.call(f"rows of {self._report.table}", partial(self._append, rows), once=True)
        except Busy:  # known not to be there: no reason for a request a row, which it could take even less
            journal.trying = None
            self._file.save(journal)
            raise
        except (Refusal, TryAgain):
            return False
        return True

    def _append(self, rows: list[dict[str, Any]], sdk: Any) -> None:
        sdk.append_multiple_data(self._group_id, self._token, rows)

    def _upsert(self, row: dict[str, Any], sdk: Any) -> None:
        sdk.upsert_data(self._group_id, row, self._token)
