"""What requests bring is what sources really bring: simulated pools and providers are asked everything.

That explorers tell of networks alone is said by tests/network/test_loopback.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from deployments.farm.markets.coingecko import FakeCoinGecko
from deployments.farm.markets.coinmarketcap import FakeCoinMarketCap
from deployments.farm.pools.account import Account
from storage.frame import Frame
from tasks.lineage.brought import BRINGS, BROUGHT, STREAMED, bringing, may_bring
from tasks.pools.prohashing.subject import Subject
from tasks.sources.source import Source
from tests.market.accounts import CMC_KEY, SLOT, coingecko, coinmarketcap
from tests.market.accounts import KEY as GECKO_KEY
from tests.pools.test_on_fake_pools import ALGORITHMS, FAKES, KEY, NOW, farm, source
from tests.prohashing.test_account import KEY as PROHASHING_KEY
from tests.prohashing.test_account import fake, opened


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pace of real pools is no matter here."""
    monkeypatch.setattr("tasks.sources.pace.HostPace.take", lambda _: 0.0)


async def brought(asked: Source, slot: int) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    try:
        for request in asked.requests:
            gathered = await asked.ask(request, slot)
            found.setdefault(request.name.partition(".")[0], set()).update(named(gathered.frames))
    finally:
        await asked.aclose()
    return found


def named(frames: Iterable[Frame]) -> set[str]:
    return {frame.measurement for frame in frames if len(frame)}


async def of_all(folder: Path) -> dict[str, set[str]]:
    told: list[dict[str, set[str]]] = []
    for kind, (make, coin) in FAKES.items():
        async with make(Account(farm(), ALGORITHMS[coin], key=KEY)).service() as service:
            told.append(await brought(source(kind, service.url, folder / kind), int(NOW)))
    async with fake().service() as service:
        told.append(await brought(opened(f"{service.url}/api/v1", folder, key=PROHASHING_KEY), int(NOW)))
    async with FakeCoinGecko(key=GECKO_KEY, clock=lambda: float(SLOT)).service() as service:
        told.append(await brought(coingecko(folder, base_url=service.url, coins=("bitcoin",)), SLOT))
    async with FakeCoinMarketCap(key=CMC_KEY, clock=lambda: float(SLOT)).service() as service:
        told.append(await brought(coinmarketcap(folder, base_url=service.url), SLOT))
    found: dict[str, set[str]] = {}
    for one in told:
        for request, measurements in one.items():
            found.setdefault(request, set()).update(measurements)
    return found


async def test_each_request_brings_what_is_said(tmp_path: Path) -> None:
    found = await of_all(tmp_path)
    asked = {name for name in BRINGS if not name.startswith(STREAMED)} - {"networks"}
    # prohashing prices by its state where that tells them, and is asked for no further ones then
    assert found.pop("profitability") <= BRINGS["profitability"]
    assert {name: frozenset(measurements) for name, measurements in found.items()} == {
        name: BRINGS[name] for name in asked - {"profitability"}
    }


def test_names() -> None:
    assert {name for name in BRINGS if name.startswith(STREAMED)} == {f"{STREAMED}{subject}" for subject in Subject}
    assert bringing("pool_payout") == ["account", "payouts"]
    assert not may_bring("workers", "pool_payout")
    assert may_bring("historical.bitcoin", "daily_close")
    assert may_bring("a name of another version", "pool_payout")
    assert "pool_payout" in BROUGHT
