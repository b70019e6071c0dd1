"""What is derived of pools is the same on the real InfluxDB as on the embedded store, once and late."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from storage.influx.settings import InfluxSettings
from storage.influx.store import InfluxStore
from storage.lake.store import EmbeddedStore
from storage.store import Store
from tasks.pools.configured import PoolName
from tasks.pools.deriving import PoolsReport, derive_pools
from tests.pools.telling import DAY, H, T, deliver, stored

pytestmark = pytest.mark.influx

POOLS = [PoolName("via", "viabtc", "farm")]
NOW = T + DAY + H + 300
DERIVED = ("worker_match", "pool_summary", "pool_reconciliation", "pool_payout")


def hours(user: str, miner_id: str, which: range) -> dict[str, list[dict[str, Any]]]:
    times = [T + n * H + part * 900 for n in which for part in range(4)]
    tags = {"miner_id": miner_id}
    return {
        "miner_telemetry": [{**tags, "time": time, "hashrate_hs": 9.6e9, "devfee_percent": 2.0} for time in times],
        "miner_pool": [{**tags, "time": time, "slot": "0", "status": "active", "user": user} for time in times],
    }


def tell(store: Store, told: dict[str, list[dict[str, Any]]]) -> None:
    for name, rows in told.items():
        deliver(store, name, rows)


def fill(store: Store) -> None:
    """A matched miner, one that mines for a stranger, and a day of a pool with network, prices and payouts."""
    tell(store, hours("farm.rig1", "m1", range(24)))
    tell(store, hours("thief", "m2", range(20, 24)))
    worker = {"pool_id": "via", "worker_id": "farm.rig1", "algorithm": "scrypt", "status": "online"}
    rates = {"hashrate_reported_hs": 9.5e9, "reject_ratio": 0.01, "reject_basis": "rate"}
    coin = {"coin_id": "litecoin"}
    payout = {"pool_id": "via", **coin, "settlement_zone": "UTC"}
    tell(
        store,
        {
            "pool_performance": [{**worker, **rates, "time": T + n * H} for n in range(24)],
            "pool_account": [
                {"pool_id": "via", **coin, "time": T + n * H, "credited_total": 1 + n / 1e3} for n in range(25)
            ],
            "network_data": [
                {**coin, "source": "x", "time": T, "network_difficulty": 83_619_823.71858509, "block_reward": 6.25}
            ],
            "market_data": [
                {**coin, "source": "coingecko", "time": T + n * H, "price_usd": 80.0 + n} for n in range(25)
            ],
            "pool_payout": [
                {
                    **payout,
                    "time": T,
                    "kind": "credited",
                    "reference": "d",
                    "amount": 0.014,
                    "settlement_day": "2026-09-21",
                },
                {**payout, "time": T + 5 * H, "kind": "paid", "reference": "p", "amount": 0.5},
            ],
        },
    )


def test_the_same_rows_on_both_stores(influx: InfluxSettings, tmp_path: Path) -> None:
    reports, rows = [], []
    for store in (InfluxStore(influx), EmbeddedStore(tmp_path / "lake")):
        fill(store)
        reports.append(derive_pools(store, NOW, POOLS, {}))
        assert derive_pools(store, NOW, POOLS, {}) == PoolsReport()
        tell(store, hours("farm.rig1", "m3", range(22, 23)))  # late, and a second miner of one worker
        reports.append(derive_pools(store, NOW, POOLS, {}))
        assert derive_pools(store, NOW, POOLS, {}) == PoolsReport()
        rows.append({name: stored(store, name) for name in DERIVED})
        store.close()
    assert reports[:2] == reports[2:]
    assert reports[0].matches == 28
    assert reports[0].days == 1
    of_influx, of_lake = rows
    states = [row["status"] for row in of_influx["worker_match"]]
    assert {state: states.count(state) for state in set(states)} == {
        "matched": 23, "wrong_pool": 4, "duplicate_worker": 2
    }  # fmt: skip
    for name in DERIVED:
        assert [_plain(row) for row in of_influx[name]] == [_plain(row) for row in of_lake[name]]


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """InfluxDB has no series without a tag's value but the empty one."""
    return {name: pytest.approx(value) if isinstance(value, float) else value or None for name, value in row.items()}
