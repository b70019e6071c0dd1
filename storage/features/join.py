"""Point-in-time join: for each (entity, time) asked, the row of it that was newest among those known by then. Pure.

A row can be seen from ``max(event, known)`` on. Of all rows seen by then the one with the greatest (event, known)
counts, the last in the input where both are equal. Neither of the two usual joins gives that: by event time a row is
used before anybody had it; by known time an old row that comes late hides the newer one (reference/lake.md 8).

The way: rows sorted by the time from which they are seen; along them the running maximum of their rank by (event,
known); and for every question, by bisection, the last row seen by then, whose running maximum is the answer. Cost is
that of sorting; memory some ten numbers a row and a question.
"""

from __future__ import annotations

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
        ranked = np.lexsort((known, events, entities))  # stable: the last of equal ones ranks highest
        ranks = np.empty(len(ranked), dtype=np.int64)
        ranks[ranked] = np.arange(len(ranked))
        seen = np.maximum(events, known)
        order = np.lexsort((seen, entities))
        # Ranks rise with the entity, so that the running maximum starts anew with each by itself.
        best = ranked[np.maximum.accumulate(ranks[order])] if len(order) else order
        found, first = np.unique(entities[order], return_index=True)
        return Line(found, np.append(first, len(order)), seen[order], best, events)

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
        if span * (len(self._entities) + 1) >= 1 << 62:
            raise ValueError(f"times {span} s apart of {len(self._entities)} entities are too many for one join")
        of_row = np.repeat(np.arange(len(self._entities)), np.diff(self._first))
        keys = of_row * span + (self._seen - base)
        at = np.searchsorted(keys, which * span + (times - base), side="right") - 1
        is_known &= at >= self._first[which]
        rows = self._best[np.maximum(at, 0)]
        is_old = times - self._events[rows] > ttl_s
        answer[is_known] = np.where(is_old, EXPIRED, rows)[is_known]
        return answer
