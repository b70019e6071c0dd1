"""Figures of sources against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.derive.source_quality.figures import lags, outliers, score, slots_due, slots_filled

NAN = np.nan
HOUR_S = 3_600


def test_slots_due_and_filled():
    # from 0 to 1,000 s at every 300 s: 3.33, so 4 slots; one that begins at 500: 1.67, so 2; not configured, never told
    begins, intervals = np.array([0.0, 500.0, 0.0, NAN]), np.array([300.0, 300.0, NAN, 300.0])
    assert slots_due(begins, 1_000, intervals).tolist() == pytest.approx([4, 2, NAN, NAN], nan_ok=True)
    # source 0: 10 and 290 lie in one slot, 310 in another, and at 310 series 1 too: 3; source 2: two times
    sources, series = np.array([0, 0, 0, 0, 2, 2, 2]), np.array([0, 0, 0, 1, 0, 0, 0])
    times = np.array([10, 290, 310, 310, 5, 6, 6])
    assert slots_filled(sources, series, times, intervals, 4).tolist() == [3, 0, 2, 0]


def test_lags_end_at_the_edges_of_the_day():
    # 0: rows at -50 and 100, 200, 700 of [0, 1000), every 100 s: young for 150 s.
    #    young: 0-100, 100-200, 200-350, 700-850 = 500 of 1,000 s; lags 100, 100, 500, 300: median 200, worst 500
    # 1: begins at 400, row at 600: young 600-750 = 150 of 600 s; lags 200 and 400
    # 2: nothing came: one lag of all the day. 3: not asked. 4: not configured: lags only
    sources = np.array([0, 0, 0, 0, 1, 4])
    times = np.array([-50, 100, 200, 700, 600, 250])
    begins = np.array([0.0, 400.0, 0.0, NAN, 0.0])
    found = lags(sources, times, begins, 1_000, np.array([100.0, 100.0, 100.0, 100.0, NAN]))
    assert found.fresh.tolist() == pytest.approx([0.5, 0.25, 0.0, NAN, NAN], nan_ok=True)
    assert found.median_s.tolist() == pytest.approx([200, 300, 1_000, NAN, 500], nan_ok=True)
    assert found.worst_s.tolist() == pytest.approx([500, 400, 1_000, NAN, 750], nan_ok=True)


def test_lags_of_nobody():
    none = np.zeros(0, dtype=np.int64)
    assert lags(none, none, np.zeros(0), 1_000, np.zeros(0)).fresh.tolist() == []


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        # 12 x 90 and 12 x 110: median 100, MAD 10, deviation 14.826, reach 74.13
        ([90.0, 110.0] * 12, [174.0, 175.0, 25.0, NAN], (2, True)),
        # stood still at 100: the floor of 2 % makes a reach of 10
        ([100.0] * 24, [109.0, 111.0, 89.0, 100.0], (2, True)),
        # of a series of zeros every other value is odd, and zero is not
        ([0.0] * 24, [0.0, 1.0, NAN, NAN], (1, True)),
        # 23 hours are too few, and so is a day of nothing
        ([100.0] * 23 + [NAN], [500.0, NAN, NAN, NAN], (0, False)),
        ([100.0] * 24, [NAN] * 4, (0, False)),
    ],
)
def test_outliers_against_the_own_week(before: list[float], now: list[float], expected: tuple[int, bool]):
    found, enough = outliers(np.array([[*before, *now]]), start=24 * HOUR_S, begin=0)
    assert (found[0], enough[0]) == expected


def test_score_is_of_what_is_known():
    # sqrt(0.5 x 0.08) = 0.2; any zero makes 0; nothing known is not 0
    parts = np.array([[0.5, 0.0, NAN, 1.0], [NAN, NAN, NAN, 1.0], [0.08, 1.0, NAN, NAN]])
    assert score(parts).tolist() == pytest.approx([0.2, 0.0, NAN, 1.0], nan_ok=True)
