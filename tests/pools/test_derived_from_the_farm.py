"""From the simulated farm and its pool over loopback to matches and a reconciled day: against what is true there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from deployments.farm import Farm
from deployments.farm.markets.networks import network
from deployments.farm.markets.prices import quote
from deployments.farm.pools.account import Account
from deployments.farm.pools.litecoinpool import FakeLitecoinpool
from tasks.pools.configured import PoolName
from tasks.pools.deriving import derive_pools
from tasks.pools.settings import PoolSettings
from tasks.pools.sources import open_pool
from tasks.sources.paces import Paces
from tests.downsample.memory_store import MemoryStore
from tests.pools.telling import DAY, H, T, deliver, stored

KEY = "planted-farm-4711"
EVERY_S = 1_800
FEE = 0.02
POOLS = [PoolName("ltc", "litecoinpool", "lodeline")]


class Clock:
    now = float(T - H)

    def __call__(self) -> float:
        return self.now


Told = dict[str, list[dict[str, Any]]]


def readings(farm: Farm, miners: list[str], at: int) -> Told:
    told: Told = {"miner_telemetry": [], "miner_pool": []}
    for miner_id in miners:
        truth = farm.truth(miner_id, float(at))
        row = {"time": at, "miner_id": miner_id}
        shares = {f"shares_{kind}": getattr(truth, f"shares_{kind}") for kind in ("accepted", "rejected", "stale")}
        told["miner_telemetry"].append(
            {**row, "hashrate_hs": truth.hashrate_hs, "devfee_percent": truth.devfee_percent, **shares}
        )
        told["miner_pool"] += [
            {**row, "slot": str(pool.slot), "status": pool.status, "user": pool.user, "is_fee": pool.is_fee}
            for pool in truth.pools
        ]
    return told


def surroundings(hours: range) -> Told:
    """What the simulated world's networks and prices are."""
    told: Told = {"network_data": [], "market_data": []}
    for coin_id in ("litecoin", "dogecoin"):
        for hour in hours:
            chain, price = network(coin_id, float(hour)), quote(coin_id, float(hour)).price_usd
            row = {"time": hour, "coin_id": coin_id}
            difficulty = {"network_difficulty": chain.difficulty, "block_reward": chain.reward}
            told["network_data"].append({**row, **difficulty, "source": "explorer"})
            told["market_data"].append({**row, "source": "coingecko", "price_usd": price})
    return told


async def test_a_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.sources.pace.HostPace.take", lambda _: 0.0)
    clock = Clock()
    farm = Farm(8, seed=3, clock=clock)
    account = Account(farm, "scrypt", key=KEY, fee=FEE)
    mine = [one.miner_id for one in farm.miners if one.variant.model.algorithm == "scrypt"]
    told = surroundings(range(T, T + DAY + 2 * H, H))
    async with FakeLitecoinpool(account).service() as service:
        settings = PoolSettings(
            id="ltc", kind="litecoinpool", account="lodeline", api_key=SecretStr(KEY), base_url=service.url
        )
        source = open_pool(settings, tmp_path, Paces(tmp_path))
        for at in range(T - H, T + DAY + H, EVERY_S):
            clock.now = float(at)
            for name, rows in readings(farm, mine, at).items():
                told.setdefault(name, []).extend(rows)
            for frame in (await source.ask(source.requests[0], at)).frames:
                of_pool = told.setdefault(frame.measurement, [])
                of_pool += [
                    {"time": time, **{name: values[row] for name, values in frame.columns.items()}}
                    for row, time in enumerate(frame.times)
                ]
        await source.aclose()
    store = MemoryStore()
    for name, rows in told.items():
        deliver(store, name, rows)
    derive_pools(store, T + DAY + H + 300, POOLS, {})

    matches = [row for row in stored(store, "worker_match") if T <= row["time"] < T + DAY]
    assert {(row["status"], row["worker_id"] == f"lodeline.{row['miner_id']}") for row in matches} == {
        ("matched", True)
    }
    assert len(matches) == 24 * len(mine)
    left = [row["gap_unexplained_ratio"] for row in matches]
    # luck alone, of shares that are some hundred an hour: an hour is off by tenths, all of them together are not
    assert max(map(abs, left)) < 0.25
    assert abs(sum(left) / len(left)) < 0.01

    days = {row["coin_id"]: row for row in stored(store, "pool_reconciliation") if row["time"] == T}
    assert set(days) == {"litecoin", "dogecoin"}
    for coin_id, day in days.items():
        assert day["coverage_percent"] == 100.0
        assert day["credited"] == pytest.approx(account.daily(coin_id, T), rel=1e-5)
        assert day["paid"] == pytest.approx(account.daily(coin_id, T - DAY), rel=1e-9)
        # the pool keeps 2 % and does not say so: that is what is left, but for the difficulty, which moves in a day
        assert day["unexplained"] / day["predicted"] == pytest.approx(-FEE, abs=0.003)
        assert day["reason"] == "the pool's fee is not told: it is in what is left"
    brought = {row["key"]: row for row in stored(store, "pool_summary", dimension="coin", time_period="1d")}
    assert brought["litecoin"]["amount"] == pytest.approx(account.daily("litecoin", T), rel=0.03)
