"""ViaBTC, by answers written from its documented fields; the figures are ours."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from storage.records.pool import PoolRecords, pool_frames
from tasks.pools.settings import PoolSettings
from tasks.pools.viabtc import MOST_PAGES, Viabtc, credits_of, payments_of, workers_of
from tasks.resilience.http import Api
from tasks.sources.failure import SourceFailure, SourceFailureKind
from tasks.sources.source import Gathered
from tests.pools.reading import ODD, kept, rows

KEY = "planted-via-4711"
SLOT = 1_790_000_100  # 2026-09-21T14:15:00Z
DAY = 1_789_948_800


def worker(number: int, name: str, *, active: bool, **more: Any) -> dict[str, Any]:
    return {
        "coin": "LTC", "group_id": None, "group_name": None, "worker_id": number, "worker_name": name,
        "hashrate_10min": "9500000000" if active else "0", "hashrate_1hour": "9400000000", "reject_rate": "0.0125",
        "hashrate_24hour": "9300000000" if active else "0", "last_active": SLOT - (60 if active else 9_000),
        "worker_status": "active" if active else "unactive", **more,
    }  # fmt: skip


def page(*listed: dict[str, Any], more: bool = False) -> dict[str, Any]:
    """A page as most calls have it: the rows inside ``data``."""
    inner = {"count": len(listed), "curr_page": 1, "data": list(listed), "has_next": more, "total": 9, "total_page": 9}
    return {"code": 0, "data": inner, "message": "OK"}


PAYMENTS = [
    {"id": 157, "coin": "LTC", "amount": "1.25", "address": "ltc1qexample", "tx": "cd" * 32, "create_time": DAY + 60},
]
CREDITS = [
    {
        "coin": "LTC", "date": "2026-09-20", "pplns_profit": "0", "pps_profit": "0.0421", "solo_profit": "0",
        "total_profit": "0.0421",
    },
]  # fmt: skip
ANSWERS: dict[str, Any] = {
    "account": {
        "code": 0,
        "data": {
            "account": {"id": 45, "account": "farm", "email": "owner@example.org", "mobile": "5550100"},
            "observer": [{"id": 55, "name": "ob", "access_key": "watch-me"}],
            "withdraw_address": [{"coin": "LTC", "address": "ltc1qexample"}],
            "balance": [{"coin": "LTC", "amount": "0.75"}, {"coin": "DOGE", "amount": "102.5"}],
        },
        "message": "OK",
    },
    "hashrate": {
        "code": 0,
        "data": {
            "coin": "LTC", "active_workers": 2, "unactive_workers": 1, "hashrate_10min": "19000000000",
            "hashrate_1hour": "18800000000", "hashrate_24hour": "18600000000",
        },
        "message": "OK",
    },
    "hashrate/worker": page(worker(1, "Farm.Rack1.L7", active=True), worker(2, "spare", active=False)),
    "profit": {
        "code": 0,
        "data": {"coin": "LTC", "pps_profit": "7.5", "pplns_profit": "0", "solo_profit": "0", "total_profit": "7.5"},
        "message": "OK",
    },
    "profit/history": page(*CREDITS),
    "reward/history": page({"coin": "DOGE", "date": "2026-09-20", "total_profit": "366.077"}),
    "wallet/payment/history": {
        "code": 0, "count": 1, "curr_page": 1, "data": PAYMENTS, "has_next": False, "total": 1, "message": "OK",
    },
}  # fmt: skip

Answer = dict[str, Any] | Callable[[httpx.Request], dict[str, Any]]


class Pool:
    """Answers like the pool; ``asked`` has paths and parameters."""

    def __init__(self, *coins: str, **other: Answer) -> None:
        self.answers = {**ANSWERS, **{path.replace("__", "/"): answer for path, answer in other.items()}}
        self.asked: list[tuple[str, dict[str, str]]] = []
        chosen = coins or ("litecoin",)
        settings = PoolSettings(id="via", kind="viabtc", account="farm", api_key=SecretStr(KEY), coins=chosen)
        transport = httpx.MockTransport(self.handle)
        headers = {"X-API-KEY": SecretStr(KEY)}
        self.source = Viabtc(settings, Api("via", "https://pool.example/v1", headers=headers, transport=transport))

    def handle(self, request: httpx.Request) -> httpx.Response:
        assert request.headers["X-API-KEY"] == KEY
        path = request.url.path.removeprefix("/v1/")
        self.asked.append((path, dict(request.url.params)))
        answer = self.answers[path]
        return httpx.Response(200, json=answer(request) if callable(answer) else answer)

    async def ask(self, name: str) -> Gathered:
        (request,) = (one for one in self.source.requests if one.name == name)
        return await self.source.ask(request, SLOT)


async def test_workers() -> None:
    first, spare = rows(await Pool().ask("workers"), "pool_performance")
    assert (first["worker_id"], first["status"], first["algorithm"]) == ("farm.rack1.l7", "online", "scrypt")
    assert first["hashrate_reported_hs"] == pytest.approx(9.5e9, rel=1.6e-5)
    assert first["hashrate_effective_hs"] == pytest.approx(9.3e9, rel=1.6e-5)
    assert first["reject_ratio"] == pytest.approx(0.0125, rel=1.6e-5)
    assert (first["reject_basis"], first["time_window"], first["last_share_age_s"]) == ("rate", "24h", 60)
    assert (spare["worker_id"], spare["status"]) == ("farm.spare", "offline")


async def test_the_account_of_a_mined_and_of_a_merged_coin() -> None:
    litecoin, dogecoin = rows(await Pool("litecoin", "dogecoin").ask("workers"), "pool_account")
    assert (litecoin["unpaid"], litecoin["credited_total"], litecoin["status"]) == (0.75, 7.5, "live")
    assert (litecoin["workers_active"], litecoin["workers_inactive"]) == (2, 1)
    assert litecoin["hashrate_hs"] == pytest.approx(1.9e10, rel=1.6e-5)
    assert (dogecoin["coin_id"], dogecoin["unpaid"], dogecoin.get("status")) == ("dogecoin", 102.5, None)


async def test_credits_of_utc_days_and_payments_are_kept_apart() -> None:
    pool = Pool("litecoin", "dogecoin")
    paid = {(row["coin_id"], row["kind"]): row for row in rows(await pool.ask("payouts"), "pool_payout")}
    assert {parameters["utc"] for _, parameters in pool.asked} == {"true"}  # else its days are Beijing's
    assert {(p["start_date"], p["end_date"]) for _, p in pool.asked} == {("2026-09-14", "2026-09-21")}
    credited = paid["litecoin", "credited"]
    assert (credited["amount"], credited["time"], credited["settlement_day"]) == (0.0421, DAY - 86_400, "2026-09-20")
    left = paid["litecoin", "paid"]
    assert (left["amount"], left["time"], left["transaction"], left["reference"]) == (1.25, DAY + 60, "cd" * 32, "157")
    assert paid["dogecoin", "credited"]["amount"] == 366.077
    assert [path for path, parameters in pool.asked if parameters["coin"] == "DOGE"] == [
        "reward/history", "wallet/payment/history",
    ]  # fmt: skip


async def test_pages_are_followed_to_the_last() -> None:
    def pages(request: httpx.Request) -> dict[str, Any]:
        number = int(request.url.params["page"])
        return page(worker(number, f"w{number}", active=True), more=number < 3)

    gathered = await Pool(hashrate__worker=pages).ask("workers")
    assert [row["worker_id"] for row in rows(gathered, "pool_performance")] == ["farm.w1", "farm.w2", "farm.w3"]
    assert gathered.notices == []


async def test_pages_without_an_end_are_given_up_and_noticed() -> None:
    pool = Pool(
        hashrate__worker=lambda request: page(worker(int(request.url.params["page"]), "w", active=True), more=True)
    )
    gathered = await pool.ask("workers")
    assert sum(path == "hashrate/worker" for path, _ in pool.asked) == MOST_PAGES
    assert "more than" in gathered.notices[0]


async def test_of_two_workers_of_one_name_the_active_one_has_it() -> None:
    listed = page(
        worker(370, "1x1", active=False, last_active=SLOT),
        worker(369, "1x1", active=True),
        worker(370, "farm.1x1", active=False, last_active=SLOT),
    )
    gathered = await Pool(hashrate__worker=listed).ask("workers")
    found = {row["worker_id"]: row["status"] for row in rows(gathered, "pool_performance")}
    assert found == {"farm.1x1": "online", "farm.1x1#370": "offline"}
    assert ["2 workers are called farm.1x1" in notice for notice in gathered.notices] == [True]


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (12001, SourceFailureKind.REFUSED),
        (12002, SourceFailureKind.REFUSED),
        (12003, SourceFailureKind.REFUSED),
        (12004, SourceFailureKind.REFUSED),
        (2, SourceFailureKind.UNEXPECTED),
        (5001, SourceFailureKind.UNEXPECTED),
        (1, SourceFailureKind.SERVER_ERROR),
        (None, SourceFailureKind.UNEXPECTED),
    ],
)
@pytest.mark.parametrize("name", ["workers", "payouts"])
async def test_codes_with_status_200(name: str, code: int | None, kind: SourceFailureKind) -> None:
    failure: Answer = {"code": code, "data": None, "message": f"no {KEY}"}
    with pytest.raises(SourceFailure) as caught:
        await Pool(account=failure, profit__history=failure).ask(name)
    assert caught.value.kind is kind
    assert KEY not in str(caught.value)


async def test_a_coin_that_the_pool_does_not_have_costs_that_coin() -> None:
    unknown: Answer = {"code": 5001, "message": "Invalid coin type"}
    gathered = await Pool("dogecoin", "litecoin", reward__history=unknown).ask("payouts")
    assert {row["coin_id"] for row in rows(gathered, "pool_payout")} == {"litecoin"}
    assert ["dogecoin is left out" in notice for notice in gathered.notices] == [True]


async def test_each_answer_of_a_request_is_kept_as_a_page_of_its_own() -> None:
    """A store has one row for each page: two coins, and the account, are five answers and none in another's place."""
    gathered = await Pool("litecoin", "bitcoin").ask("workers")
    assert [answer.page for answer in gathered.answers] == [1, 2, 3, 4, 5, 6, 7]
    assert [json.loads(answer.body)["data"].get("balance") is not None for answer in gathered.answers] == (
        [False] * 6 + [True]
    )


async def test_coins_that_came_before_a_failure_are_kept() -> None:
    def fails_for_bitcoin(request: httpx.Request) -> dict[str, Any]:
        return {"code": 12001, "message": "no"} if request.url.params["coin"] == "BTC" else ANSWERS["hashrate"]

    with pytest.raises(SourceFailure) as caught:
        await Pool("litecoin", "bitcoin", hashrate=fails_for_bitcoin).ask("workers")
    assert caught.value.kind is SourceFailureKind.REFUSED
    assert {frame.measurement for frame in caught.value.frames} == {"pool_performance", "pool_account"}
    assert [answer.page for answer in caught.value.answers] == [1, 2, 3]


async def test_all_workers_offline_is_told_though_the_pool_leaves_the_number_out() -> None:
    nobody: Answer = {"code": 0, "data": {"coin": "LTC"}, "message": "OK"}
    listed = page(worker(2, "spare", active=False))
    (account,) = rows(await Pool(hashrate=nobody, hashrate__worker=listed).ask("workers"), "pool_account")
    assert (account["status"], account["workers_active"], account["workers_inactive"]) == ("all_offline", 0, 1)


async def test_a_reject_rate_in_percent_is_none() -> None:
    listed = page(worker(1, "a", active=True, reject_rate="1.25"))
    (row,) = rows(await Pool(hashrate__worker=listed).ask("workers"), "pool_performance")
    assert (row.get("reject_ratio"), row.get("reject_basis")) == (None, None)


async def test_neither_the_key_nor_who_owns_the_account_is_kept() -> None:
    echoing: dict[str, Any] = {path.replace("/", "__"): {**answer, "echo": KEY} for path, answer in ANSWERS.items()}
    text = "".join([kept(await Pool(**echoing).ask(name)) for name in ("workers", "payouts")])
    for secret in (KEY, "owner@example.org", "5550100", "watch-me"):
        assert secret not in text
    assert "0.75" in text


@given(st.data())
def test_a_field_that_cannot_be_read_costs_that_field(data: st.DataObject) -> None:
    listed = copy.deepcopy(ANSWERS["hashrate/worker"]["data"]["data"])
    odd = data.draw(ODD)
    listed[0][data.draw(st.sampled_from(sorted(set(listed[0]) - {"worker_name"})))] = odd
    workers, _ = workers_of(listed, pool_id="via", account="farm", coin="litecoin", slot=SLOT)
    assert [one.worker_id for one in workers] == ["farm.rack1.l7", "farm.spare"]
    paid = [{**PAYMENTS[0], data.draw(st.sampled_from(sorted(PAYMENTS[0]))): odd}, PAYMENTS[0]]
    payouts = payments_of(paid, pool_id="via", coin="litecoin")
    assert payouts[-1].amount == 1.25
    days: list[dict[str, Any]] = [{**CREDITS[0], data.draw(st.sampled_from(sorted(CREDITS[0]))): odd}, CREDITS[0]]
    credited = credits_of(days, pool_id="via", coin="litecoin")
    assert credited[-1].amount == 0.0421
    pool_frames(PoolRecords(workers=workers, payouts=(*payouts, *credited)))
