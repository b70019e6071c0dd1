"""Back-off doubles, is capped, and its random part never undercuts half."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.resilience.backoff import Backoff


class _Highest(Random):
    def uniform(self, a: float, b: float) -> float:
        return b


@pytest.mark.parametrize(("failures", "wait_s"), [(1, 0.1), (2, 0.2), (3, 0.4), (5, 1.6), (6, 2.0), (10_000, 2.0)])
def test_waits_double_up_to_the_cap(failures: int, wait_s: float) -> None:
    assert Backoff(first_s=0.1, cap_s=2.0).wait_s(failures, _Highest()) == pytest.approx(wait_s)


@given(st.integers(1, 100), st.integers())
def test_jitter_takes_half_at_most(failures: int, seed: int) -> None:
    backoff = Backoff()
    whole = backoff.wait_s(failures, _Highest())
    assert whole / 2 <= backoff.wait_s(failures, Random(seed)) <= whole
