"""Forecasts against seasonal naive: on the M4 hourly set where ``M4_DIR`` names its folder, and on a simulated farm.

M4: 414 series, 48 hours ahead, MASE and sMAPE of all series on average, as the competition scores them. The farm: a
fleet of 200 for 6 weeks, whose hashrate follows the heat of the day and loses boards, hosts and a site for some hours.
"""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np

from tasks.derive.forecast.accuracy import mase, smape
from tasks.derive.forecast.backtest import LEVEL, half_width, outlook
from tasks.derive.forecast.models import DAY, MODELS, SEASONAL_NAIVE, WEEK, Floats
from tests.bench.figure import Figure, cost

M4_NAIVE_MASE, M4_NAIVE_SMAPE = 1.1932, 13.912
"""Seasonal naive on M4 hourly, reference/domain.md 4.3."""
_M4_HOURS = 48


def figures() -> list[Figure]:
    """All figures of forecasting."""
    return [*_m4(), *_farm(), _speed()]


def m4_scores(folder: Path) -> dict[str, tuple[float, float]]:
    """Mean MASE and sMAPE of seasonal naive and of Lodeline over the series of ``folder``."""
    histories, truths = _series(folder / "Train.csv"), _series(folder / "Test.csv")
    scores: dict[str, list[tuple[float, float]]] = {"naive": [], "lodeline": []}
    for hours in sorted({len(one) for one in histories}):
        own = [number for number, one in enumerate(histories) if len(one) == hours]
        batch = np.stack([histories[number] for number in own])
        found = outlook(batch, np.ones(batch.shape, dtype=bool), _M4_HOURS, MODELS)
        for name, paths in (("naive", SEASONAL_NAIVE.predict(batch, _M4_HOURS)), ("lodeline", found.path)):
            for row, number in enumerate(own):
                scaled = mase(truths[number], paths[row], histories[number])
                if scaled is not None:
                    scores[name].append((scaled, smape(truths[number], paths[row])))
    return {
        name: (float(np.mean([m for m, _ in all_])), float(np.mean([s for _, s in all_])))
        for name, all_ in scores.items()
    }


def farm_hours(miners: int, days: int, seed: int = 7) -> Floats:
    """Hashrate in H/s of each miner and hour: heat of the day, weather, noise; boards lost for days, hosts for hours,
    and once a fortnight a site's power."""
    dice = np.random.default_rng(seed)
    hours = np.arange(days * DAY)
    heat = 0.03 * np.cos(2 * np.pi * (hours / DAY - 15 / 24)) + 0.01 * np.sin(2 * np.pi * hours / (5.3 * DAY))
    plate = dice.choice([100e12, 200e12, 234e12], miners)[:, None]
    rates = plate * (0.98 - heat + dice.normal(0, 0.008, (miners, len(hours))))
    for miner in range(miners):
        for start in np.flatnonzero(dice.random(len(hours)) < 1 / (40 * DAY)):
            rates[miner, start : start + dice.integers(DAY, 6 * DAY)] *= 2 / 3
        for start in np.flatnonzero(dice.random(len(hours)) < 1 / (15 * DAY)):
            rates[miner, start : start + dice.integers(1, 12)] = 0.0
    for outage in range(9 * DAY, len(hours), 14 * DAY):
        rates[: miners // 4, outage : outage + 4] = 0.0
    return np.asarray(rates)


def _m4() -> list[Figure]:
    folder = os.environ.get("M4_DIR")
    if not folder:
        return [Figure(name="forecast_m4_hourly_mase", target="< 1.193", ok=None, note="M4_DIR is not given")]
    with cost() as spent:
        scores = m4_scores(Path(folder))
    naive, own = scores["naive"], scores["lodeline"]
    reproduced = round(naive[0], 4) == M4_NAIVE_MASE and round(naive[1], 3) == M4_NAIVE_SMAPE
    return [
        Figure(
            name="forecast_m4_seasonal_naive_mase",
            value=round(naive[0], 4),
            target=f"= {M4_NAIVE_MASE}: the scorer is right",
            ok=reproduced,
            note=f"sMAPE {naive[1]:.3f}",
        ),
        Figure(
            name="forecast_m4_hourly_mase",
            value=round(own[0], 4),
            ratio=round(own[0] / naive[0], 3),
            target="< 1.193",
            ok=own[0] < M4_NAIVE_MASE,
            note=f"sMAPE {own[1]:.3f}; {spent.cpu_s:.1f} CPU seconds for 414 series",
        ),
    ]


def _farm() -> list[Figure]:
    """Each day of the last two weeks forecast from the five weeks before it."""
    fleet = farm_hours(200, 49).sum(axis=0)
    found = []
    for horizon, name in ((DAY, "24h"), (WEEK, "7d")):
        own, naive, inside = [], [], []
        for origin in range(35 * DAY, 49 * DAY - horizon + 1, DAY):
            history, truth = fleet[None, origin - 35 * DAY : origin], fleet[origin : origin + horizon]
            told = outlook(history, np.ones(history.shape, dtype=bool), horizon, MODELS)
            own.append(float(np.abs(told.path[0] - truth).mean()))
            naive.append(float(np.abs(told.naive[0] - truth).mean()))
            miss = abs(float(told.path[0].sum() - truth.sum()))
            inside.append(miss <= half_width(told.past_errors)[0])
        ratio = float(np.mean(own) / np.mean(naive))
        found.append(
            Figure(
                name=f"forecast_farm_fleet_hashrate_{name}",
                ratio=round(ratio, 3),
                target="<= 1 of seasonal naive",
                ok=ratio <= 1.0,
                note=f"{len(own)} origins; {100 * np.mean(inside):.0f} % of totals in the {100 * LEVEL:.0f} % interval",
            )
        )
    return found


def _speed() -> Figure:
    history = farm_hours(1_000, 28)
    with cost() as spent:
        for horizon in (DAY, DAY, WEEK):  # hashrate, revenue, profit
            for first in range(0, 1_000, 250):
                part = history[first : first + 250]
                outlook(part, np.ones(part.shape, dtype=bool), horizon, MODELS)
    return Figure(
        name="forecast_1000_miners_4_weeks",
        value=round(spent.wall_s, 1),
        unit="s",
        target="< 120 s",
        ok=spent.wall_s < 120,
        note=f"three quantities; {spent.cpu_s:.1f} CPU seconds",
    )


def _series(file: Path) -> list[Floats]:
    with file.open(newline="") as lines:
        return [np.array([float(cell) for cell in row[1:] if cell]) for row in list(csv.reader(lines))[1:]]
