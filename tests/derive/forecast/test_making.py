"""Forecasts on the embedded store: made once, scored later, and null with a reason."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from storage.declaration import MEASUREMENTS, Tier
from storage.declaration.rollup import rollup_columns
from storage.frame import Frame, build_frame
from storage.lake.store import EmbeddedStore
from tasks.derive.forecast.making import ForecastReport, forecast_and_score, forecast_frame, make, score, scored
from tasks.derive.forecast.series import DAY_S, HOUR_S, QUANTITIES, fleet_series, miner_series

MIDNIGHT = 1_800_000_000 // DAY_S * DAY_S
NOW = MIDNIGHT + 28 * 60
HASHRATE, REVENUE, PROFIT = QUANTITIES


class Counting(EmbeddedStore):
    """Counts what is written."""

    writes = 0

    def write(self, frames: Sequence[Frame]) -> None:
        self.writes += 1
        super().write(frames)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Counting]:
    store = Counting(tmp_path / "lake")
    yield store
    store.close()


def telemetry(rates: dict[str, np.ndarray], stop: int, seconds: int = HOUR_S) -> pa.Table:
    """Hourly rows that end at ``stop``; NaN: no row."""
    declared = MEASUREMENTS["miner_telemetry"]
    rows = []
    for miner, series in sorted(rates.items()):
        for number, rate in enumerate(series):
            if not np.isnan(rate):
                time = stop - (len(series) - number) * HOUR_S
                rows.append((miner, time, rate * seconds, seconds))
    from storage.arrow_schema import answer_schema

    schema = answer_schema(declared, Tier.HOURLY)
    columns: dict[str, Any] = {name: pa.nulls(len(rows), schema.field(name).type) for name in schema.names}
    columns["time"] = (
        pa.array([row[1] for row in rows], pa.int64()).cast(pa.timestamp("s")).cast(schema.field("time").type)
    )
    columns["miner_id"] = pa.array([row[0] for row in rows], pa.string())
    columns["hashrate_hs_integral"] = pa.array([float(row[2]) for row in rows], pa.float64())
    columns["hashrate_hs_seconds"] = pa.array([row[3] for row in rows], pa.int64())
    assert {"hashrate_hs_integral", "hashrate_hs_seconds"} <= {column.name for column in rollup_columns(declared)}
    return pa.table(columns, schema=schema)


def put(store: EmbeddedStore, rates: dict[str, np.ndarray], stop: int) -> None:
    hours = max(map(len, rates.values()))
    store.replace(MEASUREMENTS["miner_telemetry"], Tier.HOURLY, stop - hours * HOUR_S, stop, telemetry(rates, stop))


def rows(store: EmbeddedStore, name: str, **where: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = store.read(MEASUREMENTS[name], Tier.RAW, 0, 2**32, where=where).to_pylist()
    return found


def wave(hours: int, level: float = 100e12) -> np.ndarray:
    return level * (1 + 0.03 * np.sin(2 * np.pi * np.arange(hours) / 24))


def test_forecasts_are_made_once_and_scored_when_their_day_is_over(store: Counting) -> None:
    put(store, {"m1": wave(15 * 24), "m2": wave(15 * 24, 50e12)}, MIDNIGHT)
    # of three quantities: two miners and the fleet
    assert forecast_and_score(store, ["m1", "m2"], NOW) == ForecastReport(9, 0)
    writes, before = store.writes, rows(store, "forecast")
    assert forecast_and_score(store, ["m1", "m2"], NOW) == ForecastReport(0, 0)
    assert (store.writes, rows(store, "forecast")) == (writes, before)
    own = {row["miner_id"]: row for row in rows(store, "forecast", quantity=HASHRATE.name)}
    assert own["m1"]["value"] == pytest.approx(100e12, rel=1e-4)  # whole days of a wave: its middle
    assert own["fleet"]["value"] == pytest.approx(150e12, rel=1e-4)
    assert (own["m1"]["unit"], own["m1"]["horizon_s"], own["m1"]["level"]) == ("H/s", 86_400, 0.9)
    assert own["m1"]["time"].timestamp() == MIDNIGHT

    put(store, {"m1": np.full(24, 90e12), "m2": wave(24, 50e12)}, MIDNIGHT + DAY_S)
    assert score(store, NOW + DAY_S) == 3
    made = {row["miner_id"]: row for row in rows(store, "forecast_score")}
    assert made["m1"]["actual"] == pytest.approx(90e12)
    assert made["m1"]["error"] == pytest.approx(10e12, rel=1e-3)
    assert made["m1"]["coverage"] == 1.0
    assert made["m2"]["error"] == pytest.approx(0.0, abs=1e9)
    assert made["fleet"]["actual"] == pytest.approx(140e12, rel=1e-4)
    assert score(store, NOW + DAY_S) == 0


def test_late_data_moves_the_score_and_not_the_forecast(store: Counting) -> None:
    put(store, {"m1": wave(15 * 24)}, MIDNIGHT)
    make(store, ["m1"], NOW)
    before = rows(store, "forecast")
    put(store, {"m1": np.array([*[100e12] * 17, *[np.nan] * 7])}, MIDNIGHT + DAY_S)
    assert score(store, NOW + DAY_S) == 2
    (first,) = rows(store, "forecast_score", miner_id="m1")
    assert (first["actual"], first["reason"]) == (None, "17 of 24 hours are known")
    put(store, {"m1": np.full(24, 80e12)}, MIDNIGHT + DAY_S)
    assert make(store, ["m1"], NOW) == 0
    assert score(store, NOW + 2 * DAY_S) == 2
    (second,) = rows(store, "forecast_score", miner_id="m1")
    assert second["actual"] == pytest.approx(80e12)
    assert not second["reason"], "what late data has mended is not told any more"
    assert rows(store, "forecast") == before


def test_the_fleet_is_forecast_every_hour_and_a_miner_every_day(store: Counting) -> None:
    put(store, {"m1": wave(15 * 24 + 3)}, MIDNIGHT + 3 * HOUR_S)
    assert make(store, ["m1"], NOW) == 6
    assert make(store, ["m1"], NOW + 3 * HOUR_S) == 3
    assert {row["miner_id"] for row in rows(store, "forecast") if row["time"].timestamp() > MIDNIGHT} == {"fleet"}


@pytest.mark.parametrize(
    ("hours", "model", "reason"),
    [
        (0, "none", "no hashrate is known"),
        (23, "none", "23 hours are known, 24 are needed"),
        (24, "last_day_mean", "no interval: fewer than nine back-tests"),
        (7 * 24 - 1, "last_day_mean", "no interval: fewer than nine back-tests"),
        (7 * 24, "seasonal_naive_24", "no interval: fewer than nine back-tests"),
        (14 * 24 - 1, "seasonal_naive_24", "no interval: fewer than nine back-tests"),
        (35 * 24, None, None),
    ],
)
def test_what_is_used_after_how_long(hours: int, model: str | None, reason: str | None) -> None:
    dice = np.random.default_rng(1)
    series = np.full((1, 35 * 24), np.nan)
    if hours:
        series[0, -hours:] = wave(hours) * dice.uniform(0.99, 1.01, hours)
    frame = forecast_frame(HASHRATE, ["m1"], series, MIDNIGHT)
    row = {name: values[0] for name, values in frame.columns.items()}
    assert row.get("reason") == reason
    assert model is None or row["model"] == model
    assert (row.get("value") is None) == (model == "none")
    if model is None:
        assert row["low"] < row["value"] < row["high"]
        assert row["naive_mae"] > 0


def test_a_miner_that_is_silent_for_a_day_gets_no_forecast() -> None:
    series = np.repeat(wave(35 * 24)[None], 2, axis=0)
    series[0, -24:] = np.nan
    frame = forecast_frame(HASHRATE, ["silent", "heard"], series, MIDNIGHT)
    told = dict(
        zip(frame.columns["miner_id"], zip(frame.columns["model"], frame.columns["reason"], strict=True), strict=True)
    )
    assert told["silent"] == ("none", "nothing is known of the last 24 hours")
    assert told["heard"][0] != "none"


def test_money_without_prices_is_null_with_a_reason_and_with_them_a_sum(store: Counting) -> None:
    put(store, {"m1": wave(15 * 24)}, MIDNIGHT)
    times = [MIDNIGHT - hour * HOUR_S for hour in range(1, 15 * 24 + 1)]
    tags = {"miner_id": ["m1"] * len(times), "time_period": ["1h"] * len(times)}
    store.write([build_frame("financial_metrics", times, {**tags, "revenue": [0.25] * len(times)})])
    make(store, ["m1"], NOW)
    (revenue,) = rows(store, "forecast", miner_id="m1", quantity=REVENUE.name)
    assert revenue["value"] == pytest.approx(6.0)  # 24 x 0.25 USD
    (profit,) = rows(store, "forecast", miner_id="m1", quantity=PROFIT.name)
    assert (profit["value"], profit["model"]) == (None, "none")
    assert "tariff" in profit["reason"]


def test_half_an_hour_must_be_known(store: Counting) -> None:
    declared = MEASUREMENTS["miner_telemetry"]
    short = telemetry({"m1": np.array([5.0])}, MIDNIGHT, seconds=1_799)
    store.replace(declared, Tier.HOURLY, MIDNIGHT - HOUR_S, MIDNIGHT, short)
    assert np.isnan(miner_series(store, "hashrate", ["m1"], MIDNIGHT - HOUR_S, MIDNIGHT)).all()
    enough = telemetry({"m1": np.array([5.0])}, MIDNIGHT, seconds=1_800)
    store.replace(declared, Tier.HOURLY, MIDNIGHT - HOUR_S, MIDNIGHT, enough)
    assert miner_series(store, "hashrate", ["m1"], MIDNIGHT - HOUR_S, MIDNIGHT).tolist() == [[5.0]]


def test_the_fleet_is_a_sum_unless_the_collector_was_away() -> None:
    nan = np.nan
    miners = np.array(
        [[1.0, 1.0, 1.0, nan, nan], [2.0, nan, nan, nan, nan], [3.0, 3.0, nan, nan, 3.0], [4.0, 4.0, nan, nan, 4.0]]
    )
    # usually 2.5 of four are heard (median of 4, 3, 1, 2), so two are enough and one is not
    assert fleet_series(miners)[0].tolist() == pytest.approx([10.0, 8.0, nan, nan, 7.0], nan_ok=True)


def test_a_score_as_worked_by_hand() -> None:
    row = {"value": 130.0, "naive": 110.0, "naive_mae": 20.0, "low": 115.0, "high": 145.0}
    hours = np.array([5.0, 5.0, 5.0, np.nan])  # 3 of 4 known: 4 x 5 = 20 in all, 5 on average
    total = scored(row, hours * 6, mean=False)
    # 4 x 30 = 120; 130 - 120 = 10; 10 / 20 = 0.5; 110 - 120 = -10
    assert total == {
        "actual": 120.0,
        "error": 10.0,
        "mase": 0.5,
        "naive_error": -10.0,
        "inside": True,
        "coverage": 0.75,
        "reason": "",
    }
    assert scored(row, hours, mean=True)["actual"] == 5.0
    assert scored(row, hours, mean=True)["inside"] is False
    assert scored({**row, "naive_mae": 0.0, "low": None}, hours, mean=True)["mase"] is None
    assert scored({**row, "low": None}, hours, mean=True)["inside"] is None
    assert scored(row, np.array([1.0, 1.0, np.nan, np.nan]), mean=True)["actual"] is None
