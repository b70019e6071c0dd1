"""Faults that users of pools have reported (field-cases.md B), each through every pool that may have it.

13: a unit that changes is no price. 15: an estimate that ran away is none either. 16: no worker online is zero workers.
19: a limit or a page in an answer of status 200. A pool on another chain is in test_chains and test_reconciling.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from deployments.farm.http import Request, Response, answer
from deployments.farm.markets.service import Service
from storage.records.market import MarketData, NetworkData
from tasks.market.network.memory import NetworkMemory
from tasks.market.prices import PriceMemory
from tasks.pools.prohashing.opening import open_prohashing
from tasks.pools.prohashing.settings import ProhashingSettings
from tasks.pools.settings import PoolKind, PoolSettings
from tasks.pools.sources import open_pool
from tasks.sources.failure import SourceFailure, SourceFailureKind
from tasks.sources.paces import Paces
from tasks.sources.source import Gathered, Source
from tests.pools.reading import rows

SLOT = 1_790_000_100
BTC_USD = 100_000.0


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.sources.pace.HostPace.take", lambda _: 0.0)
    monkeypatch.setattr("tasks.resilience.http.TRIES", 1)


def opened(kind: str, url: str, state: Path) -> Source:
    paces = Paces(state)
    if kind == "prohashing":
        settings = ProhashingSettings.model_validate(
            {"api_key": "k", "account": "farm", "wamp": {"enabled": False}, "http": {"base_url": url, "preset": "live"}}
        )
        (source,), _ = open_prohashing(settings, state=state, paces=paces, btc_usd=lambda: BTC_USD)
        return source
    pool: PoolKind = kind  # type: ignore[assignment]
    coins = ("bitcoin",) if kind == "f2pool" else ("litecoin",)
    said = PoolSettings(id="p", kind=pool, account="farm", api_key=SecretStr("k"), coins=coins, base_url=url)
    return open_pool(said, state, paces, lambda: BTC_USD)


async def asked(
    kind: str, state: Path, respond: Callable[[Request], Response], name: str, *, slot: int = SLOT
) -> Gathered:
    """What one request of a pool gives that answers by ``respond``."""
    async with Service(respond) as service:
        source = opened(kind, service.url, state)
        try:
            (request,) = (one for one in source.requests if one.name == name)
            return await source.ask(request, slot)
        finally:
            await source.aclose()


def status(**scrypt: Any) -> dict[str, Any]:
    """``/status`` of either pool; only the envelope differs."""
    return {"scrypt": {"name": "Scrypt", "hashrate": "9000000000000", "mbtc_mh_factor": 1, **scrypt}}


ENVELOPES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "prohashing": lambda told: {"status": "success", "code": 200, "data": told},
    "mining_dutch": lambda told: told,
}
PER_TH = {"prohashing": 1e12, "mining_dutch": 1e6}
"""What the factor of 1 counts: H/s there, MH/s here; so a TH/s is that many of them."""


async def price(kind: str, state: Path, *, slot: int = SLOT, **scrypt: Any) -> tuple[float | None, Gathered]:
    """USD per TH/s and day that is stored."""
    gathered = await asked(kind, state, lambda _: answer(ENVELOPES[kind](status(**scrypt))), "status", slot=slot)
    (row,) = rows(gathered, "pool_profitability")
    return row.get("per_hash_rate_usd_th_day"), gathered


@pytest.mark.parametrize("kind", list(ENVELOPES))
async def test_13_a_factor_that_goes_from_1_to_1000(kind: str, tmp_path: Path) -> None:
    told: dict[str, Any] = {"actual_last24h": f"{2e-5 / PER_TH[kind]:.12e}"}  # 2e-5 BTC per TH/s and day, 2 USD
    before, _ = await price(kind, tmp_path, **told)
    after, gathered = await price(kind, tmp_path, slot=SLOT + 900, mbtc_mh_factor=1000, **told)
    assert before == pytest.approx(2.0)
    assert after is None
    (row,) = rows(gathered, "pool_profitability")
    assert row["quality_flags"] == "unit_suspect"
    assert row["pool_hashrate_hs"] == pytest.approx(9e12, rel=1e-4), "the rest of it stays"
    assert any("has the pool changed a unit?" in notice for notice in gathered.notices)
    again, _ = await price(kind, tmp_path, slot=SLOT + 1_800, **told)
    assert again == pytest.approx(2.0)


@pytest.mark.parametrize("kind", list(ENVELOPES))
async def test_15_an_estimate_of_40_times_what_was_paid(kind: str, tmp_path: Path) -> None:
    paid, estimate = (f"{value / PER_TH[kind]:.12e}" for value in (2e-5, 40 * 2e-5))
    found, gathered = await price(kind, tmp_path, estimate_current=estimate, actual_last24h=paid)
    assert found == pytest.approx(2.0)
    assert rows(gathered, "pool_profitability")[0]["time_period"].startswith("24h")


@pytest.mark.parametrize("kind", list(ENVELOPES))
async def test_15_an_estimate_that_nothing_paid_bears_out_is_held_against_the_network(
    kind: str, tmp_path: Path
) -> None:
    """86,400 s x 1e12 H/s x 6.25 / (1e8 x 2^32) x 100 USD is 125.7 USD per TH/s and day from Litecoin alone."""
    networks, prices = NetworkMemory(tmp_path), PriceMemory(tmp_path)
    chain = NetworkData(
        time=SLOT, source="e", coin_id="litecoin", network_difficulty=1e8, block_reward=6.25, mining_algorithm="scrypt"
    )
    networks.judge("e", [chain], SLOT)
    prices.judge([MarketData(time=SLOT, source="coingecko", coin_id="litecoin", price_usd=100.0)])
    honest, wild = (f"{usd / BTC_USD / PER_TH[kind]:.12e}" for usd in (120.0, 40 * 120.0))
    found, gathered = await price(kind, tmp_path, estimate_current=wild, actual_last24h=None)
    assert found is None
    assert any("off what the networks pay, 125.7" in notice for notice in gathered.notices)
    found, _ = await price(kind, tmp_path, slot=SLOT + 900, estimate_current=honest, actual_last24h=None)
    assert found == pytest.approx(120.0)


def without_workers(request: Request) -> Response:
    """Each pool's answer in which what it has of workers is missing."""
    told: Any
    match request.path:
        case "/api":
            told = {"user": {"unpaid_rewards": 0.5, "total_rewards": 1.0}, "pool": {}, "network": {}, "market": {}}
        case "/account":
            told = {"code": 0, "data": {"balance": [{"coin": "LTC", "amount": "0.5"}]}}
        case "/hashrate" | "/profit" | "/hashrate/worker":
            told = {"code": 0, "data": {"coin": "LTC"}}
        case "/hash_rate/info" | "/hash_rate/worker/list":
            told = {}
        case "/assets/balance":
            told = {"balance_info": {"balance": 0.5}}
        case "/walletEx":
            told = {"status": "success", "code": 200, "data": {"balances": {"LTC": {"unpaid": "0.5"}}}}
        case _:
            action = dict(part.split("=") for part in request.query.split("&"))["action"]
            held = {"confirmed": "0.5", "unconfirmed": "0"} if action == "getuserbalance" else {}
            told = {action: {"data": held}}
    return answer(told)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("litecoinpool", "account"), ("viabtc", "workers"), ("f2pool", "workers"), ("mining_dutch", "workers"),
        ("prohashing", "workers"),
    ],
)  # fmt: skip
async def test_16_all_workers_offline_are_no_error_and_no_silence(kind: str, name: str, tmp_path: Path) -> None:
    gathered = await asked(kind, tmp_path, without_workers, name)
    assert rows(gathered, "pool_performance") == []
    (account,) = rows(gathered, "pool_account")
    assert account["status"] == "all_offline"
    assert (account["workers_active"], account["workers_inactive"], account["unpaid"]) == (0, 0, 0.5)
    assert account.get("hashrate_hs") is None, "not told is not zero"


REQUESTS = [
    ("litecoinpool", "account"), ("viabtc", "workers"), ("viabtc", "payouts"), ("f2pool", "workers"),
    ("f2pool", "payouts"), ("mining_dutch", "status"), ("mining_dutch", "workers"), ("mining_dutch", "payouts"),
    ("prohashing", "status"), ("prohashing", "workers"), ("prohashing", "payouts"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "name"), REQUESTS)
@pytest.mark.parametrize("code", [200, 500])
async def test_19_a_page_is_no_data_whatever_its_status(kind: str, name: str, code: int, tmp_path: Path) -> None:
    with pytest.raises(SourceFailure) as caught:
        await asked(kind, tmp_path, lambda _: Response(code, b"<!DOCTYPE html><html>", "text/html"), name)
    assert caught.value.kind is SourceFailureKind.NOT_JSON


async def test_19_the_stated_seconds_and_one(tmp_path: Path) -> None:
    said = {"message": "Only 1 request every 10 seconds allowed"}
    with pytest.raises(SourceFailure) as caught:
        await asked("mining_dutch", tmp_path, lambda _: answer(said), "workers")
    assert (caught.value.kind, caught.value.retry_after_s) == (SourceFailureKind.RATE_LIMITED, 11.0)
