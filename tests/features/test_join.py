"""The point-in-time join against the plainest reading of its rule, and against cases worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.features.join import EXPIRED, NOTHING, Line


def asked(rows: list[tuple[int, int, int]], questions: list[tuple[int, int]], ttl_s: int) -> list[int]:
    columns = np.array(rows, dtype=np.int64).reshape(-1, 3)
    asks = np.array(questions, dtype=np.int64).reshape(-1, 2)
    line = Line.of(columns[:, 0], columns[:, 1], columns[:, 2])
    return [int(row) for row in line.at(asks[:, 0], asks[:, 1], ttl_s)]


def naive(rows: list[tuple[int, int, int]], questions: list[tuple[int, int]], ttl_s: int) -> list[int]:
    """Look at every row for every question."""
    answers = []
    for entity, time in questions:
        best = None
        for at, (whose, event, known) in enumerate(rows):
            if whose == entity and event <= time and known <= time and (best is None or (event, known) >= best[:2]):
                best = (event, known, at)
        answers.append(NOTHING if best is None else EXPIRED if time - best[0] > ttl_s else best[2])
    return answers


small = st.integers(0, 12)
"""Few values, so that ties of entity, event and known time are the rule and not the exception."""


@settings(max_examples=400, deadline=None)
@given(
    rows=st.lists(st.tuples(st.integers(0, 3), small, st.integers(0, 20)), max_size=40),
    questions=st.lists(st.tuples(st.integers(0, 4), st.integers(-3, 25)), max_size=30),
    ttl_s=st.integers(0, 15),
)
def test_it_answers_as_looking_at_every_row_does(
    rows: list[tuple[int, int, int]], questions: list[tuple[int, int]], ttl_s: int
) -> None:
    assert asked(rows, questions, ttl_s) == naive(rows, questions, ttl_s)


@settings(max_examples=100, deadline=None)
@given(
    rows=st.lists(st.tuples(st.integers(0, 3), small, st.integers(0, 20)), min_size=1, max_size=40),
    questions=st.lists(st.tuples(st.integers(0, 3), st.integers(-3, 25)), max_size=30),
)
def test_times_far_apart_too(rows: list[tuple[int, int, int]], questions: list[tuple[int, int]]) -> None:
    """Entity, event and known time do not fit into one number here, and are ranked by sorting."""
    far = 1 << 30
    rows, questions = [(e, t * far, k * far) for e, t, k in rows], [(e, t * far) for e, t in questions]
    assert asked(rows, questions, 5 * far) == naive(rows, questions, 5 * far)


@settings(max_examples=100, deadline=None)
@given(
    rows=st.lists(st.tuples(st.integers(0, 2), small, small), min_size=1, max_size=20),
    question=st.tuples(st.integers(0, 2), small),
    later=st.lists(st.tuples(st.integers(0, 2), small, st.integers(13, 20)), max_size=20),
)
def test_what_becomes_known_later_changes_no_answer(
    rows: list[tuple[int, int, int]], question: tuple[int, int], later: list[tuple[int, int, int]]
) -> None:
    assert asked(rows + later, [question], 100) == asked(rows, [question], 100)


H = 3600


@pytest.mark.parametrize(
    ("rows", "time", "ttl_s", "answer"),
    [  # reference/lake.md 12.7 to 12.9; rows are (event, known)
        pytest.param([(9 * H, 9 * H), (10 * H, 12 * H + 300)], 11 * H, 6 * H, 0, id="event 10:00 known 12:05"),
        pytest.param([(8 * H, 11 * H - 60), (10 * H, 10 * H)], 11 * H, 6 * H, 1, id="an old row that comes late"),
        pytest.param([(10 * H, 11 * H)], 9 * H, 6 * H, NOTHING, id="asked before every row"),
        pytest.param([(10 * H, 10 * H)], 16 * H, 6 * H, 0, id="exactly as old as the TTL"),
        pytest.param([(10 * H, 10 * H)], 16 * H + 1, 6 * H, EXPIRED, id="a second older than the TTL"),
        pytest.param([(10 * H, 10 * H), (11 * H, 11 * H + 1)], 11 * H, 6 * H, 0, id="at the end of the window"),
        pytest.param([(10 * H, 10 * H + 900), (10 * H, 12 * H)], 12 * H, 6 * H, 1, id="a correction counts once known"),
        pytest.param([(10 * H, 10 * H + 900), (10 * H, 12 * H)], 12 * H - 1, 6 * H, 0, id="and not a second before"),
        pytest.param([(10 * H, 11 * H), (10 * H, 11 * H)], 11 * H, 6 * H, 1, id="of two alike the last"),
        pytest.param([(12 * H, 10 * H)], 11 * H, 6 * H, NOTHING, id="known before its own time"),
    ],
)
def test_cases_worked_out_by_hand(rows: list[tuple[int, int]], time: int, ttl_s: int, answer: int) -> None:
    assert asked([(7, event, known) for event, known in rows], [(7, time)], ttl_s) == [answer]
    assert asked([(7, event, known) for event, known in rows], [(8, time)], ttl_s) == [NOTHING]


def test_times_too_far_apart_are_refused_rather_than_mixed_up() -> None:
    with pytest.raises(ValueError, match="too many for one join"):
        asked([(0, 0, 0), (1, 1 << 61, 0)], [(0, 1)], 1)
