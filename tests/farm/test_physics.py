"""Properties of the physics, whatever was drawn."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployments.farm.physics import (
    DAY_S,
    FAN_DUTY_MAX,
    FAN_DUTY_MIN,
    climate,
    cooling,
    ripple,
    silicon,
    warm_up,
)

seeds = st.integers(0, 2**32)
instants = st.floats(1.5e9, 2.5e9)
intakes = st.floats(-20, 60)
loads = st.floats(0, 1.5)
fractions = st.floats(0, 1)


@settings(deadline=None)
@given(seeds, instants)
def test_a_ripple_stays_within_its_bound(seed, at):
    wave = ripple(random.Random(seed), (0.006, 41), (0.005, 330), (0.004, 5100))
    assert abs(wave.at(at)) <= wave.bound == pytest.approx(0.015)


@given(seeds, instants, st.floats(0, 600))
@settings(max_examples=30, deadline=None)
def test_hashes_are_the_area_under_the_hashrate(seed, start, seconds):
    board = silicon(random.Random(seed))
    steps = 1000
    width = seconds / steps
    midpoints = sum(board.hashrate(1e12, start + (n + 0.5) * width) for n in range(steps)) * width
    assert board.hashes(1e12, start, start + seconds) == pytest.approx(midpoints, rel=1e-5, abs=1e6)


@settings(deadline=None)
@given(seeds, instants)
def test_climate_is_one_that_miners_live_in(seed, at):
    assert 9 <= climate(random.Random(seed)).ambient(at) <= 41


@settings(deadline=None)
@given(seeds, st.integers(17_000, 25_000))
def test_afternoon_is_warmer_than_the_night(seed, day):
    weather = climate(random.Random(seed))
    assert weather.ambient(day * DAY_S + 15 * 3600) > weather.ambient(day * DAY_S + 3 * 3600)


@settings(deadline=None)
@given(intakes, loads, fractions, st.floats(1, 3))
def test_fans_stay_within_their_range_and_heat_within_reason(intake, load, fans, obstruction):
    balance = cooling(intake, load, fans, obstruction)
    assert FAN_DUTY_MIN <= balance.duty_percent <= FAN_DUTY_MAX
    assert balance.rise_c >= 0


@settings(deadline=None)
@given(intakes, loads, st.floats(0.5, 1))
def test_chips_of_a_whole_miner_stay_below_boiling_point_plus(intake, load, fans):
    assert intake <= intake + cooling(intake, load, fans).rise_c < 150


@settings(deadline=None)
@given(intakes, loads, st.floats(0.1, 1), st.floats(0.1, 10), st.floats(0.01, 0.5), st.floats(0.01, 0.5))
def test_chips_warm_with_intake_load_and_lost_fans(intake, load, fans, more_intake, more_load, fewer_fans):
    def chip(intake: float, load: float, fans: float) -> float:
        return intake + cooling(intake, load, fans).rise_c

    assert chip(intake + more_intake, load, fans) > chip(intake, load, fans)
    assert chip(intake, load + more_load, fans) > chip(intake, load, fans)
    assert chip(intake, load, max(0.1, fans - fewer_fans)) >= chip(intake, load, fans) - 1e-9


@settings(deadline=None)
@given(intakes, loads, st.floats(0.1, 10), st.floats(0.01, 0.5))
def test_fans_follow_the_heat(intake, load, more_intake, more_load):
    duty = cooling(intake, load, 1).duty_percent
    assert cooling(intake + more_intake, load, 1).duty_percent >= duty
    assert cooling(intake, load + more_load, 1).duty_percent >= duty


def test_fans_turn_as_the_heat_wants_between_their_limits():
    """At the balance, duty is 20 percent plus 4 for each degree of the chips above 50."""
    balance = cooling(25, 1, 1)
    chip = 25 + balance.rise_c
    assert balance.duty_percent == pytest.approx(20 + 4 * (chip - 50))


@settings(deadline=None)
@given(st.floats(0, 1e6), st.floats(0, 1e6))
def test_warming_up_never_turns_back(first, second):
    assert 0 <= warm_up(min(first, second)) <= warm_up(max(first, second)) <= 1
