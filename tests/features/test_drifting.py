"""The drift of a day, measured over published rows: what is compared with what, and measured once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from storage.declaration import MEASUREMENTS, Tier
from storage.features.rows import feature_schema
from storage.features.table import feature_table
from storage.features.view import FeatureView
from storage.features.views import VIEWS
from tasks.features.drifting import DriftReport, measure_due
from tests.downsample.memory_store import MemoryStore
from tests.features.farm import DAY, HOUR, HOURLY, T

MINERS = 10
DAYS = 12
NOW = T + (DAYS + 1) * DAY + 4 * HOUR  # day number DAYS is the last that is over


def rows(view: FeatureView, times: list[int], known_lag: int, rate: float, model: str = "S19") -> pa.Table:
    """A row of each miner at each time, hashrate around ``rate``."""
    dice = np.random.default_rng(times[0])
    made = [
        {"time": time * 1_000_000, "miner_id": f"m{miner}", "known": time + known_lag, "backfilled": False}
        | {"hashrate_hs": rate * float(dice.normal(1, 0.05)), "model": model, "boards_mining": 3}
        for time in times
        for miner in range(MINERS)
    ]
    return pa.Table.from_pylist(made, schema=feature_schema(view))


def publish(folder: Path, *tables: pa.Table, view: FeatureView = HOURLY) -> None:
    feature_table(folder, view).append([(0, pa.concat_tables(tables))])


def ends_of(day: int) -> list[int]:
    """Event times of the hours of a day: their ends."""
    return [T + day * DAY + hour * HOUR for hour in range(1, 25)]


def told(store: MemoryStore, day: int) -> dict[str, dict[str, object]]:
    table = store.read(MEASUREMENTS["feature_drift"], Tier.RAW, T + day * DAY, T + day * DAY + 1)
    return {row["feature"]: row for row in table.to_pylist()}


def test_a_day_against_the_weeks_before(tmp_path: Path) -> None:
    before = [time for day in range(DAYS) for time in ends_of(day)]
    publish(tmp_path, rows(HOURLY, before, 600, 1e14), rows(HOURLY, ends_of(DAYS), 600, 0.9e14, "S21"))
    store = MemoryStore()
    report = measure_due(store, tmp_path, NOW, [HOURLY])
    assert report.drifted == ("miner_hourly.model", "miner_hourly.hashrate_hs")
    row = told(store, DAYS)
    assert (row["hashrate_hs"]["reference_rows"], row["hashrate_hs"]["current_rows"]) == (DAYS * 240, 240)
    assert row["hashrate_hs"]["reference_mean"] == pytest.approx(1e14, rel=0.01)
    assert row["hashrate_hs"]["current_mean"] == pytest.approx(0.9e14, rel=0.01)
    assert row["hashrate_hs"]["ks"] > 0.5  # type: ignore[operator]
    assert (row["model"]["status"], row["model"]["ks"], row["model"]["current_mean"]) == ("drifted", None, None)
    assert (row["boards_mining"]["status"], row["boards_mining"]["psi"]) == ("stable", pytest.approx(0, abs=1e-4))
    for silent in ("power_w", "site"):
        assert (row[silent]["status"], row[silent]["psi"], row[silent]["reason"]) == (
            "unknown", None, "no row has a value",
        )  # fmt: skip
    assert row["power_w"]["current_missing"] == 1.0


def test_it_is_measured_once_and_days_that_nobody_measured_are_made_up_for(tmp_path: Path) -> None:
    publish(tmp_path, rows(HOURLY, [time for day in range(DAYS + 1) for time in ends_of(day)], 600, 1e14))
    store, features = MemoryStore(), len(HOURLY.features)
    assert measure_due(store, tmp_path, NOW, [HOURLY]) == DriftReport(7, 7 * features, ())
    assert measure_due(store, tmp_path, NOW, [HOURLY]) == DriftReport(1, 0, ())
    assert told(store, DAYS - 6)["hashrate_hs"]["status"] == "stable"
    assert told(store, DAYS - 7) == {}
    assert told(store, DAYS + 1) == {}


def test_a_correction_stands_for_what_it_corrects(tmp_path: Path) -> None:
    days = [time for day in range(DAYS + 1) for time in ends_of(day)]
    publish(tmp_path, rows(HOURLY, days, 600, 1e14), rows(HOURLY, ends_of(DAYS), 7200, 0.5e14))
    store = MemoryStore()
    measure_due(store, tmp_path, NOW, [HOURLY])
    assert told(store, DAYS)["hashrate_hs"]["current_rows"] == 240
    assert told(store, DAYS)["hashrate_hs"]["current_mean"] == pytest.approx(0.5e14, rel=0.01)


def test_too_few_rows_have_a_reason_and_daily_views_a_week(tmp_path: Path) -> None:
    """Ten miners, a row a day: seven days of now are 70 rows, of 200 that are needed."""
    daily = VIEWS["miner_daily"]
    publish(tmp_path, rows(daily, [T + day * DAY for day in range(1, DAYS + 2)], 7200, 1e14), view=daily)
    store = MemoryStore()
    measure_due(store, tmp_path, NOW, [daily])
    row = told(store, DAYS)["hashrate_hs"]
    assert (row["status"], row["psi"], row["current_rows"]) == ("unknown", None, 70)
    assert row["reason"] == "60 rows of the weeks before and 70 of now; 200 are needed of both"


def test_nothing_published_is_nothing_measured(tmp_path: Path) -> None:
    assert measure_due(MemoryStore(), tmp_path, NOW) == DriftReport()
