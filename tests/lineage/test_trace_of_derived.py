"""Derived rows lead to the rows that they are made of, and the list of those is what deriving really reads."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from typer.testing import CliRunner, Result

from deployments.command import app
from storage.declaration import MEASUREMENTS, Measurement, Tier
from storage.downsample.run import roll_up
from storage.frame import Frame, Value, build_frame
from storage.lake.store import EmbeddedStore
from tasks.derive.anomaly.hourly import score_hours
from tasks.derive.forecast.making import forecast_and_score
from tasks.derive.money import derive_financial
from tasks.derive.operations import INPUTS, derive_operational
from tasks.derive.opportunities.gathering import gather
from tasks.derive.source_hours import derive_source_hours
from tasks.lineage.made_from import DAY_S, HOUR_S, MADE_FROM
from tasks.market.deriving import derive
from tasks.pools.configured import PoolName
from tasks.pools.deriving import derive_pools
from tests.derive.anomaly.test_hours import hours, put
from tests.derive.forecast.test_making import telemetry
from tests.derive.test_deriving import COINS, NOW, closes, network, price
from tests.derive.test_money import DUE, FLEET, hour_of
from tests.derive.test_operations import END, MIDNIGHT, MINERS, two_hours
from tests.pools.telling import T
from tests.pools.test_deriving_pools import fill

THEN = NOW // HOUR_S * HOUR_S - HOUR_S
"""Start of the last whole hour."""
RATES = np.full(15 * 24, 100e12)
START = MIDNIGHT - len(RATES) * HOUR_S

BOOKS = frozenset({"window_touched", "window_rolled", "window_held", "miner_event", "source_event", "alert_event"})
"""What says that something is due, and events of what was done by hand: named under ``besides``."""


class Reading(EmbeddedStore):
    """Notes of which measurements rows are read."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.asked: set[str] = set()

    def read(self, measurement: Measurement, *arguments: Any, **more: Any) -> pa.Table:
        self.asked.add(measurement.name)
        return super().read(measurement, *arguments, **more)

    def windows(self, measurement: Measurement, *arguments: Any, **more: Any) -> pa.Table:
        self.asked.add(measurement.name)
        return super().windows(measurement, *arguments, **more)


def said(*measurements: str) -> set[str]:
    return {one.measurement for name in measurements for one in MADE_FROM[name].inputs}


def of_markets(store: Reading) -> None:
    store.write([closes([100.0 + day for day in range(40)]), network("bitcoin", THEN), price("bitcoin", THEN + 60)])
    derive(store, NOW, COINS)


def of_pools(store: Reading) -> None:
    fill(store)
    derive_pools(store, T + 4 * HOUR_S, [PoolName("ltc", "litecoinpool", "farm")], {})


def of_money(store: Reading) -> None:
    hour_of(store)
    derive_financial(store, FLEET, DUE)


def of_operations(store: Reading) -> None:
    two_hours(store)
    roll_up(store, END, measurements=INPUTS)
    derive_operational(store, MINERS, END)


def of_anomalies(store: Reading) -> None:
    put(store, hours(30), MIDNIGHT)
    score_hours(store, [f"m{row}" for row in range(8)], MIDNIGHT + 60)


def of_forecasts(store: Reading) -> None:
    store.replace(MEASUREMENTS["miner_telemetry"], Tier.HOURLY, START, MIDNIGHT, telemetry({"m1": RATES}, MIDNIGHT))
    forecast_and_score(store, ["m1"], MIDNIGHT + 28 * 60)
    forecast_and_score(store, ["m1"], MIDNIGHT + 28 * 60 + 2 * DAY_S)


def of_sources(store: Reading) -> None:
    derive_source_hours(store, MIDNIGHT)


def of_advice(store: Reading) -> None:
    hour_of(store)
    gather(store, FLEET, MIDNIGHT + HOUR_S)


@pytest.mark.parametrize(
    ("derive_them", "measurements", "more"),
    [
        (of_markets, ("market_indicator", "mining_profitability"), set()),
        (of_pools, ("worker_match", "pool_summary", "pool_reconciliation"), set()),
        (of_money, ("financial_metrics",), {"financial_summary"}),
        (of_operations, ("operational_metrics",), set()),
        (of_anomalies, ("anomaly_score",), set()),
        (of_forecasts, ("forecast", "forecast_score"), set()),
        (of_sources, ("source_hour",), set()),
        (of_advice, ("optimization_opportunity",), set()),
    ],
)
def test_what_is_said_is_what_deriving_reads(
    derive_them: Callable[[Reading], None], measurements: tuple[str, ...], more: set[str], tmp_path: Path
) -> None:
    store = Reading(tmp_path / "lake")
    derive_them(store)
    store.close()
    # write_changed reads what is stored of a row before it writes it
    assert store.asked - BOOKS - set(measurements) == said(*measurements) - BOOKS - set(measurements) | more


def run(*arguments: str) -> Result:
    return CliRunner(env={"LODELINE_CONFIG": None, "COLUMNS": "200"}).invoke(app, list(arguments))


def traced(measurement: str, at: int, *where: str) -> dict[str, Any]:
    conditions = [part for one in where for part in ("--where", one)]
    result = run("trace", measurement, *conditions, "--at", str(at), "--json")
    assert result.exit_code == 0, result.output
    return dict(json.loads(result.stdout))


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LODELINE_DATA_DIRECTORY", str(tmp_path))
    monkeypatch.setattr("time.time", lambda: NOW + 0.0)
    return tmp_path


def stored(data: Path, *frames: Frame) -> None:
    store = EmbeddedStore(data / "lake")
    store.write(frames)
    store.close()


def test_from_the_worth_of_an_hour_to_the_request_of_its_difficulty(data: Path) -> None:
    of_markets(store := Reading(data / "lake"))
    store.close()
    asked: dict[str, list[Value]] = {
        "host": ["h"], "source": ["x"], "request": ["networks"], "ok": [True], "run_id": ["r"], "rows": [1],
    }  # fmt: skip
    stored(data, build_frame("source_request", [THEN], asked))
    found = traced("mining_profitability", NOW, "coins=bitcoin")
    assert (found["time"], found["page"]) == (THEN, "docs/derived-metrics.md")
    networks, prices = found["made_from"]
    # its hour; the difficulty of its source alone, the price of any
    assert networks == {
        "measurement": "network_data", "tier": "raw", "start": THEN, "stop": THEN + 3_600, "where": {"source": "x"},
        "rows": 1, "trace": networks["trace"],
    }  # fmt: skip
    assert (prices["measurement"], prices["where"], prices["rows"]) == ("market_data", {}, 1)
    on = run(*shlex.split(networks["trace"])[1:], "--json")
    assert on.exit_code == 0, on.output
    reached = json.loads(on.stdout)
    assert (reached["measurement"], reached["time"]) == ("network_data", THEN)
    assert [(one["request"], one["run_id"]) for one in reached["requests"]] == [("networks", "r")]
    said = run("trace", "mining_profitability", "--where", "coins=bitcoin", "--at", str(NOW)).stdout
    for words in ("made from 1 rows of network_data, source x, ", f"go on     {networks['trace']}",
                  "formulas  docs/derived-metrics.md", "note      besides: of both only the coins"):  # fmt: skip
        assert words in said


def test_a_day_of_a_miner_is_made_of_its_hours(data: Path) -> None:
    two = {"miner_id": ["a", "b"], "time_period": ["1d", "1d"], "reason": ["", "no_readings"]}
    stored(data, build_frame("operational_metrics", [MIDNIGHT] * 2, two))
    store = EmbeddedStore(data / "lake")
    last = MIDNIGHT + 24 * HOUR_S
    hourly = telemetry({"a": RATES[:30], "c": RATES[:30]}, last)
    store.replace(MEASUREMENTS["miner_telemetry"], Tier.HOURLY, last - 30 * HOUR_S, last, hourly)
    store.close()
    found = traced("operational_metrics", MIDNIGHT, "miner_id=a")
    by_name = {one["measurement"]: one for one in found["made_from"]}
    # of the 30 hours of a the 24 of the day, none of c
    assert [(name, one["tier"], one["rows"]) for name, one in by_name.items()] == [
        ("miner_telemetry", "hourly", 24), ("miner_board", "hourly", 0), ("miner_pool", "hourly", 0),
    ]  # fmt: skip
    # the last second of the last hour: the newest point in it
    assert by_name["miner_telemetry"]["trace"] == (
        "lodeline trace miner_telemetry --where miner_id=a --at 2027-01-15T23:59:59Z"
    )
    assert by_name["miner_board"]["trace"] is None
    assert "their retention is over" in found["notes"][0]
    which = run("trace", "operational_metrics", "--at", str(MIDNIGHT))
    assert (which.exit_code, which.stdout) == (2, "")
    assert "2 series have a row at that time" in which.stderr
    assert "--where, miner_id: a, b" in which.stderr
    none = run("trace", "operational_metrics", "--where", "miner_id=z", "--at", str(MIDNIGHT))
    assert none.exit_code == 2
    assert "no operational_metrics, miner_id z, in the month" in none.stderr


def test_inputs_are_those_of_the_kind_of_row(data: Path) -> None:
    summary: dict[str, list[Value]] = {
        "pool_id": ["p", "p"], "dimension": ["coin", "worker"], "key": ["litecoin", "w"], "time_period": ["1h", "1d"],
    }  # fmt: skip
    match: dict[str, list[Value]] = {"miner_id": ["m"], "pool_id": [None], "worker_id": [None], "status": ["not_told"]}
    forecasts: dict[str, list[Value]] = {
        "miner_id": ["fleet"], "quantity": ["next_24h_revenue"], "model": ["mean"], "value": [1.0],
    }  # fmt: skip
    stored(
        data,
        build_frame("pool_summary", [MIDNIGHT] * 2, {**summary, "workers": [1, 1]}),
        build_frame("worker_match", [MIDNIGHT], match),
        build_frame("forecast", [MIDNIGHT], forecasts),
    )
    coin = traced("pool_summary", MIDNIGHT, "dimension=coin")["made_from"]
    assert [(one["measurement"], one["where"]) for one in coin] == [
        ("pool_account", {"pool_id": "p", "coin_id": "litecoin"}), ("market_data", {"coin_id": "litecoin"}),
    ]  # fmt: skip
    (day,) = traced("pool_summary", MIDNIGHT, "dimension=worker")["made_from"]
    assert (day["measurement"], day["stop"] - day["start"]) == ("pool_summary", 86_400)
    assert day["where"] == {"time_period": "1h", "pool_id": "p", "dimension": "worker", "key": "w"}
    unmatched = traced("worker_match", MIDNIGHT)
    assert [one["measurement"] for one in unmatched["made_from"]] == ["miner_telemetry", "miner_pool"]
    assert "the row has no pool_id, so nothing of pool_performance is in it" in unmatched["notes"]
    (money,) = traced("forecast", MIDNIGHT)["made_from"]
    # five weeks before, of all miners, and nothing from its time on
    assert (money["measurement"], money["where"]) == ("financial_metrics", {"time_period": "1h"})
    assert (money["start"], money["stop"]) == (MIDNIGHT - 35 * 86_400, MIDNIGHT)
