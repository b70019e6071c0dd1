"""An outage of the collector: what is derived says meanwhile what is missing, and comes right once the gap is filled.

A farm is polled by the real fleet from 4 to 9 and from 17 to 24 o'clock, at 10 minutes, then asked for the hours
between. Nobody tells the flows' steps that something changed. The farm's truth says what is right.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deployments.farm import Farm
from storage.declaration import MEASUREMENTS, Tier
from storage.downsample.run import roll_up
from storage.frame import build_frame
from storage.lake.store import EmbeddedStore
from storage.settings import StorageSettings
from tasks.derive.anomaly.hourly import score_hours
from tasks.derive.fleet import fleet_of
from tasks.derive.forecast.making import forecast_and_score
from tasks.derive.money import derive_financial
from tasks.derive.operations import derive_operational
from tasks.derive.settings import EconomicsSettings, ElectricitySettings
from tasks.miners.backfill import fill_gaps
from tasks.miners.fleet import Fleet
from tasks.miners.gaps import find_own_gaps
from tasks.miners.settings import FleetSettings, MinerSettings
from tasks.pools.configured import PoolName
from tasks.pools.deriving import derive_pools
from tests.farm.clock import NOON, Clock
from tests.pools import telling
from tests.replay.collected import deliver, keep

H = 3_600
EVERY_S = 600
DAY = int(NOON) - 12 * H
NOW = DAY + 24 * H + EVERY_S
LIMITS = FleetSettings()
ALONE, AT_POOL = "miner_0001", "miner_0002"
"""One whose work only itself tells, and one whose pool credits 90 TH/s."""

ELECTRICITY = ElectricitySettings.model_validate({"tariffs": [{"usd_per_kwh": 0.05}]})
ECONOMICS = EconomicsSettings.model_validate({"pool_fee_percent": 0.0, "devfee_percent": 0.0})
USD_TH_DAY = 0.048

Rows = dict[int, dict[str, Any]]


async def collect(data: Path, miners: list[MinerSettings], clock: Clock, start: int, stop: int) -> None:
    def slots() -> Iterator[int]:
        for slot in range(start, stop, EVERY_S):
            clock.now = float(slot)
            yield slot

    await keep(data, Fleet(miners, LIMITS), slots())


def tell(data: Path) -> None:
    """What came in all the time: a pool from 8 to 13 o'clock, worth of mining, and a forecast made at midnight."""
    store = EmbeddedStore(data / "lake")
    worker = {"pool_id": "pool", "worker_id": f"lodeline.{AT_POOL}", "algorithm": "sha256d", "status": "online"}
    slots = range(DAY + 8 * H, DAY + 13 * H + 1, 1_200)
    work = [
        {**worker, "time": at, "work_accepted_d1": 90e12 / 2**32 * (at - DAY), "work_stale_d1": 0.0} for at in slots
    ]
    telling.deliver(store, "pool_performance", work)
    worth = {"algorithm": "sha256d", "coins": "bitcoin", "source": "mempool.space", "usd_th_day": USD_TH_DAY}
    columns: dict[str, Any] = {name: [value] * 24 for name, value in {**worth, "fee_ratio": 0.0}.items()}
    made = {"miner_id": ALONE, "quantity": "next_24h_hashrate", "model": "x", "value": 1e14, "horizon_s": 24 * H}
    forecast: dict[str, Any] = {name: [value] for name, value in made.items()}
    hours = range(DAY, DAY + 24 * H, H)
    store.write([build_frame("mining_profitability", hours, columns), build_frame("forecast", [DAY], forecast)])
    store.close()


def derive(data: Path, miners: list[MinerSettings]) -> int:
    """What the flows do, in their order; how many rows they wrote."""
    names, store = [one.id for one in miners], EmbeddedStore(data / "lake")
    rows = roll_up(store, NOW).rows
    pools = derive_pools(store, NOW, [PoolName("pool", "viabtc", "lodeline")], {})
    rows += pools.matches + pools.summaries
    rows += derive_operational(store, {one.id: one.model for one in miners}, NOW).rows
    rows += derive_financial(store, fleet_of(miners, ELECTRICITY, ECONOMICS), NOW).rows
    rows += score_hours(store, names, NOW).rows
    scored = forecast_and_score(store, names, NOW)
    store.close()
    return rows + scored.forecasts + scored.scores


def stored(data: Path, name: str, miner: str, tier: Tier = Tier.RAW, **where: str) -> Rows:
    """Rows of the day, by the hour."""
    store = EmbeddedStore(data / "lake")
    found = store.read(MEASUREMENTS[name], tier, DAY, DAY + 24 * H, where={"miner_id": miner, **where}).to_pylist()
    store.close()
    return {(int(row["time"].timestamp()) - DAY) // H: row for row in found}


async def test_what_an_outage_left_out_is_said_then_filled_then_derived_again(tmp_path: Path) -> None:
    clock = Clock(float(DAY + 4 * H))
    async with Farm(2, port=0, clock=clock) as farm:
        usual = {"polling_interval_seconds": EVERY_S, "adaptive": False, "driver": "vnish-rest"}
        miners = [MinerSettings.model_validate(one | usual) for one in farm.configuration()["miners"]]
        await collect(tmp_path, miners, clock, DAY + 4 * H, DAY + 9 * H)
        await collect(tmp_path, miners, clock, DAY + 17 * H, NOW)
        tell(tmp_path)
        derive(tmp_path, miners)
        meanwhile(tmp_path)

        clock.now = float(NOW)
        storage = StorageSettings(data_directory=tmp_path)
        gaps = await find_own_gaps(storage, miners, LIMITS, host="host", start=DAY, stop=NOW)
        filled = await fill_gaps(storage, miners, gaps, run_id="run", clock=clock)
        assert {(one.miner_id, one.filled) for one in filled} == {(ALONE, 48), (AT_POOL, 48)}  # 8 h of 6
        deliver(tmp_path)
        assert derive(tmp_path, miners) > 0
        afterwards(tmp_path, farm)
        assert derive(tmp_path, miners) == 0


def meanwhile(data: Path) -> None:
    """12 of 24 hours are known."""
    assert sorted(stored(data, "miner_telemetry", ALONE, Tier.HOURLY)) == [*range(4, 9), *range(17, 24)]
    assert stored(data, "miner_telemetry", ALONE, Tier.DAILY)[0]["hashrate_hs_seconds"] == 12 * H
    day = stored(data, "operational_metrics", ALONE, time_period="1d")[0]
    assert day["coverage_percentage"] == 50
    assert "gap" in day["reason"].split(",")
    alone = stored(data, "financial_metrics", ALONE, time_period="1h")[12]
    assert (alone["profit"], alone["hours"], alone["reason"]) == (None, 0, "revenue:no_work,cost:no_power")
    at_pool = stored(data, "financial_metrics", AT_POOL, time_period="1h")[12]
    # 90 TH/s x 0.048 / 24
    assert (at_pool["revenue"], at_pool["profit"], at_pool["reason"]) == (pytest.approx(0.18), None, "cost:no_power")
    day = stored(data, "financial_metrics", ALONE, time_period="1d")[0]
    assert (day["hours"], "profit:hours_missing" in day["reason"]) == (12, True)
    assert stored(data, "worker_match", AT_POOL)[12]["reason"] == "the miner told nothing"
    assert 12 not in stored(data, "anomaly_score", ALONE, time_period="1h")
    score = stored(data, "forecast_score", ALONE)[0]
    assert (score["actual"], score["reason"]) == (None, "12 of 24 hours are known")


def afterwards(data: Path, farm: Farm) -> None:
    """20 of 24 hours are known; of each, six readings."""

    def truth(miner: str, first: int, stop: int) -> tuple[float, float]:
        """Mean hashrate (TH/s) and power (kW) of these hours."""
        told = [farm.truth(miner, at) for at in range(DAY + first * H, DAY + stop * H, EVERY_S)]
        hashrates, powers = [one.hashrate_hs for one in told], [one.power_w for one in told]
        return float(np.mean(hashrates)) / 1e12, float(np.mean(powers)) / 1e3

    terahashes, kilowatts = truth(ALONE, 12, 13)
    hours = stored(data, "miner_telemetry", ALONE, Tier.HOURLY)
    assert sorted(hours) == list(range(4, 24))
    assert hours[12]["hashrate_hs_integral"] == pytest.approx(terahashes * 1e12 * H, rel=1e-4)
    assert stored(data, "miner_telemetry", ALONE, Tier.DAILY)[0]["hashrate_hs_seconds"] == 20 * H
    hour = stored(data, "operational_metrics", ALONE, time_period="1h")[12]
    assert hour["power_efficiency_j_th"] == pytest.approx(1e3 * kilowatts / terahashes, rel=2e-4)
    # nobody asked it then: how much it was up and why it lost what it lost is not known, and 0 % would be a lie
    assert (hour["coverage_percentage"], hour["uptime_percentage"]) == (100, None)
    assert hour["reason"] == "uptime_percentage:not_asked,thermal_efficiency:air_assumed"
    day = stored(data, "operational_metrics", ALONE, time_period="1d")[0]
    assert day["coverage_percentage"] == pytest.approx(100 * 20 / 24)
    assert day["uptime_percentage"] == 100
    alone = stored(data, "financial_metrics", ALONE, time_period="1h")[12]
    profit = terahashes * USD_TH_DAY / 24 - kilowatts * 0.05
    assert (alone["profit"], alone["hours"]) == (pytest.approx(profit, abs=1e-4), 1)
    assert alone["reason"] == "revenue:measured_by_miner,revenue:seen_by_no_pool"
    at_pool = stored(data, "financial_metrics", AT_POOL, time_period="1h")[12]
    assert at_pool["profit"] == pytest.approx(0.18 - truth(AT_POOL, 12, 13)[1] * 0.05, abs=1e-4)
    assert at_pool["reason"] == ""
    day = stored(data, "financial_metrics", ALONE, time_period="1d")[0]
    assert (day["hours"], day["energy_kwh"]) == (20, pytest.approx(20 * truth(ALONE, 4, 24)[1], rel=1e-3))
    match = stored(data, "worker_match", AT_POOL)[12]
    assert match["hashrate_miner_hs"] == pytest.approx(truth(AT_POOL, 12, 13)[0] * 1e12, rel=1e-4)
    assert sorted(stored(data, "anomaly_score", ALONE, time_period="1h")) == list(range(4, 24))
    score = stored(data, "forecast_score", ALONE)[0]
    assert (score["actual"], score["reason"]) == (pytest.approx(truth(ALONE, 4, 24)[0] * 1e12, rel=1e-3), "")
