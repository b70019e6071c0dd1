"""One question over all tiers, active and archived: for every stretch of time the tier that fits, and which it was.

- Rows as they were polled (no resolution, or one below an hour): raw. Past the retention of raw a UTC day of which raw
  rows are left, in the store or in the archive, is answered by them; other days by hourly rows, else by daily ones.
- An hour or more: hourly rows. Hours that the roll-up has not done yet, or has to do again since rows came late, are
  worked out of raw by the roll-up's own arithmetic. Past the retention of hourly rows, daily ones fill in likewise.
- A day or more: daily rows; days that are not done yet are made of hours in the same way.

A column asked for by the name of its field holds, whatever the tier, the mean of a gauge and the newest value of
anything else; gauges are float64, others have their declared type. So columns, types and order of an answer never
depend on the tier, nor on what was archived.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from storage.across_tiers.borders import end_of, slices
from storage.across_tiers.places import ARCHIVE, Archive, Places
from storage.across_tiers.question import Piece, Question
from storage.declaration import Measurement, Tier
from storage.downsample.rollup import DAY_S, HOUR_S, window_of
from storage.lake.merge import merged
from storage.progress import told
from storage.store import Store, Where

__all__ = ["ARCHIVE", "AcrossTiers", "Answer", "Archive", "Piece", "joined"]


ROWS_AT_ONCE = 200_000
"""Rows that a part of a long answer is meant to have."""

_LEAST_S = 900
_MOST_S = 32 * DAY_S


@dataclass(frozen=True, slots=True)
class Answer:
    """``table`` has ``time``, tags, then the columns asked for, sorted by tags, then time.

    ``pieces`` cover the time asked for without hole and overlap. A row of a tier is stamped with the start of its
    window, so the first piece may begin before what was asked for and the last may end after it.
    """

    table: pa.Table
    pieces: tuple[Piece, ...]


class AcrossTiers:
    """Reads over ``store`` and ``archive`` as of ``now`` (Unix seconds).

    ``retention_days`` by bucket is what the configuration says (RetentionSettings.bucket_days).
    """

    def __init__(self, store: Store, archive: Archive | None, retention_days: Mapping[str, int], now: int) -> None:
        self._places = Places(store, archive, retention_days, now)

    def read(
        self,
        measurement: Measurement,
        start: int,
        stop: int,
        *,
        resolution_s: int | None = None,
        where: Where | None = None,
        columns: Sequence[str] | None = None,
    ) -> Answer:
        """Rows with ``start <= time < stop`` (Unix seconds) as fine as they are kept, or windows of ``resolution_s``.

        Windows are aligned to the epoch in UTC and whole: ``start`` and ``stop`` are moved out to the next border.
        Where only a coarser tier is left its rows are given as they are. ``columns`` are fields and, with a resolution,
        columns of roll-ups too (``hashrate_hs_max``); all fields by default.

        Raises:
            ValueError: an unknown column or tag, an empty stretch, a resolution that neither divides a day nor is whole
                days.
            TryAgain: the store cannot answer.
            NeedsHuman: the archive is damaged.
        """
        if start >= stop:
            raise ValueError(f"start {start} is not before stop {stop}")
        question = Question.of(self._places, measurement, resolution_s, where, columns)
        if resolution_s is not None:
            start, stop = window_of(start, resolution_s), end_of(stop, resolution_s)
        return self._answer(question, start, stop, told)

    def in_parts(
        self,
        measurement: Measurement,
        start: int,
        stop: int,
        *,
        resolution_s: int | None = None,
        where: Where | None = None,
        columns: Sequence[str] | None = None,
        rows_at_once: int = ROWS_AT_ONCE,
    ) -> Iterator[tuple[int, Answer]]:
        """The rows of :meth:`read` a stretch of time after the other, each with the end of its stretch, sorted by time,
        then tags: memory does not grow with the whole.

        A stretch has some ``rows_at_once`` rows; past the retention of raw, and of roll-ups, it is a day at least.

        Raises:
            ValueError, TryAgain, NeedsHuman: as :meth:`read` does.
        """
        if start >= stop:
            raise ValueError(f"start {start} is not before stop {stop}")
        question = Question.of(self._places, measurement, resolution_s, where, columns)
        if resolution_s is not None:
            start, stop = window_of(start, resolution_s), end_of(stop, resolution_s)
        whole = max(DAY_S, resolution_s or 0)  # rows of coarser tiers stand for whole days, which no border may cut
        finest = math.lcm(resolution_s or 1, _LEAST_S) if question.is_of_raw else whole
        recent = window_of(self._places.horizon(measurement, Tier.RAW), whole) + whole
        order = [("time", "ascending"), *((tag, "ascending") for tag in measurement.tag_names)]
        length = HOUR_S if question.is_of_raw else DAY_S
        while start < stop:
            unit = finest if start >= recent else whole
            size = max(length // unit, 1) * unit
            end = min(window_of(start, unit) + size, stop if start >= recent else min(stop, recent))
            answer = self._answer(question, start, end)
            yield end, dataclasses.replace(answer, table=answer.table.sort_by(order))
            start, rows = end, answer.table.num_rows
            if rows < rows_at_once // 4:
                length = min(2 * size, max(_MOST_S, unit))
            elif rows > rows_at_once:
                length = max(size // 2, unit)

    def _answer(
        self, question: Question, start: int, stop: int, tell: Callable[[float, float], None] = lambda _done, _of: None
    ) -> Answer:
        tables: list[pa.Table] = []
        pieces: list[Piece] = []
        for first, end in slices(start, stop, question.at_once_s):
            parts = question.parts(first, end)
            tables += question.tables(parts)
            pieces = joined([*pieces, *(part.piece for part in parts)])
            tell(end - start, stop - start)
        return Answer(merged(pa.concat_tables(tables), question.measurement.tag_names), tuple(pieces))


def joined(pieces: Sequence[Piece]) -> list[Piece]:
    """``pieces`` with neighbours of one kind made one."""
    found: list[Piece] = []
    for piece in pieces:
        last = found[-1] if found else None
        if last and (last.stop, last.tier, last.place, last.why) == (piece.start, piece.tier, piece.place, piece.why):
            found[-1] = dataclasses.replace(last, stop=piece.stop, rows=last.rows + piece.rows)
        else:
            found.append(piece)
    return found
