"""PSI and KS against values worked out by hand or published, and what must hold of them whatever the data."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.features.drift import Drift, drift_of_counts, drift_of_numbers, kolmogorov, ks, ks_p, psi

BIG = 10**9  # so many rows that half a row more changes nothing


@pytest.mark.parametrize(
    ("reference", "current", "expected"),
    [
        # (.25 - .5) ln(.25 / .5) + (.75 - .5) ln(.75 / .5) = .1732868 + .1013663
        pytest.param([0.5, 0.5], [0.25, 0.75], 0.2746531, id="half and half"),
        # -.1 ln(.1/.2) + .1 ln(.4/.3) = .0693147 + .0287682; the third has not moved
        pytest.param([0.2, 0.3, 0.5], [0.1, 0.4, 0.5], 0.0980829, id="a tenth moved"),
        pytest.param([0.1, 0.0, 0.9], [0.1, 0.0, 0.9], 0.0, id="a bin that nobody is in"),
    ],
)
def test_psi_by_hand(reference: list[float], current: list[float], expected: float) -> None:
    sides = [np.array([round(part * BIG) for part in side]) for side in (reference, current)]
    assert psi(sides[0], sides[1]) == pytest.approx(expected, abs=1e-6)
    assert psi(sides[1], sides[0]) == pytest.approx(expected, abs=1e-6)


def test_an_empty_bin_counts_as_half_a_row() -> None:
    """p = (100.5, .5) / 101, q = (50.5, 50.5) / 101: (q - p) ln(q / p) = .495049 x .688160 + .495049 x 4.615121."""
    assert psi(np.array([100, 0]), np.array([50, 50])) == pytest.approx(
        50 / 101 * (math.log(100.5 / 50.5) + math.log(50.5 / 0.5)), rel=1e-12
    )
    assert psi(np.array([100, 0]), np.array([50, 50])) == pytest.approx(2.62538, abs=1e-4)


@pytest.mark.parametrize(
    ("reference", "current", "expected"),
    [
        # distribution functions by hand at 1, 2, 3 ...: 1/4 2/4 3/4 1 | 0 0 1/4 2/4 3/4 1
        pytest.param([1, 2, 3, 4], [3, 4, 5, 6], 0.5, id="shifted by two"),
        pytest.param([1, 2], [3, 4, 5], 1.0, id="apart"),
        pytest.param([5, 1, 3], [1, 3, 5], 0.0, id="the same in another order"),
        # ties: F1(1) = 2/3, F2(1) = 1/3
        pytest.param([1, 1, 2], [1, 2, 2], 1 / 3, id="ties"),
    ],
)
def test_ks_by_hand(reference: list[float], current: list[float], expected: float) -> None:
    assert ks(np.array(reference, float), np.array(current, float)) == pytest.approx(expected)
    assert ks(np.array(current, float), np.array(reference, float)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("x", "chance"),
    [(1.2238, 0.10), (1.3581, 0.05), (1.4802, 0.025), (1.6276, 0.01), (1.9495, 0.001), (0.8276, 0.5)],
)
def test_the_limit_is_kolmogorovs(x: float, chance: float) -> None:
    """Critical values of the limiting distribution, as tables of it have them (Smirnov 1948)."""
    assert kolmogorov(x) == pytest.approx(chance, rel=2e-3)
    assert kolmogorov(0.1) == 1.0


def test_p_values_are_even_where_nothing_moved() -> None:
    """Of samples from one distribution a twentieth has p < 0.05."""
    dice = np.random.default_rng(4)
    below = [ks_p(ks(dice.normal(size=300), dice.normal(size=200)), 300, 200) < 0.05 for _ in range(400)]
    assert 0.02 < np.mean(below) < 0.08


numbers = st.lists(st.integers(-5, 30).map(float), min_size=200, max_size=210).map(np.array)


@settings(max_examples=30, deadline=None)
@given(numbers, numbers)
def test_whatever_the_numbers(reference: np.ndarray, current: np.ndarray) -> None:
    same = drift_of_numbers(reference, reference)
    assert (same.psi, same.ks, same.ks_p, same.state) == (0.0, 0.0, 1.0, "stable")
    moved = drift_of_numbers(reference, current)
    assert moved.psi is not None
    assert moved.psi >= 0
    assert moved.ks is not None
    assert 0 <= moved.ks <= 1
    mapped = drift_of_numbers(reference * 8 - 3, current * 8 - 3)
    assert mapped.psi == pytest.approx(moved.psi)
    assert mapped.ks == moved.ks


DICE = np.random.default_rng(7)
NORMAL = DICE.normal(100, 5, 5_000)


@pytest.mark.parametrize(
    ("reference", "current", "state"),
    [
        pytest.param(NORMAL, DICE.normal(100, 5, 1_000), "stable", id="the same"),
        # bins of N(0, 1) against N(d, 1): PSI is close to d^2
        pytest.param(NORMAL, DICE.normal(102, 5, 1_000), "shifting", id="0.4 deviations"),
        pytest.param(NORMAL, DICE.normal(104, 5, 1_000), "drifted", id="0.8 deviations"),
        pytest.param(NORMAL, DICE.normal(100, 12, 1_000), "drifted", id="wider, of the same mean"),
        pytest.param(np.full(500, 3.0), np.where(np.arange(500) < 60, 2.0, 3.0), "drifted", id="boards lost"),
        pytest.param(NORMAL, np.where(np.arange(5_000) < 1_000, np.nan, NORMAL), "drifted", id="a fifth is missing"),
        pytest.param(
            np.append(np.zeros(4_000), NORMAL[:1_000]),
            np.append(np.full(4_000, -1.0), NORMAL[:1_000]),
            "drifted",
            id="below a value that most have",
        ),
        pytest.param(NORMAL, NORMAL[:199], "unknown", id="too few"),
        pytest.param(np.full(500, np.nan), np.full(500, np.nan), "unknown", id="never a value"),
        pytest.param(np.full(500, np.nan), NORMAL, "drifted", id="values where there were none"),
    ],
)
def test_what_is_called_drifted(reference: np.ndarray, current: np.ndarray, state: str) -> None:
    assert drift_of_numbers(reference, current).state == state


def test_of_normals_psi_is_the_square_of_the_shift() -> None:
    """The divergence that PSI approaches in fine bins is, of N(0, 1) and N(d, 1), d squared; tenths lose some of it."""
    dice = np.random.default_rng(1)
    found = drift_of_numbers(dice.normal(0, 1, 200_000), dice.normal(0.5, 1, 200_000)).psi
    assert found is not None
    assert 0.21 < found < 0.25


def test_texts_go_by_their_parts() -> None:
    assert drift_of_counts({"S19": 600, "S21": 400}, {"S19": 300, "S21": 200}).psi == pytest.approx(0, abs=1e-5)
    assert drift_of_counts({"S19": 600, "S21": 400}, {"S19": 300, "L7": 200}).state == "drifted"
    assert drift_of_counts({"S19": 600}, {"S19": 300, None: 100}).state == "drifted"
    assert drift_of_counts({None: 600}, {None: 300}).state == "unknown"
    assert drift_of_counts({"S19": 600}, {"S19": 100}) == Drift(None, None, None)
