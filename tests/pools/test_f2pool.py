"""F2Pool, by answers written from its documented fields; the figures are ours."""

from __future__ import annotations

import copy
import json
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from storage.records.pool import PoolRecords, pool_frames
from tasks.pools.f2pool import F2pool, payouts_of, workers_of
from tasks.pools.settings import PoolSettings
from tasks.resilience.http import Api
from tasks.sources.failure import SourceFailure, SourceFailureKind
from tasks.sources.source import Gathered
from tests.pools.reading import ODD, kept, rows

KEY = "planted-f2p-4711"
SLOT = 1_790_000_100
DAY = 1_789_948_800  # 2026-09-21T00:00:00Z

ANSWERS: dict[str, Any] = {
    "/v2/hash_rate/info": {
        "info": {
            "name": "farm", "hash_rate": 2.05e14, "h1_hash_rate": 2.0e14, "h24_hash_rate": 1.98e14,
            "h1_stale_hash_rate": 1.0e12, "h24_stale_hash_rate": 2.0e12, "h24_delay_hash_rate": 0,
            "local_hash_rate": 0, "h24_local_hash_rate": 0,
        },
        "currency": "bitcoin",
    },
    "/v2/hash_rate/worker/list": {
        "workers": [
            {
                "hash_rate_info": {
                    "name": "Rack1.S19", "hash_rate": 1.05e14, "h1_hash_rate": 1.0e14, "h24_hash_rate": 9.9e13,
                    "h1_stale_hash_rate": 5e11, "h24_stale_hash_rate": 1.0e12, "h24_delay_hash_rate": 0,
                },
                "last_share_at": SLOT - 30, "status": 0, "host": "203.0.113.7",
            },
            {
                "hash_rate_info": {"name": "farm.spare", "hash_rate": 0, "h24_hash_rate": 0, "h24_stale_hash_rate": 0},
                "last_share_at": SLOT - 7200, "status": 1, "host": "203.0.113.7",
            },
            {"hash_rate_info": {"name": "old", "hash_rate": 0}, "last_share_at": 0, "status": 2, "host": ""},
        ]
    },
    "/v2/assets/balance": {
        "balance_info": {
            "balance": 0.0125, "paid": 1.5, "total_income": 1.5125, "yesterday_income": 0.00021,
            "estimated_today_income": 0.0001,
        }
    },
    "/v2/assets/transactions/list": {
        "transactions": [
            {
                "id": 900001, "type": "revenue", "changed_balance": 0.00021, "created_at": DAY + 900,
                "mining_extra": {
                    "mining_date": DAY - 86_400, "settle_date": DAY, "pps": 0.0002, "pps_fee_rate": 0.025,
                    "tx_fee": 0.00001, "tx_fee_rate": 0.02, "hash_rate": 1.98e14,
                },
                "payout_extra": None,
            },
            {
                "id": 900002, "type": "payout", "changed_balance": -0.005, "created_at": DAY + 1000,
                "mining_extra": None,
                "payout_extra": {
                    "value": 0.005, "address": "bc1qexample", "tx_id": "ab" * 32, "paid_time": DAY + 3600,
                    "wallet_type": "mainnet", "tip": 0,
                },
            },
        ]
    },
}  # fmt: skip


class Pool:
    """Answers POSTs like the pool; ``asked`` has the bodies."""

    def __init__(self, answers: dict[str, Any] | None = None, coins: tuple[str, ...] = ("bitcoin",)) -> None:
        self.answers = answers or ANSWERS
        self.asked: list[dict[str, Any]] = []
        settings = PoolSettings(id="f2", kind="f2pool", account="farm", api_key=SecretStr(KEY), coins=coins)
        transport = httpx.MockTransport(self.handle)
        headers = {"F2P-API-SECRET": SecretStr(KEY)}
        self.source = F2pool(settings, Api("f2", "https://pool.example/v2", headers=headers, transport=transport))

    def handle(self, request: httpx.Request) -> httpx.Response:
        assert request.method == "POST"
        assert request.headers["F2P-API-SECRET"] == KEY
        body = json.loads(request.content)
        self.asked.append(body)
        answer = self.answers[request.url.path]
        return httpx.Response(200, json=answer(body) if callable(answer) else answer)

    async def ask(self, name: str) -> Gathered:
        (request,) = (one for one in self.source.requests if one.name == name)
        return await self.source.ask(request, SLOT)


async def test_workers_with_hashes_a_second_and_a_ratio_of_rates() -> None:
    pool = Pool()
    gathered = await pool.ask("workers")
    first, spare, old = rows(gathered, "pool_performance")
    assert pool.asked[0] == {"mining_user_name": "farm", "currency": "bitcoin"}
    assert (first["worker_id"], first["status"], first["algorithm"]) == ("farm.rack1.s19", "online", "sha256d")
    assert first["hashrate_reported_hs"] == pytest.approx(1.05e14, rel=1.6e-5)
    assert first["hashrate_effective_hs"] == pytest.approx(9.9e13, rel=1.6e-5)
    assert first["reject_ratio"] == pytest.approx(0.01, rel=1.6e-5)  # 1 of 99 + 1
    assert (first["reject_basis"], first["time_window"], first["last_share_age_s"]) == ("rate", "24h", 30)
    assert (spare["worker_id"], spare["status"], spare["reject_ratio"]) == ("farm.spare", "offline", None)
    assert (old["status"], old["last_share_age_s"], old["hashrate_effective_hs"]) == ("expired", None, None)


async def test_the_account() -> None:
    (account,) = rows(await Pool().ask("workers"), "pool_account")
    assert (account["unpaid"], account["paid_total"], account["credited_total"]) == (0.0125, 1.5, 1.5125)
    assert (account["workers_active"], account["workers_inactive"], account["status"]) == (1, 2, "live")
    assert account.get("credited_24h") is None  # a UTC day's income is no income of the last 24 h


async def test_what_was_credited_and_what_was_paid_are_kept_apart() -> None:
    pool = Pool()
    credited, paid = rows(await pool.ask("payouts"), "pool_payout")
    assert pool.asked[0]["end_time"] - pool.asked[0]["start_time"] == 7 * 86_400
    assert (credited["kind"], credited["amount"], credited["time"]) == ("credited", 0.00021, DAY + 900)
    assert (credited["settlement_day"], credited["settlement_zone"], credited["fee_ratio"]) == (
        "2026-09-20", "UTC", 0.025,
    )  # fmt: skip
    assert (paid["kind"], paid["amount"], paid["time"]) == ("paid", 0.005, DAY + 3600)
    assert (paid["transaction"], paid["reference"]) == ("ab" * 32, "900002")


async def test_what_takes_coins_and_is_no_payout_is_noticed_and_no_payment() -> None:
    correction = {"id": 7, "type": "revenue", "changed_balance": -0.1, "created_at": DAY, "mining_extra": {"pps": 0}}
    gathered = await Pool({"/v2/assets/transactions/list": {"transactions": [correction]}}).ask("payouts")
    assert rows(gathered, "pool_payout") == []
    assert ["7" in notice for notice in gathered.notices] == [True]


@pytest.mark.parametrize(
    ("code", "message", "kind"),
    [
        (5010, "permission: denied", SourceFailureKind.REFUSED),
        (4001, f"auth: unknown token {KEY}", SourceFailureKind.REFUSED),
        (5001, "params: currency", SourceFailureKind.UNEXPECTED),
        (4290, "limit: too many requests", SourceFailureKind.RATE_LIMITED),
        (5999, "internal: database", SourceFailureKind.SERVER_ERROR),
    ],
)
async def test_errors_come_with_status_200(code: int, message: str, kind: SourceFailureKind) -> None:
    answers = {path: {"code": code, "msg": message} for path in ANSWERS}
    with pytest.raises(SourceFailure) as caught:
        await Pool(answers).ask("workers")
    assert caught.value.kind is kind
    assert KEY not in str(caught.value)


async def test_a_coin_that_the_pool_does_not_serve_costs_that_coin() -> None:
    def listed(body: dict[str, Any]) -> Any:
        answer = ANSWERS["/v2/assets/transactions/list"]
        return answer if body["currency"] == "bitcoin" else {"code": 5001, "msg": "params: currency"}

    pool = Pool({"/v2/assets/transactions/list": listed}, coins=("dogecoin", "bitcoin"))
    gathered = await pool.ask("payouts")
    assert [row["coin_id"] for row in rows(gathered, "pool_payout")] == ["bitcoin", "bitcoin"]
    assert ["dogecoin is left out" in notice for notice in gathered.notices] == [True]


async def test_no_workers_at_all_is_told_and_no_failure() -> None:
    gathered = await Pool({**ANSWERS, "/v2/hash_rate/worker/list": {"workers": []}}).ask("workers")
    (account,) = rows(gathered, "pool_account")
    assert (account["status"], account["workers_active"]) == ("all_offline", 0)


async def test_the_public_address_of_a_worker_is_kept_nowhere_and_the_rest_of_its_answer_is() -> None:
    gathered = await Pool().ask("workers")
    assert "203.0.113.7" not in kept(gathered)
    assert "Rack1.S19" in kept(gathered)
    assert str(SLOT - 7200) in kept(gathered)


async def test_the_key_is_kept_nowhere() -> None:
    answers = {path: {**answer, "echo": KEY} for path, answer in ANSWERS.items()}
    for name in ("workers", "payouts"):
        assert KEY not in kept(await Pool(answers).ask(name))


@given(st.data())
def test_a_field_that_cannot_be_read_costs_that_field(data: st.DataObject) -> None:
    listed = copy.deepcopy(ANSWERS["/v2/hash_rate/worker/list"]["workers"])
    place = data.draw(st.sampled_from([listed[0], listed[0]["hash_rate_info"]]))
    names = sorted(set(place) - {"hash_rate_info", "name"})
    place[data.draw(st.sampled_from(names))] = data.draw(ODD)
    workers = workers_of(listed, pool_id="f2", account="farm", coin="bitcoin", slot=SLOT)
    assert [worker.worker_id for worker in workers] == ["farm.rack1.s19", "farm.spare", "farm.old"]
    transactions = copy.deepcopy(ANSWERS["/v2/assets/transactions/list"]["transactions"])
    place = data.draw(st.sampled_from([transactions[0], transactions[0]["mining_extra"]]))
    place[data.draw(st.sampled_from(sorted(set(place))))] = data.draw(ODD)
    payouts, _ = payouts_of(transactions, pool_id="f2", coin="bitcoin")
    assert payouts[-1].amount == 0.005
    pool_frames(PoolRecords(workers=workers, payouts=payouts))
