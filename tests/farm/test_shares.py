"""Luck: the counts are those of a Poisson process, and asking does not change them."""

from __future__ import annotations

import math
import statistics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployments.farm.shares import BLOCK, ShareStream

keys = st.tuples(st.integers(0, 2**63 - 1), st.integers(0, 10_000), st.integers(0, 3))
points = st.floats(0, 100_000)


@settings(max_examples=50, deadline=None)
@given(keys, st.lists(points, min_size=2, max_size=12))
def test_counts_never_fall_and_do_not_depend_on_the_order_of_asking(key, asked):
    stream = ShareStream(key)
    counts = {point: stream.count(point) for point in asked}
    for point in sorted(asked):
        assert counts[point] == ShareStream(key).count(point)
    in_order = [counts[point] for point in sorted(asked)]
    assert in_order == sorted(in_order)


@given(keys, points)
@settings(max_examples=50, deadline=None)
def test_the_last_share_is_where_the_count_rose(key, point):
    stream = ShareStream(key)
    count, last = stream.count_and_last(point)
    if last is None:
        assert count == 0
        return
    assert last <= point
    assert stream.count(min(point, last + 1e-6)) == count
    assert stream.count(last - 1e-6) < count


@given(keys, st.integers(1, 300))
@settings(max_examples=50, deadline=None)
def test_the_last_share_may_be_in_the_block_before(key, block):
    stream = ShareStream(key)
    begin = float(block * BLOCK)
    count, last = stream.count_and_last(begin)
    assert last is not None
    assert stream.count(last - 1e-6) < count
    assert stream.count(min(begin, last + 1e-6)) == count


def test_nothing_is_found_before_anything_was_due():
    assert ShareStream((1, 2, 3)).count_and_last(0.0) == (0, None)


@pytest.mark.parametrize("width", [1, 40, BLOCK, 5 * BLOCK])
def test_counts_spread_as_those_of_a_poisson_process(width):
    """Mean and variance of a Poisson count are both its width, within and across blocks (4 sigma of 500 samples)."""
    counts = [
        stream.count(3 * BLOCK + 17 + width) - stream.count(3 * BLOCK + 17)
        for stream in (ShareStream((7, number)) for number in range(500))
    ]
    assert statistics.mean(counts) == pytest.approx(width, abs=4 * math.sqrt(width / 500))
    assert statistics.variance(counts) == pytest.approx(width, rel=4 * math.sqrt((2 + 1 / width) / 500))
