"""Asking the published tables: values as they were known at any time, for one entity or for millions of questions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from storage.arrow_schema import ANSWER_TIME, END_OF_TIME_S, integers, numbers
from storage.features.join import Line, Numbers
from storage.features.reading import ABSENT, EXPIRED, Reading, reading_of
from storage.features.rows import seconds
from storage.features.table import feature_table, published
from storage.features.view import BACKFILLED, ENTITY, EVENT, KNOWN, REMEMBERED_S, FeatureView
from storage.lake.location import LakeLocation

AT_ONCE_S = 7 * 86400
"""Questions of as much time are answered at once, which bounds the rows in memory."""

_FEW = 1_000
"""Entities that rows are filtered by when files are read; of more, all rows of the time are taken."""


class OfflineStore:
    """Feature tables of the lake under ``root``."""

    def __init__(self, root: LakeLocation) -> None:
        self._root = root

    def get(self, view: FeatureView, entity: str, at: int) -> Reading:
        """What was known of ``entity`` at ``at`` (Unix seconds)."""
        for back in (view.ttl_s, view.ttl_s + REMEMBERED_S):  # mostly it is there, in a day or two of files
            rows = self._rows(view, at - back, at + 1, [entity], view.feature_names)
            line = Line.of(np.zeros(rows.num_rows, dtype=np.int64), seconds(rows), numbers(rows[KNOWN]))
            (found,) = line.at(np.zeros(1, dtype=np.int64), np.array([at]), back).tolist()
            if found >= 0:
                (row,) = rows.slice(found, 1).to_pylist()
                event = int(seconds(rows)[found])
                return reading_of(view, entity, at, (event, row[KNOWN], [row[name] for name in view.feature_names]))
        return reading_of(view, entity, at, None)

    def history(
        self,
        view: FeatureView,
        entity: str,
        start: int = 0,
        stop: int = END_OF_TIME_S,
        features: Sequence[str] | None = None,
    ) -> pa.Table:
        """Every version of every row of ``entity`` with ``start <= event time < stop``, by event and known time:
        time, known, backfilled, then the features.
        """
        names = _names(view, features)
        rows = published(feature_table(self._root, view), view, start, stop, entities=[entity], columns=names)
        rows = rows.take(integers(np.lexsort((numbers(rows[KNOWN]), seconds(rows)))))
        columns = {EVENT: rows[EVENT].cast(ANSWER_TIME), KNOWN: rows[KNOWN].cast(ANSWER_TIME)}
        return pa.table({**columns, BACKFILLED: rows[BACKFILLED], **{name: rows[name] for name in names}})

    def join(
        self,
        view: FeatureView,
        entities: Sequence[str] | pa.Array | pa.ChunkedArray,
        times: Numbers,
        features: Sequence[str] | None = None,
    ) -> pa.Table:
        """What was known of each of ``entities`` at each of ``times`` (Unix seconds): one row a question, in its order.

        Columns: ``entity``, ``time`` asked for, ``event`` and ``known`` of the row that answers, ``reason`` (expired,
        absent, or null), then the features.

        Raises:
            ValueError: an unknown feature; not as many times as entities.
        """
        names = _names(view, features)
        asked = entities if isinstance(entities, pa.Array | pa.ChunkedArray) else pa.array(entities, pa.string())
        asked = (asked.combine_chunks() if isinstance(asked, pa.ChunkedArray) else asked).cast(pa.string())
        times = np.asarray(times, dtype=np.int64)
        if len(asked) != len(times):
            raise ValueError(f"{len(asked)} entities for {len(times)} times")
        order = np.argsort(times, kind="stable")
        answers = [self._answer(view, names, asked[:0], times[:0])]
        first = 0
        while first < len(order):
            end = int(np.searchsorted(times[order], times[order[first]] + AT_ONCE_S, side="left"))
            chosen = order[first:end]
            answers.append(self._answer(view, names, asked.take(integers(chosen)), times[chosen]))
            first = end
        back = np.empty(len(order), dtype=np.int64)
        back[order] = np.arange(len(order))
        return pa.concat_tables(answers).take(integers(back))

    def _rows(
        self, view: FeatureView, start: int, stop: int, entities: list[str] | None, names: Sequence[str]
    ) -> pa.Table:
        """Rows of ``start <= event time < stop`` that were known before ``stop``."""
        table = feature_table(self._root, view)
        return published(table, view, start, stop, entities=entities, columns=names, known_until=stop - 1)

    def _answer(self, view: FeatureView, names: Sequence[str], asked: pa.Array, times: Numbers) -> pa.Table:
        distinct = asked.dictionary_encode()
        words = distinct.dictionary.to_pylist()
        first, after = (int(times.min()), int(times.max()) + 1) if len(times) else (0, 0)
        few = words if len(words) <= _FEW else None
        rows = self._rows(view, first - view.ttl_s - REMEMBERED_S, after, few, names)
        everyone = pa.chunked_array([distinct.dictionary, *rows[ENTITY].cast(pa.string()).chunks], pa.string())
        coded = everyone.combine_chunks().dictionary_encode()
        codes = numbers(coded.indices)  # of the words asked for: 0, 1, 2 ... as they came
        events = seconds(rows)
        line = Line.of(codes[len(words) :], events, numbers(rows[KNOWN]))
        found = line.at(numbers(distinct.indices), times, view.ttl_s + REMEMBERED_S)
        is_there = found >= 0
        is_old = np.zeros(len(times), dtype=np.bool_)
        is_old[is_there] = times[is_there] - events[found[is_there]] > view.ttl_s
        row, fresh = rows.take(_where(is_there, found)), rows.take(_where(is_there & ~is_old, found))
        reason = pa.array(np.select([~is_there, is_old], [0, 1], -1), mask=is_there & ~is_old)
        own = {
            ENTITY: asked,
            EVENT: integers(times).cast(ANSWER_TIME),
            "event": row[EVENT].cast(ANSWER_TIME),
            KNOWN: row[KNOWN].cast(ANSWER_TIME),
            "reason": pa.array([ABSENT, EXPIRED]).take(reason),
        }
        return pa.table({**own, **{name: fresh[name].cast(_plain(fresh[name].type)) for name in names}})


def _where(wanted: np.ndarray[tuple[int], np.dtype[np.bool_]], rows: Numbers) -> pa.Array:
    """``rows`` where they are wanted, else null."""
    return pc.if_else(pc.equal(integers(wanted.astype(np.int64)), 1), integers(rows), pa.scalar(None, pa.int64()))


def _plain(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _names(view: FeatureView, features: Sequence[str] | None) -> list[str]:
    return [view.feature(name).name for name in (features or view.feature_names)]
