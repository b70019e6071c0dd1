"""The pace of a miner: tables of what each poll finds, and bounds that hold whatever happens."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.miners import cadence
from tasks.miners.cadence import Bounds, Cadence

BOUNDS = Bounds(12, 60, 120)


def run(found: str, start: Cadence | None = None) -> list[int]:
    """Intervals after each poll: ``.`` found nothing, a letter found unrest of that name."""
    now, intervals = start or cadence.at_first(BOUNDS), []
    for letter in found:
        now = cadence.after_calm(now, BOUNDS) if letter == "." else cadence.after_unrest(now, BOUNDS, letter)
        intervals.append(now.interval_s)
    return intervals


@pytest.mark.parametrize(
    ("found", "intervals"),
    [
        (".", [60]),
        ("." * 12, [60] * 11 + [90]),
        ("." * 26, [60] * 11 + [90] * 12 + [120] * 3),
        ("a", [12]),
        ("....a", [60] * 4 + [12]),
        ("a.........", [12, 12, 12, 24, 24, 24, 48, 48, 48, 60]),
        ("a..a", [12, 12, 12, 12]),
        ("a..a...", [12] * 6 + [24]),
        ("a" * 32, [12] * 30 + [60, 60]),
        ("a" * 31 + "b", [12] * 30 + [60, 12]),
        ("a" * 31 + ".", [12] * 30 + [60, 60]),
        ("." * 24 + "a", [60] * 11 + [90] * 12 + [120, 12]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_pace_follows_what_is_found(found: str, intervals: list[int]) -> None:
    assert run(found) == intervals


def test_it_says_why() -> None:
    pace = cadence.after_unrest(cadence.at_first(BOUNDS), BOUNDS, "it is degraded")
    assert (pace.interval_s, pace.why) == (12, "it is degraded")
    for _ in range(40):
        pace = cadence.after_unrest(pace, BOUNDS, "it is degraded")
    assert (pace.interval_s, pace.why) == (60, "for long: it is degraded")
    pace = cadence.after_unrest(pace, BOUNDS, "it started less than 15 minutes ago")
    pace = cadence.after_calm(cadence.after_calm(pace, BOUNDS), BOUNDS)
    assert (pace.interval_s, pace.why) == (12, "calm again after: it started less than 15 minutes ago")


@pytest.mark.parametrize(
    ("failures", "least", "most"), [(1, 60, 60), (2, 60, 120), (3, 60, 120), (9, 60, 120), (10**6, 60, 120)]
)
def test_failures_back_off_within_the_bounds_and_apart(failures: int, least: int, most: int) -> None:
    random = Random(4)
    waits = {cadence.after_failure(BOUNDS, failures, "refused", random).interval_s for _ in range(300)}
    assert min(waits) >= least
    assert max(waits) <= most
    assert failures == 1 or len(waits) > 30, "miners that failed together do not come back together"


def test_a_miner_that_asks_for_less_gets_less_at_once() -> None:
    assert cadence.after_failure(BOUNDS, 1, "http_status", Random(1), asked_for_less=True).interval_s == 120


@pytest.mark.parametrize("bounds", [(0, 1, 1), (2, 1, 3), (1, 3, 2)])
def test_bounds_that_are_none_are_refused(bounds: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="fastest <= usual <= slowest"):
        Bounds(*bounds)


@pytest.mark.parametrize(
    ("interval_s", "last", "slot", "due"),
    [(60, None, 0, True), (60, 600, 600, False), (60, 600, 612, False), (60, 612, 660, True), (12, 600, 612, True),
     (97, 970, 1_056, False), (97, 970, 1_068, True), (60, 6_000, 600, True)],
)  # fmt: skip
def test_due_when_another_interval_has_begun(interval_s: int, last: int | None, slot: int, due: bool) -> None:
    assert Cadence(interval_s=interval_s).due(slot, last) is due


EVENTS = st.lists(
    st.one_of(
        st.just(None),
        st.sampled_from(["it is degraded", "it is starting", "state changed"]),
        st.tuples(st.integers(1, 50), st.booleans()),
    ),
    max_size=80,
)


@st.composite
def any_bounds(draw: st.DrawFn) -> Bounds:
    fastest, usual, slowest = sorted(draw(st.lists(st.integers(1, 3_600), min_size=3, max_size=3)))
    return Bounds(fastest, usual, slowest)


@given(any_bounds(), st.integers(1, 100_000), EVENTS, st.integers())
def test_no_interval_leaves_its_bounds(bounds: Bounds, remembered_s: int, events: list[object], seed: int) -> None:
    """Even where the remembered interval is one of other settings."""
    random, pace = Random(seed), Cadence(interval_s=remembered_s)
    for event in events:
        if event is None:
            pace = cadence.after_calm(pace, bounds)
        elif isinstance(event, str):
            pace = cadence.after_unrest(pace, bounds, event)
        elif isinstance(event, tuple):
            pace = cadence.after_failure(bounds, event[0], "refused", random, asked_for_less=event[1])
        assert bounds.fastest_s <= pace.interval_s <= bounds.slowest_s


@given(any_bounds(), EVENTS, st.integers())
def test_calm_ends_at_the_slowest_and_unrest_at_the_usual(bounds: Bounds, events: list[object], seed: int) -> None:
    """No history locks a miner into a pace."""
    random, pace = Random(seed), cadence.at_first(bounds)
    for event in events:
        pace = (
            cadence.after_failure(bounds, event[0], "refused", random)
            if isinstance(event, tuple)
            else cadence.after_unrest(pace, bounds, str(event))
        )
    calm = pace
    for _ in range(400):
        calm = cadence.after_calm(calm, bounds)
    assert calm.interval_s == bounds.slowest_s
    for _ in range(40):
        pace = cadence.after_unrest(pace, bounds, "it is degraded")
    assert pace.interval_s == bounds.usual_s


@given(st.integers(1, 3_600), st.integers(0, 10**9))
def test_next_is_the_first_slot_that_is_due(interval_s: int, last: int) -> None:
    pace = Cadence(interval_s=interval_s)
    assert pace.due(pace.next(last), last)
    assert not pace.due(pace.next(last) - 1, last)
