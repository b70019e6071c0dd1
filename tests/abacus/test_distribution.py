"""Drift out of the service's distributions: worked by hand, and forms that nobody knows."""

from __future__ import annotations

import math

import pytest

from tasks.abacus.distribution import drift_of_distribution


def test_counts_give_psi_and_ks_as_by_hand():
    # two bins of 500 and 500 become 250 and 750. PSI with half a row more in each of n bins, as it is done here:
    # p = 500.5 / 1001 = 0.5, q = 250.5 / 1001 and 750.5 / 1001
    q = (250.5 / 1001, 750.5 / 1001)
    expected = (q[0] - 0.5) * math.log(q[0] / 0.5) + (q[1] - 0.5) * math.log(q[1] / 0.5)
    told = drift_of_distribution("numerical", {"[0, 1)": 500, "[1, 2)": 500}, {"[0, 1)": 250, "[1, 2)": 750})
    assert told.drift.psi == pytest.approx(expected)
    assert told.drift.psi == pytest.approx(0.2744, abs=2e-3)  # 0.25 ln 2 + 0.25 ln 1.5 without the halves
    assert told.drift.ks == pytest.approx(0.25)  # the distribution functions are 0.5 and 0.25 at the end of the first
    assert (told.drift.state, told.reference_rows, told.current_rows, told.reason) == ("drifted", 1000, 1000, "")


def test_parts_give_the_same_but_for_rows():
    told = drift_of_distribution("numerical", {"0": 0.5, "1": 0.5}, {"0": 0.25, "1": 0.75})
    assert told.drift.psi == pytest.approx(0.25 * math.log(2) + 0.25 * math.log(1.5))
    assert told.drift.ks == pytest.approx(0.25)
    assert (told.reference_rows, told.current_rows) == (None, None)


def test_bins_are_in_the_order_of_their_numbers_and_missing_ones_apart():
    old = {"[10, inf)": 300, "[-inf, 2)": 300, "[2, 10)": 300, "null": 100}
    new = {"[-inf, 2)": 0, "[2, 10)": 300, "[10, inf)": 600, "null": 100}
    # distribution functions of what is there: 1/3, 2/3, 1 against 0, 1/3, 1
    assert drift_of_distribution("numerical", old, new).drift.ks == pytest.approx(1 / 3)


def test_categories_have_no_ks():
    told = drift_of_distribution("categorical", {"S19": 400, "S21": 100}, {"S19": 400, "S21": 90, "M60": 10})
    assert told.drift.psi is not None
    assert told.drift.psi < 0.25
    assert (told.drift.ks, told.reason) == (None, "")


def test_all_in_one_bin_is_no_count_of_one():
    assert drift_of_distribution("numerical", {"0": 1, "1": 0}, {"0": 1, "1": 0}).drift.psi == pytest.approx(0)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (None, {"0": 500}, "in another form"),
        ([[0, 1], [2, 3]], {"0": 500}, "in another form"),
        ({"bins": [1, 2]}, {"bins": [2, 1]}, "in another form"),
        ({"0": True}, {"0": 5}, "in another form"),
        ({"0": float("nan")}, {"0": 5}, "in another form"),
        ({"0": -1}, {"0": 5}, "in another form"),
        ({"0": 0}, {"0": 500}, "no row of one side"),
        ({}, {"0": 500}, "no row of one side"),
        ({"0": 500}, {"0": 50}, "500 rows of before and 50 of now; 200 are needed"),
    ],
)
def test_what_cannot_be_told_is_null_with_the_reason(old, new, reason):
    told = drift_of_distribution("numerical", old, new)
    assert (told.drift.psi, told.drift.ks, told.drift.state) == (None, None, "unknown")
    assert reason in told.reason


def test_labels_that_are_no_numbers_give_no_ks():
    told = drift_of_distribution("numerical", {"low": 300, "high": 300}, {"low": 300, "high": 300})
    assert (told.drift.ks, told.reason) == (None, "no KS: the service's labels are no numbers")
    assert told.drift.psi == pytest.approx(0)
