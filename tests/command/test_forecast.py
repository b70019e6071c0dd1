"""``lodeline forecast`` on forecasts of two days of a fleet of one miner."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from deployments.command import app
from storage.frame import Value, build_frame
from storage.lake.store import EmbeddedStore

DAY_S = 86_400
MIDNIGHT = int(time.time()) // DAY_S * DAY_S
HASHRATE, REVENUE = "next_24h_hashrate", "next_24h_revenue"


@pytest.fixture
def runner(tmp_path: Path) -> CliRunner:
    miner = {"id": "m1", "model": "S19", "ip": "127.0.0.1"}
    (tmp_path / "data_collection_config.yaml").write_text(yaml.safe_dump({"miners": [miner]}))
    return CliRunner(env={"LODELINE_CONFIG": str(tmp_path), "LODELINE_DATA_DIRECTORY": str(tmp_path / "data")})


@pytest.fixture
def forecasts(runner: CliRunner, tmp_path: Path) -> None:
    forecast: dict[str, Sequence[Value]] = {
        "miner_id": ["m1", "m1", "m1", "fleet"],
        "quantity": [HASHRATE, HASHRATE, REVENUE, HASHRATE],
        "model": ["theta", "combination", "none", "theta"],
        "value": [90e12, 100e12, None, 500e12],
        "low": [80e12, 95e12, None, 480e12],
        "high": [99e12, 105e12, None, 520e12],
        "unit": ["H/s", "H/s", "USD", "H/s"],
        "reason": [None, None, "no revenue is known", None],
    }
    score: dict[str, Sequence[Value]] = {
        "miner_id": ["m1", "m1"], "quantity": [HASHRATE] * 2, "model": ["theta"] * 2,
        "actual": [92e12, None], "error": [-2e12, None], "mase": [0.5, None], "inside": [True, None],
        "reason": [None, "3 of 24 hours are known"],
    }  # fmt: skip
    store = EmbeddedStore(tmp_path / "data" / "lake")
    store.write(
        [
            build_frame("forecast", [MIDNIGHT - DAY_S, MIDNIGHT, MIDNIGHT, MIDNIGHT], forecast),
            build_frame("forecast_score", [MIDNIGHT - 2 * DAY_S, MIDNIGHT - DAY_S], score),
        ]
    )
    store.close()


@pytest.mark.usefixtures("forecasts")
def test_the_newest_of_each_quantity_with_the_last_score_that_there_is(runner: CliRunner) -> None:
    result = runner.invoke(app, ["forecast", "--miner", "m1", "--format", "json"])
    assert result.exit_code == 0, result.output
    hashrate, revenue = json.loads(result.stdout)
    assert (hashrate["quantity"], hashrate["model"], hashrate["unit"]) == (HASHRATE, "combination", "H/s")
    assert [hashrate[name] for name in ("low", "value", "high")] == [95e12, 100e12, 105e12]
    assert hashrate["age_h"] == pytest.approx((time.time() - MIDNIGHT) / 3_600, abs=0.1)
    # of the two scores the newer one is null
    assert (hashrate["scored_error"], hashrate["scored_mase"], hashrate["scored_inside"]) == (-2e12, 0.5, True)
    assert (revenue["value"], revenue["reason"], revenue["scored_mase"]) == (None, "no revenue is known", None)


@pytest.mark.usefixtures("forecasts")
@pytest.mark.parametrize(("asked", "shown"), [([], ["fleet"]), (["--all"], ["fleet", "m1", "m1"])])
def test_the_fleet_by_default(runner: CliRunner, asked: list[str], shown: list[str]) -> None:
    rows = json.loads(runner.invoke(app, ["forecast", *asked, "--format", "json"]).stdout)
    assert [row["miner_id"] for row in rows] == shown


def test_nothing_yet_and_nobody(runner: CliRunner) -> None:
    nothing = runner.invoke(app, ["forecast"])
    assert (nothing.exit_code, "No forecasts" in nothing.stderr) == (0, True)
    nobody = runner.invoke(app, ["forecast", "--miner", "m9"])
    assert (nobody.exit_code, "no miner m9 is configured" in nobody.stderr) == (2, True)
