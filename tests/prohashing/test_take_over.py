"""Take-over in one piece, by the flow of pools and a real router: WAMP goes, HTTP steps in by itself and hands back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
import yaml

from deployments.farm import Farm
from deployments.farm.pools.account import Account
from deployments.farm.pools.prohashing import FakeProhashing
from storage.declaration import MEASUREMENTS, Tier
from storage.lake.store import EmbeddedStore
from tasks.shift.baton import Baton
from tasks.sources.lanes import POOLS
from tasks.sources.standing import RequestStanding, StandingsFile
from tests.prohashing.listening import QUICK
from tests.prohashing.pool_side import KEY, pool_side
from tests.prohashing.router.router import Router

pytestmark = [
    pytest.mark.prefect,
    # Prefect leaves the socket of a run's client to the garbage collector; a flow's process ends before that matters.
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
    pytest.mark.usefixtures("api", "collected"),
]
PROFIT, WORKER = "com.prohashing.profitability", "com.prohashing.worker"
EVERY_S = 10
"""The shortest interval that may be configured."""


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data directory; a grid of seconds, a stream that tries again soon, and no pace, which has tests of its own."""
    monkeypatch.setenv("LODELINE_DATA_DIRECTORY", str(tmp_path / "data"))
    monkeypatch.setattr("tasks.sources.collection.GRID_S", 1)
    monkeypatch.setattr("tasks.sources.pace.HostPace.take", lambda _: 0.0)
    monkeypatch.setattr("tasks.pools.prohashing.stream.Timing", lambda: replace(QUICK, longest_wait_s=0.5))
    return tmp_path / "data"


def standing(data: Path, request: str) -> RequestStanding | None:
    found = StandingsFile(data / "state", POOLS).read()
    return next((one for one in found if (one.source, one.request) == ("prohashing", request)), None)


def covered(data: Path) -> bool:
    return all(
        (one := standing(data, request)) is not None and one.covered_by == "wamp"
        for request in ("workers", "status", "profitability")
    )


async def until(holds: Callable[[], object], meanwhile: Callable[[], Awaitable[object]] | None = None) -> None:
    """Return when ``holds``; nobody notifies of files of another task."""
    async with asyncio.timeout(120):
        while not holds():
            if meanwhile is not None:
                await meanwhile()
            await asyncio.sleep(0.05)


async def test_http_takes_over_while_wamp_is_down_and_hands_back(router: Router, data: Path, tmp_path: Path) -> None:
    from flows.collect_pools import collect_pools

    farm = Farm(6, seed=3)
    account = Account(farm, "scrypt", key=KEY)
    fake = FakeProhashing(account)
    names = {f"lodeline.{one.name}" for one in account.workers()}

    async with fake.service() as http:
        config = tmp_path / "config"
        config.mkdir()
        intervals = dict.fromkeys(("status", "profitability", "workers", "payouts"), EVERY_S)
        pool = {
            "api_key": KEY, "account": "lodeline", "wamp": {"url": router.url},
            "http": {"base_url": http.url, "polling_intervals": {**intervals, "payouts": 3_600}},
        }  # fmt: skip
        (config / "data_collection_config.yaml").write_text(yaml.safe_dump({"prohashing": pool}))

        def answered_by_http() -> int:
            return sum(request.path == "/walletEx" for request in http.asked)

        async def pushed_by_wamp() -> None:
            async with pool_side(router.url, "realm1") as side:

                async def push() -> None:
                    await side.publish(PROFIT, fake.pushed())
                    await side.publish(WORKER, [_pushed(one.name, one.hashrate_hs) for one in account.workers()])

                await until(lambda: covered(data), push)

        shift: Any = collect_pools(str(config), least_minutes=0, return_state=True)
        running = asyncio.create_task(shift)
        try:
            await pushed_by_wamp()
            asked = answered_by_http()
            lost_at = int(asyncio.get_running_loop().time())
            await asyncio.to_thread(router.kill)
            await until(lambda: answered_by_http() > asked)  # by itself, at the next second
            took_s = asyncio.get_running_loop().time() - lost_at
            await until(lambda: (one := standing(data, "workers")) and one.covered_by is None and one.success_slot)
            await asyncio.to_thread(router.start)
            await pushed_by_wamp()
            asked = answered_by_http()
            with Baton(data / "locks", POOLS).stopping():
                state = await running
            assert answered_by_http() == asked
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
    assert state.message == "stopped without a successor"
    assert took_s < EVERY_S, "HTTP does not wait for its interval"

    told = [row for row in stored(data, "source_payload") if "workers" in row["request"]]
    in_turn = [request for request, _ in groupby(row["request"] for row in sorted(told, key=_received))]
    assert in_turn[-3:] == ["wamp workers", "workers", "wamp workers"]
    assert {row["worker_id"] for row in stored(data, "pool_performance")} == names
    assert all(KEY not in str(row) for row in told)


def _received(row: dict[str, Any]) -> int:
    return int(row["received_ms"])


def _pushed(name: str, hashrate_hs: float) -> dict[str, Any]:
    return {"uuid": name, "miner_name": name, "algorithm_name": "Scrypt", "hashrate": hashrate_hs}


def stored(data: Path, measurement: str) -> list[dict[str, Any]]:
    store = EmbeddedStore(data / "lake")
    rows: list[dict[str, Any]] = store.read(MEASUREMENTS[measurement], Tier.RAW, 0, 2**32).to_pylist()
    store.close()
    return rows
