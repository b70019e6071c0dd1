"""The sources against simulated pools over loopback: what a pool tells is the truth of the farm's miners."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import pytest
from pydantic import SecretStr

from deployments.farm import Farm
from deployments.farm.http import Request, Response
from deployments.farm.markets.service import FaultKind, Service
from deployments.farm.models import Algorithm
from deployments.farm.pools.account import DAY_S, PAID_AFTER_S, Account
from deployments.farm.pools.f2pool import FakeF2pool
from deployments.farm.pools.litecoinpool import FakeLitecoinpool
from deployments.farm.pools.mining_dutch import FakeMiningDutch
from deployments.farm.pools.viabtc import FakeViabtc
from tasks.pools.settings import PoolKind, PoolSettings
from tasks.pools.sources import open_pool
from tasks.sources.failure import SourceFailure, SourceFailureKind
from tasks.sources.paces import Paces
from tasks.sources.source import Gathered, Source
from tests.pools.reading import kept, rows

KEY = "planted-farm-4711"
NOW = 1_790_000_100.0


class Fake(Protocol):
    def respond(self, request: Request) -> Response: ...

    def service(self, port: int = 0) -> Service: ...


FAKES: dict[PoolKind, tuple[Callable[[Account], Fake], str]] = {
    "litecoinpool": (FakeLitecoinpool, "litecoin"),
    "f2pool": (FakeF2pool, "bitcoin"),
    "viabtc": (FakeViabtc, "litecoin"),
    "mining_dutch": (FakeMiningDutch, "litecoin"),
}
ALGORITHMS: dict[str, Algorithm] = {"litecoin": "scrypt", "bitcoin": "sha256d"}


def farm() -> Farm:
    return Farm(8, seed=3, clock=lambda: NOW)


def source(kind: PoolKind, url: str, state: Path, key: str = KEY) -> Source:
    coin = FAKES[kind][1]
    settings = PoolSettings(id="p", kind=kind, account="lodeline", api_key=SecretStr(key), coins=(coin,), base_url=url)
    return open_pool(settings, state, Paces(state))


async def ask(asked: Source) -> list[Gathered]:
    try:
        return [await asked.ask(request, int(NOW)) for request in asked.requests]
    finally:
        await asked.aclose()


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pace of real pools is no matter here: it has tests of its own."""
    monkeypatch.setattr("tasks.sources.pace.HostPace.take", lambda _: 0.0)


@pytest.mark.parametrize("kind", list(FAKES))
async def test_workers_are_the_miners_of_the_farm(kind: PoolKind, tmp_path: Path) -> None:
    make, coin = FAKES[kind]
    simulated = farm()
    account = Account(simulated, ALGORITHMS[coin], key=KEY)
    async with make(account).service() as service:
        gathered = await ask(source(kind, service.url, tmp_path))
    workers = {row["worker_id"]: row for one in gathered for row in rows(one, "pool_performance")}
    mine = [one for one in simulated.miners if one.variant.model.algorithm == ALGORITHMS[coin]]
    assert sorted(workers) == [f"lodeline.{one.miner_id}" for one in mine]
    for one in mine:
        truth = simulated.truth(one.miner_id)
        lost = (truth.shares_rejected + truth.shares_stale) / (
            truth.shares_accepted + truth.shares_rejected + truth.shares_stale
        )
        expected = truth.hashrate_hs * (1 - truth.devfee_percent / 100) * (1 - lost)
        assert workers[f"lodeline.{one.miner_id}"]["hashrate_reported_hs"] == pytest.approx(expected, rel=1e-3)
    money = [row for one in gathered for row in rows(one, "pool_payout") if row["coin_id"] == coin]
    paid = [row for row in money if row["kind"] == "paid"]
    amounts = {row["time"]: row["amount"] for row in paid}
    payments = {at: pytest.approx(account.daily(coin, day)) for day, at in account.payments(0, NOW)}
    assert len(amounts) >= 6
    assert amounts == {at: payments[at] for at in amounts}
    assert {row["time"] % DAY_S for row in paid} == {PAID_AFTER_S}
    text = "".join(kept(one) for one in gathered)
    assert KEY not in text


@pytest.mark.parametrize("kind", list(FAKES))
@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("html", SourceFailureKind.NOT_JSON),
        ("html_429", SourceFailureKind.RATE_LIMITED),
        ("gone", SourceFailureKind.GONE),
    ],
)
async def test_faults(kind: PoolKind, fault: FaultKind, expected: SourceFailureKind, tmp_path: Path) -> None:
    make, coin = FAKES[kind]
    async with make(Account(farm(), ALGORITHMS[coin], key=KEY)).service() as service:
        service.fault = fault
        with pytest.raises(SourceFailure) as caught:
            await ask(source(kind, service.url, tmp_path))
    assert caught.value.kind is expected
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("kind", list(FAKES))
async def test_a_wrong_key_is_refused(kind: PoolKind, tmp_path: Path) -> None:
    make, coin = FAKES[kind]
    async with make(Account(farm(), ALGORITHMS[coin], key=KEY)).service() as service:
        with pytest.raises(SourceFailure) as caught:
            await ask(source(kind, service.url, tmp_path, key="another-planted-key"))
    assert caught.value.kind is SourceFailureKind.REFUSED
    assert "another-planted-key" not in str(caught.value)


async def test_the_limit_of_mining_dutch_is_no_data(tmp_path: Path) -> None:
    fake = FakeMiningDutch(Account(farm(), "scrypt", key=KEY))
    fake.too_fast = True
    async with fake.service() as service:
        with pytest.raises(SourceFailure) as caught:
            await ask(source("mining_dutch", service.url, tmp_path))
    assert (caught.value.kind, caught.value.retry_after_s) == (SourceFailureKind.RATE_LIMITED, 6.0)


async def test_an_address_that_viabtc_does_not_allow_is_told(tmp_path: Path) -> None:
    fake = FakeViabtc(Account(farm(), "scrypt", key=KEY))
    fake.code = 12004
    async with fake.service() as service:
        with pytest.raises(SourceFailure, match="not on the account's list") as caught:
            await ask(source("viabtc", service.url, tmp_path))
    assert caught.value.kind is SourceFailureKind.REFUSED
