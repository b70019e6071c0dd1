"""The simulated world as Lodeline itself compares it: miners against the workers that their pools see, hour by hour."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from deployments.farm import Farm
from deployments.farm.services import POOLS, Services
from storage.lake.store import EmbeddedStore
from tasks.collection_settings import load_collection_settings
from tasks.pools.configured import pool_names
from tasks.pools.deriving import derive_pools
from tasks.pools.sources import open_pool_sources
from tests.farm.clock import NOON, Clock
from tests.farm.test_services import rows
from tests.pools.telling import deliver, stored

HOURS, STEP_S = 2, 300


async def test_every_miner_is_the_worker_of_its_pool_and_its_gap_has_its_reasons(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.sources.pace.HostPace.take", lambda _: 0.0)
    clock = Clock(NOON)
    farm = Farm(16, seed=2, clock=clock, pools=POOLS)
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    async with Services(farm) as services:
        path = farm.write_configuration(tmp_path, sections=services.configuration())
        settings = load_collection_settings(path, {}, lambda _: None)
        pools, _, _ = open_pool_sources(settings, state=tmp_path / "state")
        requests = [(pool, one) for pool in pools for one in pool.requests if one.name in ("workers", "account")]
        for slot in range(int(NOON), int(NOON) + HOURS * 3_600, STEP_S):
            clock.now = float(slot)
            for pool, request in requests:
                for frame in (await pool.ask(request, slot)).frames:
                    found[frame.measurement] += rows(frame)
            for one in farm.miners:
                truth = farm.truth(one.miner_id)
                told = {"time": slot, "miner_id": one.miner_id}
                shares = {
                    f"shares_{word}": getattr(truth, f"shares_{word}") for word in ("accepted", "rejected", "stale")
                }
                hashing = {
                    "hashrate_hs": truth.hashrate_hs,
                    "devfee_percent": truth.devfee_percent,
                    "state": truth.state,
                }
                found["miner_telemetry"].append({**told, **hashing, **shares})
                user = truth.pools[0]
                mining = {"slot": "0", "status": "active", "is_fee": False, "url": user.url, "user": user.user}
                found["miner_pool"].append({**told, **mining})
        for pool in pools:
            await pool.aclose()

    store = EmbeddedStore(tmp_path / "lake")
    for name in ("miner_telemetry", "miner_pool", "pool_performance", "pool_account"):
        deliver(store, name, found[name])
    derive_pools(store, int(NOON) + HOURS * 3_600 + 600, pool_names(settings), {})
    matches = stored(store, "worker_match")
    store.close()

    assert len(matches) == HOURS * len(farm.miners)
    home = {one.miner_id: one.pool for one in farm.miners}
    for row in matches:
        assert (row["status"], row["pool_id"]) == ("matched", home[row["miner_id"]]), row
        assert row["worker_id"] == f"lodeline.{row['miner_id']}"
        # A fee of 2.8 % and some rejected shares. Where the pool tells work, an hour of it is 400 shares: 4 sigma.
        luck = 0.2 if row["pool_id"] == "litecoinpool" else 0.01
        assert row["hashrate_pool_hs"] / row["hashrate_miner_hs"] == pytest.approx(0.968, abs=luck + 0.01), row
        assert row["gap_unexplained_ratio"] == pytest.approx(0.0, abs=luck), row
