"""Each model against hand-made series; the choice, the combination and the intervals against what they promise."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.derive.forecast.accuracy import mase, smape
from tasks.derive.forecast.backtest import COMBINATION, MOST_ORIGINS, half_width, outlook
from tasks.derive.forecast.filling import filled
from tasks.derive.forecast.models import DAY, LAST_DAY_MEAN, MODELS, SEASONAL_NAIVE, WEEK, Floats, drifting, theta
from tests.bench.forecasting import farm_hours

BY_NAME = {model.name: model for model in MODELS}
HOURS = np.arange(4 * WEEK)
WAVE = 100 + 10 * np.sin(2 * np.pi * HOURS / DAY)


def all_known(history: Floats) -> np.ndarray:
    return np.ones(history.shape, dtype=bool)


def test_errors_as_worked_by_hand() -> None:
    # season 2: |30-10|, |20-20|, |50-30| -> mean 40/3. Errors 5 and 10 -> mean 7.5. 7.5 / (40/3) = 0.5625
    history = np.array([10.0, 20.0, 30.0, 20.0, 50.0])
    truth, forecast = np.array([40.0, 60.0]), np.array([45.0, 50.0])
    assert mase(truth, forecast, history, season=2) == pytest.approx(0.5625)
    # 200 x mean(5/85, 10/110)
    assert smape(truth, forecast) == pytest.approx(200 * (5 / 85 + 10 / 110) / 2)
    assert smape(np.array([0.0]), np.array([0.0])) == 0.0
    assert mase(truth, forecast, np.array([7.0, 7.0, 7.0]), season=1) is None
    assert mase(truth, forecast, np.array([7.0]), season=1) is None


def test_seasonal_naive_repeats_the_last_day() -> None:
    assert SEASONAL_NAIVE.predict(HOURS[None].astype(float), 50)[0].tolist() == [
        *range(4 * WEEK - DAY, 4 * WEEK),
        *range(4 * WEEK - DAY, 4 * WEEK),
        4 * WEEK - DAY,
        4 * WEEK - DAY + 1,
    ]


def test_last_day_mean() -> None:
    assert LAST_DAY_MEAN.predict(np.array([[1.0, 2.0, 6.0]]), 2).tolist() == [[3.0, 3.0]]


def test_drift_is_damped_by_half_each_day() -> None:
    """A day 8 above the one before: 8/2 = 4 more tomorrow, 4 + 2 = 6 the day after, 4 + 2 + 1 = 7 then."""
    history = np.concatenate([np.full(DAY, 100.0), np.full(DAY, 108.0)])[None]
    assert drifting(history, 3 * DAY)[0, ::DAY].tolist() == [112.0, 114.0, 115.0]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_every_model_continues_a_perfect_day(model) -> None:
    history = WAVE[None, : 3 * WEEK]
    assert model.predict(history, WEEK)[0] == pytest.approx(WAVE[3 * WEEK :], abs=0.2)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_every_model_keeps_a_flat_series_and_treats_rows_alone(model) -> None:
    rows = np.stack([np.full(3 * WEEK, 5.0), np.zeros(3 * WEEK), WAVE[: 3 * WEEK]])
    together = model.predict(rows, 30)
    assert together[0] == pytest.approx(np.full(30, 5.0))
    assert together[1] == pytest.approx(np.zeros(30), abs=1e-9)
    assert together[2] == pytest.approx(model.predict(rows[2:], 30)[0])


@pytest.mark.parametrize("hours", [73, 96, 101])
def test_theta_finds_the_hour_of_the_day_from_any_start(hours: int) -> None:
    assert theta(WAVE[None, :hours], DAY)[0] == pytest.approx(WAVE[hours : hours + DAY], abs=2.5)


def test_theta_takes_half_the_slope() -> None:
    """On a straight line with slope 1 the daily course is 24 steps of it, which a mean over days keeps: what is left
    climbs by stairs of 24, and the forecast climbs from the last stair by 0.5 an hour on average."""
    ahead = theta(np.arange(20.0 * DAY)[None], 2 * DAY)[0]
    assert (ahead[DAY:].mean() - ahead[:DAY].mean()) / DAY == pytest.approx(0.5, abs=0.01)


def test_holt_winters_finds_a_new_level_that_seasonal_naive_finds_a_day_late() -> None:
    dice = np.random.default_rng(1)
    series = WAVE[: 2 * WEEK + 6] + dice.normal(0, 0.1, 2 * WEEK + 6)
    series[-30:] -= 33.0
    truth = WAVE[2 * WEEK + 6 : 2 * WEEK + 6 + DAY] - 33.0
    ahead = BY_NAME["holt_winters"].predict(series[None], DAY)[0]
    assert np.abs(ahead - truth).mean() < 3.0


def test_an_autoregression_finds_its_own_kind_of_series() -> None:
    """x(t) = 0.6 x(t-1) + 0.3 x(t-24) + noise: one step ahead the best there is errs by the noise alone."""
    dice = np.random.default_rng(3)
    series = np.zeros((20, 1_500))
    noise = dice.normal(0, 1, series.shape)
    for hour in range(DAY, 1_500):
        series[:, hour] = 0.6 * series[:, hour - 1] + 0.3 * series[:, hour - DAY] + noise[:, hour]
    ahead = BY_NAME["autoregression_24"].predict(series[:, :-1], 1)[:, 0]
    best = 0.6 * series[:, -2] + 0.3 * series[:, -1 - DAY]
    assert np.abs(ahead - best).mean() < 0.25
    assert np.abs(ahead - series[:, -1 - DAY]).mean() > np.abs(ahead - best).mean()


def test_a_gap_is_closed_from_the_day_before_then_after_then_the_mean() -> None:
    series = WAVE[None, : 3 * DAY].copy()
    series[0, DAY + 3] = np.nan
    series[0, 5] = np.nan
    closed = filled(series)
    assert closed[0, DAY + 3] == WAVE[3]
    assert closed[0, 5] == WAVE[DAY + 5]
    assert closed[0, 6] == WAVE[6]
    assert filled(np.array([[1.0, np.nan, 3.0]])).tolist() == [[1.0, 2.0, 3.0]]
    assert np.isnan(filled(np.full((1, 30), np.nan))).all()


def test_the_choice_is_seasonal_naive_unless_another_is_clearly_better() -> None:
    dice = np.random.default_rng(5)
    walk_of_days = np.repeat(dice.normal(0, 1, (1, 28)).cumsum(axis=1), DAY, axis=1) + 100  # a new level each day
    weekly = np.where(HOURS // DAY % 7 >= 5, 40.0, 100.0)[None] + dice.normal(0, 0.5, (1, len(HOURS)))
    assert outlook(np.full((1, 4 * WEEK), 7.0), all_known(walk_of_days), DAY, MODELS).model == ["seasonal_naive_24"]
    assert outlook(walk_of_days, all_known(walk_of_days), DAY, [SEASONAL_NAIVE]).model == ["seasonal_naive_24"]
    found = outlook(weekly, all_known(weekly), DAY, MODELS)
    assert found.model[0] in ("seasonal_naive_168", "autoregression_168", COMBINATION)
    # HOURS ends on a day 6, so tomorrow is a working day again
    assert found.path[0].mean() == pytest.approx(100.0, abs=2.0)
    assert found.naive[0].mean() == pytest.approx(40.0, abs=1.0)


def test_a_back_test_looks_at_the_past_of_its_origin_alone() -> None:
    """Changing the last day changes no error of the origins before it."""
    one = farm_hours(3, 28)
    other = one.copy()
    other[:, -DAY:] *= 0.5
    models = [SEASONAL_NAIVE]
    first = outlook(one, all_known(one), DAY, models).past_errors
    second = outlook(other, all_known(other), DAY, models).past_errors
    assert first.shape == (3, MOST_ORIGINS)
    assert (first[:, 1:] == second[:, 1:]).all()
    assert (first[:, 0] != second[:, 0]).all()


def test_an_origin_without_truth_counts_for_nothing() -> None:
    series = np.repeat(WAVE[None], 2, axis=0)
    known = all_known(series)
    known[0, -DAY : -DAY + 7] = False  # 7 of 24 hours: less than three quarters are known
    errors = outlook(series, known, DAY, MODELS).past_errors
    assert np.isnan(errors[0, 0])
    assert not np.isnan(errors[1]).any()


def test_the_width_is_the_rank_that_conformal_prediction_asks_for() -> None:
    # n = 9: ceil(10 x 0.9) = 9th of 9; n = 19: ceil(20 x 0.9) = 18th of 19; n = 8: ceil(9 x 0.9) = 9 > 8, too few
    errors = np.array([[*range(1, 10), *[np.nan] * 10], [*range(-19, 0)], [*range(1, 9), *[np.nan] * 11]], dtype=float)
    assert half_width(errors)[:2].tolist() == [9.0, 18.0]
    assert np.isnan(half_width(errors)[2])


def test_intervals_hold_as_often_as_they_say() -> None:
    """400 series of independent days: nine in ten totals of the next day lie inside (their deviation is 1.5 %)."""
    dice = np.random.default_rng(11)
    days = np.repeat(dice.normal(100, 5, (400, 29)), DAY, axis=1) + dice.normal(0, 1, (400, 29 * DAY))
    history, truth = days[:, :-DAY], days[:, -DAY:]
    found = outlook(history, all_known(history), DAY, MODELS)
    inside = np.abs(found.path.sum(axis=1) - truth.sum(axis=1)) <= half_width(found.past_errors)
    assert 0.84 <= inside.mean() <= 0.97


def test_no_worse_than_seasonal_naive_on_the_farm() -> None:
    fleet = farm_hours(60, 42).sum(axis=0)
    own, naive = [], []
    for origin in range(28 * DAY, 42 * DAY, 2 * DAY):
        found = outlook(fleet[None, :origin], np.ones((1, origin), dtype=bool), DAY, MODELS)
        own.append(np.abs(found.path[0] - fleet[origin : origin + DAY]).mean())
        naive.append(np.abs(found.naive[0] - fleet[origin : origin + DAY]).mean())
    assert np.mean(own) <= np.mean(naive)


def test_what_was_never_negative_is_not_forecast_so() -> None:
    falling = np.linspace(300.0, 0.0, 4 * WEEK)[None]
    assert outlook(falling, all_known(falling), WEEK, MODELS).path.min() >= 0.0
