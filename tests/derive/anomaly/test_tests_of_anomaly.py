"""Each test of oddness against numbers of reference/domain.md 4.1 or worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.derive.anomaly.flatline import flat, run_step
from tasks.derive.anomaly.own_history import median_and_mad, robust_z, same_hour, unrepeated
from tasks.derive.anomaly.peers import peer_z
from tasks.derive.anomaly.scoring import combined, lasting, remembered, score_of
from tasks.derive.anomaly.trend import LIMIT, cusum

NAN = float("nan")


def test_the_worked_example_of_the_reference() -> None:
    # median 100, MAD 1, which is also the floor of 1 %: 0.6745 x (60 - 100) / 1 = -26.98
    y = [100, 101, 99, 100, 102, 98, 100]
    assert robust_z([60.0], [y], least=7)[0] == pytest.approx(-26.98)
    assert np.isnan(robust_z([60.0], [y])[0]), "seven points are too few"


@pytest.mark.parametrize(
    ("history", "step", "median", "mad"),
    [
        ([60, 60, 60, 60], 1.0, 60.0, 1.0),  # quantised: MAD 0, the sensor's step is the floor
        ([3000, 3000, 3000], 1.0, 3000.0, 30.0),  # 1 % of the median
        ([1, 2, 3, 4, NAN], 0.0, 2.5, 1.0),  # deviations 1.5 0.5 0.5 1.5: median 1
        ([5, NAN, NAN], 0.0, 5.0, 0.05),
    ],
)
def test_floors(history: list[float], step: float, median: float, mad: float) -> None:
    middle, spread, points = median_and_mad([history], step)
    assert (middle[0], spread[0]) == pytest.approx((median, mad))
    assert points[0] == np.isfinite(history).sum()


def test_a_spike_among_spikes_is_no_news() -> None:
    # 36 x 100 and 4 x 200: median 100, MAD 0, floor 1; mean 110, deviation 30, so the MAD is at least 0.5 x 0.6745 x 30
    history = [100.0] * 36 + [200.0] * 4
    assert median_and_mad([history])[1][0] == 1.0
    assert median_and_mad([[*history, NAN]], tails=0.5)[1][0] == pytest.approx(10.1175)
    assert robust_z([200.0], [history])[0] == pytest.approx(100 / 15)


def test_nothing_known_gives_nothing() -> None:
    assert np.isnan(robust_z([1.0, NAN], [[NAN] * 40, [1.0] * 40])).all()
    assert np.isnan(robust_z([5.0], [[0.0] * 40])[0]), "no floor: any z would do"
    assert np.isnan(same_hour([[1.0] * 24 * 6])[0])


def test_the_hour_of_the_day() -> None:
    # a week in which the hour that comes next was 10..16, every other one 50
    week = np.full(7 * 24, 50.0)
    week[::24] = range(10, 17)
    assert same_hour([week])[0] == 13.0


@given(st.lists(st.one_of(st.floats(-1e6, 1e6), st.just(NAN)), min_size=1, max_size=50))
def test_the_median_is_numpys(values: list[float]) -> None:
    known = [value for value in values if np.isfinite(value)]
    middle = median_and_mad([values])[0][0]
    assert np.isnan(middle) if not known else middle == pytest.approx(np.median(known))


def test_repeats_are_no_news() -> None:
    # 4 is new, -5 is larger, 5 repeats it, 1 is less; with two points of memory the last 5 has only 1 and 1 before it
    assert unrepeated([0, 4, -5, 5, 1, 1, 5], 2).tolist() == pytest.approx([0, 4, -5, 1, 0.2, 0.2, 5])


def test_cusum_of_the_reference() -> None:
    sums = cusum([0, 0.2, -0.1, 0.3, 1.2, 1.1, 1.4, 0.9, 1.3])
    assert sums == pytest.approx([0, 0, 0, 0, 0.7, 1.3, 2.2, 2.6, 3.4])
    assert cusum([1.2, NAN, 1.1]) == pytest.approx([0.7, 0.7, 1.3])


def test_a_loss_of_one_percent_a_day_is_found_in_five_days_and_no_loss_is_not() -> None:
    hours = np.arange(12 * 24)
    ripple = 0.004 * np.sin(hours / 3.1) + 0.003 * np.sin(hours / 0.7)
    lost = np.where(hours > 7 * 24, 0.01 * (hours - 7 * 24) / 24, 0.0)
    for loss, found_by in ((lost, 5.0), (0 * lost, None)):
        rate = (1 - loss) * (1 + ripple)
        every_two = rate.reshape(-1, 2).mean(axis=-1)
        z = [-robust_z([every_two[at]], [every_two[at - 84 : at]])[0] for at in range(84, len(every_two))]
        over = np.flatnonzero(cusum(z) >= LIMIT)
        assert (over.size == 0) if found_by is None else (over[0] / 12 <= found_by)


def test_a_reading_that_stands_still() -> None:
    run, before = np.zeros(3, dtype=np.int64), np.full(3, NAN)
    for tick in range(10):
        now = np.array([100.0, 100.0 + 1e-3 * tick, NAN])
        run, before = run_step(run, before, now), now
    assert run.tolist() == [10, 1, 0]
    assert flat(run).tolist() == [True, False, False]


def test_peers_tell_one_fan_from_a_hot_room() -> None:
    own = [60.0, 61, 59, 60, 62, 58, 78]
    z, middle = peer_z(own, [0] * 7, step=1.0)
    # median 60, deviations 0 1 1 0 2 2 18: MAD 1, so 0.6745 x 18 = 12.14
    assert z[-1] == pytest.approx(12.14, abs=0.01)
    hot, _ = peer_z([value + 15 for value in own[:-1]], [0] * 6, step=1.0)
    assert np.abs(hot).max() < 3.5
    assert middle[0] == 60


def test_too_few_peers_and_those_of_another_kind_say_nothing() -> None:
    z, _ = peer_z([1.0, 1, 1, 1, 9, 1, 1, 1, 1, 1, 1, NAN], [3] * 5 + [7] * 7)
    assert np.isnan(z[:5]).all(), "five miners have four peers each"
    assert z[5:11].tolist() == [0.0] * 6
    assert np.isnan(z[11])
    assert peer_z([], [])[0].size == 0


def test_scores() -> None:
    assert score_of([0, 1, 3.5, -6, NAN]) == pytest.approx([0, 0, 0.5, 0.8, NAN], nan_ok=True)
    assert score_of(3.5, "low") < 0.5 < score_of(3.5, "high")
    # 1 - 0.5 x 0.5 x 0.5; what is not known does not count
    assert combined([[0.5, 0.5], [0.5, NAN], [0.5, NAN]]) == pytest.approx([0.875, 0.5])
    assert np.isnan(combined([[NAN], [NAN]])[0])


def test_one_point_is_no_anomaly_three_of_five_are_until_five_are_calm() -> None:
    bits, anomalous, told = np.zeros(1, dtype=np.uint8), np.zeros(1, dtype=bool), []
    for odd in (1, 0, 0, 0, 0, 1, 0, 1, 1, 0, 0, 0, 0, 0, 0):
        bits = remembered(bits, [odd])
        anomalous = lasting(bits, anomalous)
        told.append(int(anomalous[0]))
    assert told == [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 0, 0]
