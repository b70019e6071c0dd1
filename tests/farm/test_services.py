"""The services around a farm: one world, asked by the product's own sources, all of it on loopback."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from deployments.farm import Farm
from deployments.farm.control import Control
from deployments.farm.markets.networks import network
from deployments.farm.markets.prices import quote
from deployments.farm.markets.service import FaultKind
from deployments.farm.services import POOLS, ServiceFault, Services
from storage.frame import Frame
from tasks.collection_settings import CollectionSettings, load_collection_settings
from tasks.market.sources import open_market_sources
from tasks.pools.sources import open_pool_sources
from tasks.sources.failure import SourceFailure, SourceFailureKind
from tasks.sources.source import Source
from tests.farm.clock import NOON, Clock

SLOT = int(NOON)
SERVICES = {
    "litecoinpool", "prohashing", "mining_dutch", "f2pool", "viabtc", "coingecko", "coinmarketcap", "minerstat",
    "mempool_space", "blockchain_info", "whattomine", "litesolo",
}  # fmt: skip


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Hosts that were asked; and no waiting: the pace of the real services has tests of its own."""
    asked: set[str] = set()
    send = httpx.AsyncHTTPTransport.handle_async_request

    async def recorded(self: httpx.AsyncHTTPTransport, request: httpx.Request) -> httpx.Response:
        asked.add(request.url.host)
        return await send(self, request)

    monkeypatch.setattr(httpx.AsyncHTTPTransport, "handle_async_request", recorded)
    monkeypatch.setattr("tasks.sources.pace.HostPace.take", lambda _: 0.0)
    return asked


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[tuple[Farm, Services, CollectionSettings]]:
    """Sixteen miners, so that each pool has some; services; and the configuration as a collector loads it."""
    farm = Farm(16, seed=2, clock=Clock(), pools=POOLS)
    async with Services(farm) as services:
        path = farm.write_configuration(tmp_path, sections=services.configuration())
        yield farm, services, load_collection_settings(path, {}, lambda _: None)


async def everything(settings: CollectionSettings, state: Path) -> dict[str, list[dict[str, Any]]]:
    """Rows by measurement of all that can be asked: prices first, since pools value by them."""
    market, _ = open_market_sources(settings.market_data, state=state)
    pools, _, streams = open_pool_sources(settings, state=state)
    assert streams == []
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for source in (*market, *pools):
        for request in source.requests:
            gathered = await source.ask(request, SLOT)
            assert [notice for notice in gathered.notices if "tells nothing of" not in notice] == []
            for frame in gathered.frames:
                found[frame.measurement] += rows(frame)
        await source.aclose()
    return found


def rows(frame: Frame) -> list[dict[str, Any]]:
    return [
        {"time": at, **{name: values[row] for name, values in frame.columns.items()}}
        for row, at in enumerate(frame.times)
    ]


async def test_one_world_that_agrees_with_itself(world, hosts, tmp_path):
    farm, services, settings = world
    assert set(services.names) == SERVICES
    found = await everything(settings, tmp_path / "state")
    assert hosts == {"127.0.0.1"}

    workers = Counter(row["worker_id"] for row in found["pool_performance"])
    assert workers == Counter(f"lodeline.{one.miner_id}" for one in farm.miners), "a miner mines at one pool"
    at = {row["worker_id"]: row for row in found["pool_performance"]}
    for one in farm.miners:
        truth, told = farm.truth(one.miner_id), at[f"lodeline.{one.miner_id}"]
        assert (told["pool_id"], told["status"]) == (one.pool, "online")
        assert told["hashrate_reported_hs"] == pytest.approx(truth.hashrate_hs * truth.accepted_fraction, rel=1e-4)
    counted = [row for row in found["pool_performance"] if row.get("work_accepted_d1") is not None]
    assert {row["worker_id"]: row["work_accepted_d1"] for row in counted} == {
        f"lodeline.{one.miner_id}": farm.truth(one.miner_id).work_accepted_d1
        for one in farm.miners
        if one.pool == "litecoinpool"
    }

    assert {row["source"] for row in found["market_data"]} == {"coingecko", "coinmarketcap"}
    for row in found["market_data"]:
        assert row["price_usd"] == pytest.approx(quote(row["coin_id"], NOON).price_usd, rel=1e-9)
    sources = defaultdict(set)
    for row in found["network_data"]:
        sources[row["coin_id"]].add(row["source"])
        assert row["network_difficulty"] == pytest.approx(network(row["coin_id"], NOON).difficulty, rel=1e-9)
        assert row.get("quality_flags") in (None, "")
    assert sources["litecoin"] == {"litecoinpool", "litesolo", "whattomine", "minerstat"}
    assert sources["bitcoin"] == {"mempool.space", "blockchain.info", "whattomine", "minerstat"}

    # What the pools say a TH/s earns is difficulty, reward and price of the same world.
    for row in found["pool_profitability"]:
        coins = {"sha256d": ["bitcoin"], "scrypt": ["litecoin", "dogecoin"]}.get(row["algorithm"], [])
        expected = sum(
            86_400e12 * (net := network(coin, NOON)).reward / (net.difficulty * 2**32) * quote(coin, NOON).price_usd
            for coin in coins
        )
        if coins:
            assert row["per_hash_rate_usd_th_day"] == pytest.approx(expected, rel=0.005), row
    assert {row["pool_id"] for row in found["pool_payout"]} == {"litecoinpool", "mining_dutch", "f2pool", "viabtc"}
    unpaid = {row["pool_id"]: row["unpaid"] for row in found["pool_account"] if row["coin_id"] != "dogecoin"}
    assert unpaid["litecoinpool"] > 0, "today so far"
    assert unpaid["f2pool"] == 0, "at noon all that is settled is paid"


async def test_a_pool_without_miners_is_not_there():
    async with Services(Farm(2, clock=Clock(), pools=POOLS)) as services:  # both are SHA-256
        sections = services.configuration()
    assert [pool["id"] for pool in sections["pools"]] == ["f2pool", "viabtc"]
    assert "prohashing" not in sections
    assert set(services.names) == SERVICES - {"litecoinpool", "prohashing", "mining_dutch"}


async def test_each_fault_is_what_a_source_takes_it_for_and_passes(world, hosts, tmp_path):
    _, services, settings = world
    pools, _, _ = open_pool_sources(settings, state=tmp_path / "state")
    f2pool: Source = next(source for source in pools if source.name == "f2pool")
    taken_for: dict[FaultKind, SourceFailureKind] = {
        "dead": SourceFailureKind.UNREACHABLE,
        "html": SourceFailureKind.NOT_JSON,
        "html_429": SourceFailureKind.RATE_LIMITED,
        "gone": SourceFailureKind.GONE,
    }
    for kind, expected in taken_for.items():
        services.inject("f2pool", ServiceFault(kind=kind))
        with pytest.raises(SourceFailure) as caught:
            await f2pool.ask(f2pool.requests[0], SLOT)
        assert caught.value.kind is expected
        assert services.clear("f2pool") == 1
        assert (await f2pool.ask(f2pool.requests[0], SLOT)).frames
    for source in pools:
        await source.aclose()


async def test_faults_of_services_by_the_farm_s_own_door():
    farm = Farm(16, port=0, clock=Clock(), pools=POOLS)
    async with (
        farm,
        Services(farm) as services,
        Control(farm, 0, services) as control,
        httpx.AsyncClient(base_url=control.url) as client,
    ):
        answer = await client.post("/faults", json={"service": "coingecko", "kind": "html_429"})
        assert (answer.status_code, answer.json()) == (201, {"kind": "html_429"})
        await client.post("/faults", json={"service": "viabtc", "kind": "dead"})
        await client.post("/faults", json={"miner": "miner_0001", "kind": "html"})
        standing = {one["service"]: one for one in (await client.get("/services")).json()}
        assert set(standing) == SERVICES
        assert {name: one["fault"] for name, one in standing.items() if one["fault"]} == {
            "coingecko": "html_429", "viabtc": "dead",
        }  # fmt: skip
        with pytest.raises(httpx.ConnectError):
            await client.get(f"{standing['viabtc']['url']}/account")
        assert (await client.delete("/faults", params={"service": "coingecko", "kind": "html"})).json() == {"ended": 0}
        assert (await client.delete("/faults", params={"service": "coingecko"})).json() == {"ended": 1}
        assert (await client.delete("/faults", params={"kind": "dead"})).json() == {"ended": 1}
        assert (await client.get(f"{standing['viabtc']['url']}/account")).status_code == 200
        assert (await client.delete("/faults")).json() == {"ended": 1}
        for body, status, words in (
            ({"service": "coingecko", "kind": "board_lost"}, 400, "Invalid enum value"),
            ({"service": "coingekko", "kind": "dead"}, 404, "no service 'coingekko'; they are litecoinpool"),
            ({"service": "coingecko", "miner": "miner_0001", "kind": "dead"}, 400, 'or "service"'),
        ):
            answer = await client.post("/faults", json=body)
            assert (answer.status_code, words in answer.json()["err"]) == (status, True), answer.text


async def test_a_farm_without_services_says_so():
    async with (
        Farm(1, port=0, clock=Clock()) as farm,
        Control(farm, 0) as control,
        httpx.AsyncClient(base_url=control.url) as client,
    ):
        assert (await client.get("/services")).json() == []
        answer = await client.post("/faults", json={"service": "coingecko", "kind": "dead"})
        assert (answer.status_code, "without services" in answer.json()["err"]) == (404, True)
