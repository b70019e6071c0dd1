"""Explorers over loopback: what arrives, what goes wrong, and what is left alone and for how long."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from pydantic import SecretStr

from deployments.farm.markets.blockchain_info import FakeBlockchainInfo
from deployments.farm.markets.litesolo import FakeLitesolo
from deployments.farm.markets.mempool_space import FakeMempoolSpace
from deployments.farm.markets.minerstat import FakeMinerstat
from deployments.farm.markets.networks import network
from deployments.farm.markets.service import FaultKind, Service
from deployments.farm.markets.whattomine import FakeWhatToMine
from storage.frame import Frame
from tasks.market.network import explorer as explorer_module
from tasks.market.network.explorer import Explorer
from tasks.market.network.settings import ExplorerSettings, MinerstatSettings, NetworkSettings
from tasks.market.network.sources import open_network_sources
from tasks.market.settings import CoinGeckoSettings, CoinMarketCapSettings, MarketSettings
from tasks.market.sources import open_market_sources
from tasks.sources.failure import SourceFailure, SourceFailureKind

KEY = "s3cret-of-the-plan"
FOLLOWED = ("bitcoin", "ethereum", "litecoin", "dogecoin")
NOW = 1_790_000_123.0


class World:
    """All explorers on this machine, at one fixed time."""

    def __init__(self, folder: Path) -> None:
        def clock() -> float:
            return NOW

        self.folder = folder
        self.minerstat = FakeMinerstat(key=KEY, clock=clock)
        self.litesolo = FakeLitesolo(clock=clock)
        self.services: dict[str, Service] = {
            "mempool_space": FakeMempoolSpace(clock=clock).service(),
            "blockchain_info": FakeBlockchainInfo(clock=clock).service(),
            "litesolo": self.litesolo.service(),
            "whattomine": FakeWhatToMine(clock=clock).service(),
            "minerstat": self.minerstat.service(),
        }

    def settings(self, key: str = KEY, **more: Any) -> NetworkSettings:
        named: dict[str, Any] = {
            name: ExplorerSettings(base_url=service.url)
            for name, service in self.services.items()
            if name != "minerstat"
        }
        keyed = MinerstatSettings(base_url=self.services["minerstat"].url, api_key=SecretStr(key))
        return NetworkSettings(**{**named, "minerstat": keyed, **more})

    @asynccontextmanager
    async def explorers(self, settings: NetworkSettings | None = None) -> AsyncIterator[dict[str, Explorer]]:
        opened = open_network_sources(settings or self.settings(), FOLLOWED, state=self.folder)
        try:
            yield {explorer.name: explorer for explorer in opened}
        finally:
            for explorer in opened:
                await explorer.aclose()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = World(tmp_path)
    async with AsyncExitStack() as stack:
        for service in world.services.values():
            await stack.enter_async_context(service)
        yield world


def rows(frames: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    frame: Frame
    for frame in frames:
        assert frame.measurement == "network_data"
        for row, at in enumerate(frame.times):
            found.append({"time": at, **{name: values[row] for name, values in frame.columns.items()}})
    return found


async def ask(explorer: Explorer) -> Any:
    return await explorer.ask(explorer.requests[0], int(NOW))


TOLD = {
    "mempool.space": {"bitcoin"},
    "blockchain.info": {"bitcoin"},
    "litesolo": {"litecoin", "dogecoin"},
    "whattomine": {"bitcoin", "litecoin", "dogecoin"},
    "minerstat": {"bitcoin", "litecoin", "dogecoin"},
}


async def test_all_tell_the_same_in_one_unit(world: World) -> None:
    async with world.explorers() as explorers:
        assert explorers.keys() == TOLD.keys()
        for name, coins in TOLD.items():
            gathered = await ask(explorers[name])
            assert {row["coin_id"] for row in rows(gathered.frames)} == coins
            assert gathered.notices == []
            for row in rows(gathered.frames):
                true = network(row["coin_id"], NOW)
                assert row["network_hashrate_hs"] == pytest.approx(true.hashrate_hs, rel=1e-9)
                assert row["network_difficulty"] == pytest.approx(true.difficulty)
                assert row["block_reward"] == true.reward
                assert row.get("block_time_s") in (None, pytest.approx(true.block_time_s))
                assert row.get("block_height") in (None, true.height)
                assert (row["time"], row["source"], row["quality"]) == (int(NOW), name, 1.0)
            assert [answer.status for answer in gathered.answers] == [200] * len(gathered.answers)
        for coin in ("bitcoin", "litecoin", "dogecoin"):  # each from two that need no key
            assert len([name for name, coins in TOLD.items() if coin in coins and name != "minerstat"]) >= 2


FAULTS: dict[FaultKind, SourceFailureKind] = {
    "html": SourceFailureKind.NOT_JSON,
    "html_429": SourceFailureKind.RATE_LIMITED,
    "cut": SourceFailureKind.NOT_JSON,
    "gone": SourceFailureKind.GONE,
}


@pytest.mark.parametrize(("fault", "kind"), FAULTS.items())
async def test_what_goes_wrong_is_told_apart_and_nothing_is_made_of_it(
    world: World, fault: FaultKind, kind: SourceFailureKind
) -> None:
    async with world.explorers() as explorers:
        for name, service in world.services.items():
            service.fault = fault
            with pytest.raises(SourceFailure) as caught:
                await ask(
                    explorers[{"mempool_space": "mempool.space", "blockchain_info": "blockchain.info"}.get(name, name)]
                )
            assert caught.value.kind is kind, name
    assert (
        not (world.folder / "networks.json").exists()
        or b'"samples":[]' in (world.folder / "networks.json").read_bytes()
    )


async def test_who_said_enough_is_left_alone_twice_as_long_each_time_over_restarts(world: World) -> None:
    service = world.services["mempool_space"]
    service.fault = "html_429"
    waits = []
    for _ in range(7):
        async with world.explorers() as explorers:  # a shift an hour: a new process each time
            with pytest.raises(SourceFailure) as caught:
                await ask(explorers["mempool.space"])
            waits.append(caught.value.retry_after_s)
        (world.folder / "mempool.space.pace.json").unlink()  # its minutes have passed
    assert waits == [3_600, 7_200, 14_400, 28_800, 57_600, 86_400, 86_400]
    assert len(service.asked) == 7  # one request each: a 429 is not tried again
    service.fault = None
    async with world.explorers() as explorers:
        await ask(explorers["mempool.space"])
        (world.folder / "mempool.space.pace.json").unlink()
        service.fault = "html_429"
        with pytest.raises(SourceFailure) as caught:
            await ask(explorers["mempool.space"])
    assert caught.value.retry_after_s == explorer_module.FIRST_REST_S


async def test_our_own_pace_is_no_refusal(world: World) -> None:
    """The host asked as often as it may: nobody refused, so nothing is left alone for an hour."""
    async with world.explorers() as explorers:
        await ask(explorers["whattomine"])
        pace = world.folder / "whattomine.pace.json"
        pace.write_bytes(msgspec.json.encode({"full_at": time.time() + 100.0, "closed_until": 0.0}))
        with pytest.raises(SourceFailure) as caught:
            await ask(explorers["whattomine"])
    assert caught.value.kind is SourceFailureKind.RATE_LIMITED
    assert caught.value.retry_after_s is not None
    assert caught.value.retry_after_s < 300
    assert len(world.services["whattomine"].asked) == 1


async def test_a_coin_that_is_not_told_is_a_notice(world: World) -> None:
    world.litesolo.chains = ["litecoin"]
    async with world.explorers() as explorers:
        gathered = await ask(explorers["litesolo"])
    assert gathered.notices == ["tells nothing of dogecoin"]
    assert [row["coin_id"] for row in rows(gathered.frames)] == ["litecoin"]


async def test_minus_one_is_null(world: World) -> None:
    world.minerstat.unknown = {"litecoin"}
    async with world.explorers() as explorers:
        gathered = await ask(explorers["minerstat"])
    (litecoin,) = (row for row in rows(gathered.frames) if row["coin_id"] == "litecoin")
    figures = ("network_hashrate_hs", "network_difficulty", "block_reward")
    assert [litecoin[name] for name in figures] == [None, None, None]


@pytest.mark.parametrize(
    ("spoil", "key", "kind"),
    [
        (lambda fake: setattr(fake, "quota", 0), KEY, SourceFailureKind.QUOTA_EXHAUSTED),
        (lambda fake: None, "another-s3cret", SourceFailureKind.REFUSED),
    ],
)
async def test_a_key_that_is_wrong_or_used_up(
    world: World, spoil: Callable[[FakeMinerstat], None], key: str, kind: SourceFailureKind
) -> None:
    spoil(world.minerstat)
    async with world.explorers(world.settings(key)) as explorers:
        with pytest.raises(SourceFailure) as caught:
            await ask(explorers["minerstat"])
    assert caught.value.kind is kind
    assert key not in str(caught.value)


async def test_the_key_is_sent_and_written_nowhere(world: World, caplog: pytest.LogCaptureFixture) -> None:
    async with world.explorers() as explorers:
        gathered = await ask(explorers["minerstat"])
    assert world.services["minerstat"].asked[-1].headers["x-api-key"] == KEY
    written = [path.read_bytes() for path in world.folder.rglob("*") if path.is_file()]
    assert written
    seen = [repr(gathered), caplog.text, repr(world.settings()), *map(repr, written)]
    assert not any(KEY in text for text in seen)


async def test_two_that_disagree_are_noticed_in_rows_and_log(world: World) -> None:
    half = Service(
        lambda request: (
            FakeBlockchainInfo(clock=lambda: NOW)
            .respond(request)
            ._replace(
                body=FakeBlockchainInfo(clock=lambda: NOW)
                .respond(request)
                .body.replace(b'"difficulty":', b'"difficulty":2')
            )
        )
    )
    async with half, world.explorers(world.settings(blockchain_info=ExplorerSettings(base_url=half.url))) as explorers:
        await ask(explorers["mempool.space"])
        gathered = await ask(explorers["blockchain.info"])
    (row,) = rows(gathered.frames)
    assert "conflicting:network_difficulty" in row["quality_flags"]
    assert row["quality"] < 1
    assert any("conflicting" in notice for notice in gathered.notices)


def names(settings: MarketSettings, folder: Path) -> list[str]:
    return [source.name for source in open_market_sources(settings, state=folder)[0]]


def test_who_is_asked_follows_from_the_coins(tmp_path: Path) -> None:
    def of(*coins: str, **network: Any) -> set[str]:
        gecko = CoinGeckoSettings(coins=coins)
        return set(names(MarketSettings(coingecko=gecko, network=NetworkSettings(**network)), tmp_path)) - {"coingecko"}

    assert of("bitcoin") == {"mempool.space", "blockchain.info", "whattomine"}
    assert of("litecoin") == {"litesolo", "whattomine"}
    assert of("dash") == {"whattomine"}
    assert of("ethereum", "tether", "not-in-the-table") == set()
    assert of("bitcoin", enabled=False) == set()
    assert of("bitcoin", whattomine=ExplorerSettings(enabled=False)) == {"mempool.space", "blockchain.info"}
    assert of("bitcoin", coins=("dogecoin",)) == {"litesolo", "whattomine"}
    cap = CoinMarketCapSettings(api_key=SecretStr(KEY))
    assert set(names(MarketSettings(coinmarketcap=cap), tmp_path)) >= {"mempool.space", "litesolo"}
    only = CoinMarketCapSettings(api_key=SecretStr(KEY), coins=("litecoin",))
    assert set(names(MarketSettings(coinmarketcap=only), tmp_path)) == {"coinmarketcap", "litesolo", "whattomine"}
    assert names(MarketSettings(), tmp_path) == []  # nothing followed, nobody asked
    assert names(MarketSettings(network=NetworkSettings(coins=("litecoin",))), tmp_path) == ["litesolo", "whattomine"]
