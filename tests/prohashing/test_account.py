"""HTTP: both forms, the pool's own errors, and requests that wait while WAMP brings the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from deployments.farm import Farm
from deployments.farm.http import Response, answer
from deployments.farm.markets.service import FaultKind, Service
from deployments.farm.pools.account import Account
from deployments.farm.pools.prohashing import FakeProhashing, Form
from tasks.pools.means import Means
from tasks.pools.price_guard import PriceGuard
from tasks.pools.prohashing.account import ProhashingAccount, open_account
from tasks.pools.prohashing.link import Link
from tasks.pools.prohashing.reading import status_price
from tasks.pools.prohashing.settings import ProhashingSettings
from tasks.pools.prohashing.subject import Subject
from tasks.resilience.http import Api
from tasks.sources.failure import SourceFailure, SourceFailureKind
from tasks.sources.pace import HostPace
from tasks.sources.source import Gathered, Request
from tests.pools.reading import ODD, kept, rows

KEY = "planted-5eb1f00d4711"
NOW = 1_790_000_100


def fake(form: Form = "envelope") -> FakeProhashing:
    return FakeProhashing(Account(Farm(6, seed=3, clock=lambda: float(NOW)), "scrypt", key=KEY), form=form)


def opened(url: str, state: Path, link: Link | None = None, key: str = KEY) -> ProhashingAccount:
    said = ProhashingSettings.model_validate({"api_key": key, "account": "lodeline", "http": {"base_url": url}})
    pace = HostPace(state, "p", per_minute=6_000, burst=100)
    means = Means(SecretStr(key), pace, fake().btc_usd)
    return open_account(said, means, link or Link("p"), PriceGuard(state, "p"))


async def asked(source: ProhashingAccount, *names: str, slot: int = NOW) -> list[Gathered]:
    found: dict[str, Request] = {request.name: request for request in source.requests}
    try:
        return [await source.ask(found[name], slot) for name in names]
    finally:
        await source.aclose()


async def test_the_pools_own_form(tmp_path: Path) -> None:
    simulated = fake()
    async with simulated.service() as service:
        status, more, workers, money = await asked(
            opened(f"{service.url}/api/v1", tmp_path), "status", "profitability", "workers", "payouts"
        )
        assert [request.path for request in service.asked] == [
            "/api/v1/status", "/api/v1/walletEx", "/api/v1/wallet"
        ]  # fmt: skip
    prices = {row["algorithm"]: row for row in rows(status, "pool_profitability")}
    assert {name: row["per_hash_rate_usd_th_day"] for name, row in prices.items()} == pytest.approx(
        {name: usd * 1e6 for name, usd in simulated.prices().items()}, rel=1e-4
    )
    assert {name: row["time_period"] for name, row in prices.items()} == {
        "scrypt": "24h", "sha256d": "24h", "x11": "24h estimate",
    }  # fmt: skip
    assert prices["scrypt"]["fee_ratio"] == 0.0499
    assert prices["scrypt"]["pool_hashrate_hs"] == pytest.approx(9e12, rel=1e-4)
    assert not more.frames
    seen = {row["worker_id"]: row for row in rows(workers, "pool_performance")}
    truth = {f"lodeline.{one.name}": one.hashrate_hs for one in simulated._account.workers() if one.online}
    assert {name: row["hashrate_reported_hs"] for name, row in seen.items()} == pytest.approx(truth, rel=1e-4)
    assert {row["coin_id"] for row in rows(workers, "pool_coin")} == {"litecoin"}
    (account,) = rows(money, "pool_account")
    assert account["paid_total"] + account["unpaid"] == pytest.approx(account["credited_total"])
    assert account.get("status") is None
    assert all(KEY not in kept(one) for one in (status, more, workers, money))


async def test_the_documented_form(tmp_path: Path) -> None:
    simulated = fake("documented")
    async with simulated.service() as service:
        source = opened(f"{service.url}/api/v1", tmp_path)
        simulated.connected = False
        status, prices = await asked(source, "status", "profitability")
        assert {request.headers["authorization"] for request in service.asked} == {f"Bearer {KEY}"}
    assert status.notices == ["the service says that it is not connected and not updating"]
    assert not status.frames
    assert {row["algorithm"]: row["per_hash_rate_usd_th_day"] for row in rows(prices, "pool_profitability")} == (
        pytest.approx({name: usd * 1e6 for name, usd in simulated.prices().items()})
    )
    assert KEY not in kept(status) + kept(prices)


@pytest.mark.parametrize(
    ("factor", "estimate", "expected"),
    [
        # BTC per MH/s and day with a factor of 1e6 H/s; the same price told per H/s, and per GH/s.
        ("1000000", "0.000000025", 2500.0),
        (1, 2.5e-14, 2500.0),
        ("1000000000", "0.000025", 2500.0),
        (0, "1", None),
        (None, "1", None),
        ("1", None, None),
        ("1", "", None),
        ("1", "nan", None),
    ],
)
def test_the_factor_counts_hashes(factor: Any, estimate: Any, expected: float | None) -> None:
    row = status_price("scrypt", {"estimate_current": estimate, "mbtc_mh_factor": factor}, 100_000.0, time=NOW)
    assert row is not None
    assert row.per_hash_rate_usd_th_day == (None if expected is None else pytest.approx(expected))


def test_what_was_paid_goes_before_an_estimate_that_ran_away() -> None:
    entry = {"estimate_current": "4e-7", "estimate_last24h": "2e-8", "actual_last24h": "1e-8", "mbtc_mh_factor": "1e6"}
    row = status_price("Scrypt", entry, 100_000.0, time=NOW)
    assert row is not None
    assert row.per_hash_rate_usd_th_day == pytest.approx(1000.0)
    assert row.time_period == "24h"


@pytest.mark.parametrize(
    ("respond", "kind"),
    [
        (lambda _: answer({"status": "error", "code": 400, "message": "no"}), SourceFailureKind.REFUSED),
        (lambda _: Response(400, b'{"status":"error","code":400}', "application/json"), SourceFailureKind.REFUSED),
        (lambda _: Response(401, b"{}", "application/json"), SourceFailureKind.REFUSED),
        (lambda _: answer({"status": "error", "code": 500}), SourceFailureKind.SERVER_ERROR),
        (lambda _: answer({"status": "error", "code": 429}), SourceFailureKind.RATE_LIMITED),
        (lambda _: answer({"status": "success", "code": 200}), SourceFailureKind.UNEXPECTED),
        (lambda _: Response(404, b"{}", "application/json"), SourceFailureKind.UNEXPECTED),
        (lambda _: answer([1, 2]), SourceFailureKind.UNEXPECTED),
        (lambda request: answer({"status": "error", "code": 403, "you": request.query}), SourceFailureKind.REFUSED),
    ],
)
async def test_what_is_no_answer(respond: Callable[[Any], Response], kind: SourceFailureKind, tmp_path: Path) -> None:
    async with Service(respond) as service:
        with pytest.raises(SourceFailure) as caught:
            await asked(opened(service.url, tmp_path), "workers")
    assert caught.value.kind is kind
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("html", SourceFailureKind.NOT_JSON),
        ("html_429", SourceFailureKind.RATE_LIMITED),
        ("gone", SourceFailureKind.GONE),
    ],
)
async def test_faults(fault: FaultKind, kind: SourceFailureKind, tmp_path: Path) -> None:
    async with fake().service() as service:
        service.fault = fault
        for name in ("status", "workers"):
            with pytest.raises(SourceFailure) as caught:
                await asked(opened(service.url, tmp_path / name), name)  # a pace of its own: a limit closes it
            assert caught.value.kind is kind
            assert KEY not in str(caught.value)


async def test_no_miner_in_the_answer_is_nobody_online(tmp_path: Path) -> None:
    data = {"balances": {"LTC": {"unpaid": "1.5", "paid": None}, "XYZ_1": {"unpaid": "1"}, "BTC": "gone"}}
    async with Service(lambda _: answer({"status": "success", "code": 200, "data": data})) as service:
        (gathered,) = await asked(opened(service.url, tmp_path), "workers")
    (account,) = rows(gathered, "pool_account")
    assert (account["coin_id"], account["unpaid"], account.get("paid_total")) == ("litecoin", 1.5, None)
    assert (account["workers_active"], account["workers_inactive"], account["status"]) == (0, 0, "all_offline")
    assert gathered.notices == ["coins that Lodeline does not know are left out: XYZ_1, BTC", "no worker is online"]


async def test_a_unit_that_changes_is_left_out_and_told(tmp_path: Path) -> None:
    """Field case 13: the factor goes from 1 to 1000, the estimate stays."""
    simulated = fake()
    async with simulated.service() as service:
        (before,) = await asked(opened(service.url, tmp_path), "status")
        told, simulated.multiple = simulated.multiple, 1000.0
        (after,) = await asked(opened(service.url, tmp_path), "status", slot=NOW + 300)
        simulated.multiple = told
        (again,) = await asked(opened(service.url, tmp_path), "status", slot=NOW + 600)
    assert [row.get("quality_flags") for row in rows(before, "pool_profitability")] == [None] * 3
    for row in rows(after, "pool_profitability"):
        assert (row.get("per_hash_rate_usd_th_day"), row["quality_flags"]) == (None, "unit_suspect")
        assert row["pool_hashrate_hs"] == pytest.approx(9e12, rel=1e-4)
    assert len(after.notices) == 3
    assert all("has the pool changed a unit?" in notice for notice in after.notices)
    assert [row.get("quality_flags") for row in rows(again, "pool_profitability")] == [None] * 3


def test_requests_wait_while_wamp_brings_the_same(tmp_path: Path) -> None:
    now = [1000.0]
    link = Link("p", quiet_s=300, clock=lambda: now[0])
    source = opened("http://127.0.0.1:9", tmp_path, link)

    def covered() -> list[str]:
        return [request.name for request in source.requests if request.covered_by == "wamp"]

    assert covered() == []
    link.joined()
    assert covered() == [], "joined is not enough: nothing came yet"
    link.heard(Subject.PROFITABILITY)
    assert covered() == ["status", "profitability"]
    link.heard(Subject.WORKERS)
    assert covered() == ["status", "profitability", "workers"]
    now[0] += 299
    link.heard(Subject.WORKERS)
    now[0] += 2
    assert covered() == ["workers"], "a topic that went silent is asked for again"
    link.lost(SourceFailureKind.UNREACHABLE, "gone")
    assert covered() == []
    link.joined()
    assert covered() == [], "what came before the loss counts no longer"


WALLETS = st.fixed_dictionaries({"balances": st.dictionaries(st.text(), ODD), "miners": st.lists(ODD)})
STATUSES = st.dictionaries(st.text(max_size=3), st.fixed_dictionaries({"estimate_current": ODD}))


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> tuple[ProhashingAccount, list[str]]:
    """A source, and what it is answered."""
    body = [""]
    api = Api("p", "http://p", transport=httpx.MockTransport(lambda _: httpx.Response(200, text=body[0])))
    state = tmp_path_factory.mktemp("state")
    means = Means(SecretStr(KEY), HostPace(state, "p", per_minute=1))
    said = ProhashingSettings(api_key=SecretStr(KEY))
    return ProhashingAccount(said, means, api, Link("p"), PriceGuard(state, "p")), body


@settings(deadline=None, max_examples=60)
@given(data=st.one_of(ODD, WALLETS, STATUSES))
async def test_whatever_comes_is_read_or_told(data: Any, odd: tuple[ProhashingAccount, list[str]]) -> None:
    source, body = odd
    text = json.dumps({"status": "success", "code": 200, "data": data}, default=str)
    body[0] = text.replace("NaN", "null").replace("Infinity", "null")
    for name in ("status", "workers", "payouts", "profitability"):
        with suppress(SourceFailure):
            await source.ask(Request(name, 60), NOW)
