"""When a request is due: told beforehand as it then happens."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.sources.failure import SourceFailure, SourceFailureKind
from tasks.sources.pacing import is_due, next_due, wait_after
from tasks.sources.source import Request
from tasks.sources.standing import RequestStanding

SLOT, GRID = 1_800_000_000, 15

slots = st.integers(-400, 0).map(lambda n: SLOT + n * GRID)
standings = st.none() | st.builds(
    RequestStanding,
    source=st.just("s"), request=st.just("r"), every_s=st.just(60), asked_slot=st.none() | slots,
    success_slot=st.none() | slots, failure=st.none() | st.just("timeout"),
    not_before=st.just(0.0) | st.floats(SLOT - 100, SLOT + 3_000), covered_by=st.none() | st.just("wamp"),
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(standings, st.sampled_from([15, 60, 100, 300, 3_600]), st.sampled_from(["price", "markets", "x"]))
def test_the_next_slot_is_the_first_at_which_it_is_due(standing, every_s, name):
    request = Request(name, every_s)
    told = next_due("s", request, standing, SLOT, grid_s=GRID)
    assert told is not None
    assert (told % GRID, told > SLOT) == (0, True)
    coming = range(SLOT + GRID, told + GRID, GRID)
    assert [slot for slot in coming if is_due("s", request, standing, slot)] == [told]


def test_while_a_stream_brings_it_nothing_is_due():
    assert next_due("s", Request("r", 60, covered_by="wamp"), None, SLOT, grid_s=GRID) is None


def test_a_source_that_is_held_back_is_waited_for():
    assert next_due("s", Request("r", 60), None, SLOT, grid_s=GRID, held_until=SLOT + 100.5) == SLOT + 105


@pytest.mark.parametrize(
    ("kind", "pauses"),
    [
        (SourceFailureKind.GONE, [120, 720, 4_320, 25_920, 86_400, 86_400]),
        (SourceFailureKind.REFUSED, [120, 720, 3_600, 3_600]),
    ],
)
def test_what_seems_to_be_for_good_is_asked_again_soon_and_then_seldom(
    kind: SourceFailureKind, pauses: list[int]
) -> None:
    """A pool whose proxy said 410 for a minute is not away for a day; one that has closed is asked five times in it."""
    failure = SourceFailure(kind, "x")
    assert [wait_after(failure, number, 60, Random(1)) for number in range(1, len(pauses) + 1)] == pauses
    assert wait_after(failure, 10_000, 60, Random(1)) == pauses[-1]
