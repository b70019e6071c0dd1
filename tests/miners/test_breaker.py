"""The breaker of one miner: its transitions, and that it never hammers."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.miners.breaker import CLOSED, Breaker, BreakerLimits, BreakerState, after_failure

LIMITS = BreakerLimits(failures=3, first_s=120.0, longest_s=900.0)


class Longest(Random):
    """No jitter: the whole wait."""

    def uniform(self, a: float, b: float) -> float:
        return b


def failed(times: list[float], breaker: Breaker = CLOSED) -> Breaker:
    for at in times:
        breaker = after_failure(breaker, at, LIMITS, Longest())
    return breaker


@pytest.mark.parametrize(
    ("failures", "now", "state"),
    [
        ([], 0, "closed"),
        ([0, 60], 60, "closed"),
        ([0, 60, 120], 120, "open"),
        ([0, 60, 120], 239, "open"),
        ([0, 60, 120], 240, "half-open"),
        ([0, 60, 120, 240], 479, "open"),
        ([0, 60, 120, 240], 480, "half-open"),
        ([0, 60, 120, 240, 480], 959, "open"),
        ([0, 60, 120, 240, 480, 960], 1_859, "open"),  # 960 s would be above the longest
        ([0, 60, 120, 240, 480, 960], 1_860, "half-open"),
        ([0, 60, 120], 119, "half-open"),  # the clock was set back
    ],
)
def test_transitions(failures: list[float], now: float, state: str) -> None:
    assert failed(failures).state(now) == BreakerState(state)


def test_it_says_since_when_and_until_when() -> None:
    breaker = failed([0, 60, 120, 240])
    assert (breaker.open_since, breaker.probe_at, breaker.trips, breaker.failures) == (120, 480, 2, 4)


@given(st.integers(2, 20), st.floats(1, 3_600), st.floats(1, 86_400), st.integers(1, 300), st.integers())
def test_it_never_hammers(failures: int, first_s: float, longest_s: float, every_s: int, seed: int) -> None:
    """A miner that never answers, asked whenever its breaker lets it be: the waits between probes grow to the longest,
    less half of it at most, and never over it."""
    limits = BreakerLimits(failures, first_s, max(first_s, longest_s))
    random, breaker, now = Random(seed), CLOSED, 0
    asked: list[int] = []
    while len(asked) < failures + 40 and now < 10**8:
        if breaker.state(now) is not BreakerState.OPEN:
            asked.append(now)
            breaker = after_failure(breaker, now, limits, random)
        now += every_s if breaker.state(now + every_s) is not BreakerState.OPEN else max(
            every_s, int(breaker.probe_at - now) // every_s * every_s
        )  # fmt: skip
    for number, (before, after) in enumerate(zip(asked[failures - 1 :], asked[failures:], strict=False)):
        whole = min(limits.longest_s, limits.first_s * 2.0**number)
        assert whole / 2 <= after - before <= whole + every_s


@given(st.lists(st.one_of(st.just("ok"), st.integers(1, 5_000)), max_size=60), st.integers())
def test_one_success_closes_it_and_time_always_comes_for_a_probe(steps: list[object], seed: int) -> None:
    random, breaker, now = Random(seed), CLOSED, 0.0
    for step in steps:
        if step == "ok":
            breaker = CLOSED
        elif isinstance(step, int):
            now += step
            if breaker.state(now) is not BreakerState.OPEN:
                breaker = after_failure(breaker, now, LIMITS, random)
        assert breaker.state(now + LIMITS.longest_s) is not BreakerState.OPEN
        assert breaker.state(now - 10**6) is not BreakerState.OPEN, "a clock set back does not lock a miner out"


def test_miners_that_failed_together_are_probed_apart() -> None:
    random = Random(1)
    probes = set()
    for _ in range(200):
        breaker = CLOSED
        for at in (0, 60, 120):
            breaker = after_failure(breaker, at, LIMITS, random)
        probes.add(round(breaker.probe_at))
    assert len(probes) > 40
    assert 180 <= min(probes) <= max(probes) <= 240
