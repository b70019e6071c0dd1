"""Point-in-time join: for each (entity, time) asked, the row of it that was newest among those known by then. Pure.

A row can be seen from ``max(event, known)`` on. Of all rows seen by then the one with the greatest (event, known)
counts, the last in the input where both are equal. Neither of the two usual joins gives that: by event time a row is
used before anybody had it; by known time an old row that comes late hides the newer one (reference/lake.md 8).

The way: rows sorted by the time from which they are seen; along them the running maximum of their rank by (event,
known); and for every question, by bisection, the last row seen by then, whose running maximum is the answer. Cost is
that of sorting; memory some ten numbers a row and a question.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.int64]
NOTHING, EXPIRED = -1, -2
"""In an answer: no row was known by then; the newest that was known is older than the TTL."""


@dataclass(frozen=True, slots=True)
class Line:
    """Rows of all entities made ready to be asked: sorted by (entity, time from which they are seen)."""

    _entities: Numbers  # distinct codes, ascending
    _first: Numbers  # where the rows of each begin, one more at the end
    _seen: Numbers
    _best: Numbers  # row of the input that counts from there on
    _events: Numbers  # by row of the input

    @staticmethod
    def of(entities: Numbers, events: Numbers, known: Numbers) -> Line:
        """``entities`` are codes, times Unix seconds; one element a row, in the order in which equal ones came."""
        seen = np.maximum(events, known)
        order = _sorted(entities, seen)
        # Ranks rise with the entity, so that the running maximum starts anew with each by itself.
        ranks = _ranks(entities, events, known)[order]
        is_best = ranks == np.maximum.accumulate(ranks) if len(order) else np.zeros(0, dtype=np.bool_)
        best = np.maximum.accumulate(np.where(is_best, np.arange(len(order)), 0)) if len(order) else order
        grouped = entities[order]
        first = np.flatnonzero(np.append(True, grouped[1:] != grouped[:-1])) if len(order) else order
        return Line(grouped[first], np.append(first, len(order)), seen[order], order[best], events)

    def at(self, entities: Numbers, times: Numbers, ttl_s: int) -> Numbers:
        """Row of the input that answers each question, or NOTHING, or EXPIRED where time - event > ttl_s."""
        answer = np.full(len(times), NOTHING, dtype=np.int64)
        if not len(self._seen) or not len(times):
            return answer
        which = np.minimum(np.searchsorted(self._entities, entities), len(self._entities) - 1)
        is_known = self._entities[which] == entities
        # (entity, time) as one number: both sorted lists are then one, and one bisection answers all questions
        base = min(int(self._seen.min()), int(times.min()))
        span = max(int(self._seen.max()), int(times.max())) - base + 1
        if span * (len(self._entities) + 1) >= _LARGEST:
            raise ValueError(f"times {span} s apart of {len(self._entities)} entities are too many for one join")
        keys = np.repeat(np.arange(len(self._entities)), np.diff(self._first)) * span + (self._seen - base)
        asked = which * span + (times - base)
        order = np.argsort(asked, kind="stable")  # bisecting in order finds its way in the cache: a tenth of the time
        at = np.empty(len(asked), dtype=np.int64)
        at[order] = np.searchsorted(keys, asked[order], side="right") - 1
        is_known &= at >= self._first[which]
        rows = self._best[np.maximum(at, 0)]
        is_old = times - self._events[rows] > ttl_s
        answer[is_known] = np.where(is_old, EXPIRED, rows)[is_known]
        return answer


_LARGEST = 1 << 62


def _sorted(entities: Numbers, times: Numbers) -> Numbers:
    """Order by (entity, time), stable. As one number where that fits: a third of the time of two keys."""
    packed = _packed(entities, times)
    return np.lexsort((times, entities)) if packed is None else np.argsort(packed, kind="stable")


def _ranks(entities: Numbers, events: Numbers, known: Numbers) -> Numbers:
    """Numbers that rise with (entity, event, known) and are equal where all three are."""
    packed = _packed(entities, events, known)
    if packed is not None:
        return packed
    order = np.lexsort((known, events, entities))
    rises = np.zeros(len(order), dtype=np.bool_)
    for key in (entities, events, known):
        rises[1:] |= key[order][1:] != key[order][:-1]
    ranks = np.empty(len(order), dtype=np.int64)
    ranks[order] = np.cumsum(rises)
    return ranks


def _packed(*keys: Numbers) -> Numbers | None:
    """``keys``, first one first, as one number a row that sorts as they do; None where it would not fit."""
    if not len(keys[0]):
        return keys[0]
    lows = [int(key.min()) for key in keys]
    spans = [int(key.max()) - low + 1 for key, low in zip(keys, lows, strict=True)]
    if math.prod(spans) >= _LARGEST:
        return None
    packed = np.zeros(len(keys[0]), dtype=np.int64)
    for key, low, span in zip(keys, lows, spans, strict=True):
        packed = packed * span + (key - low)
    return packed
