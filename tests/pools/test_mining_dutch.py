"""Mining-Dutch, by the sample that its API page gives of its status and answers written from its documented fields."""

from __future__ import annotations

import copy
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from storage.records.pool import PoolRecords, pool_frames
from tasks.pools.means import Means
from tasks.pools.mining_dutch import MiningDutch, payouts_of, profitability_of, workers_of
from tasks.pools.settings import PoolSettings
from tasks.resilience.http import Api
from tasks.sources.failure import SourceFailure, SourceFailureKind
from tasks.sources.source import Gathered
from tests.pools.reading import ODD, NoPace, kept, rows

KEY = "planted-dutch-4711"
SLOT = 1_790_000_100

STATUS: dict[str, Any] = {
    "blake2s": {  # figures of the pool's API page
        "name": "blake2s", "port": 6671, "coins": 4, "fees": 2, "hashrate": "649533648.74056139",
        "hashrate_shared": 647053944.60003, "hashrate_solo": "2479704.14053148", "workers": "329",
        "estimate_current": "0.00001527", "estimate_last24h": "0.000014886458", "actual_last24h": "0.00001541",
        "mbtc_mh_factor": 1000000, "hashrate_last24h": "649533648.74056139",
    },
    "scrypt": {
        "name": "scrypt", "port": 8888, "coins": 9, "fees": 1.5, "hashrate": "9000000000000", "workers": "800",
        "estimate_current": "0.00000002", "estimate_last24h": "0.000000018", "actual_last24h": None,
        "mbtc_mh_factor": 1,
    },
    "sha256": {"name": "sha256", "fees": 1, "hashrate": "0", "estimate_current": "0.1", "mbtc_mh_factor": 0},
}  # fmt: skip
WORKERS: list[dict[str, Any]] = [
    {
        "username": "Rack1.L7", "nowMining": "litecoin", "mergedMining": 1, "mode": "PPS", "alive": 1,
        "hashrate": "9500", "lastshare": SLOT - 20, "difficulty": "4096",
    },
    {
        "username": "farm.spare", "nowMining": "bitcoin", "mergedMining": 0, "mode": "PPS", "alive": 0, "hashrate": 0,
        "lastshare": 0, "difficulty": "0",
    },
]  # fmt: skip
TRANSACTIONS: list[dict[str, Any]] = [
    {"id": "101", "username": "x", "type": "Credit", "amount": "1.5", "timestamp": "2026-07-01 12:00:00", "txid": None},
    {"id": 102, "type": "Debit_AC", "amount": "-10.0", "timestamp": "2026-01-15 08:30:00", "txid": "ab" * 32},
    {"id": 103, "type": "TXFee", "amount": "0.001", "timestamp": "2026-01-15 08:30:00", "txid": None},
]


def wrapped(action: str, data: Any) -> dict[str, Any]:
    return {action: {"version": "1.0.0", "runtime": 3.1, "data": data}}


ANSWERS: dict[str, Any] = {
    "status": STATUS,
    "getuserworkers": wrapped("getuserworkers", {"miners": WORKERS}),
    "getuserbalance": wrapped("getuserbalance", {"confirmed": "12.5", "unconfirmed": "0.25", "orphaned": "0"}),
    "getusertransactions": wrapped("getusertransactions", {"transactions": TRANSACTIONS}),
}


class Pool:
    """Answers like the pool; ``asked`` has paths."""

    def __init__(self, *coins: str, btc_usd: float | None = 100_000.0, **other: Any) -> None:
        self.answers = {**ANSWERS, **other}
        self.asked: list[str] = []
        chosen = coins or ("litecoin",)
        settings = PoolSettings(id="dutch", kind="mining_dutch", account="farm", api_key=SecretStr(KEY), coins=chosen)
        api = Api("dutch", "https://pool.example", secrets=[KEY], transport=httpx.MockTransport(self.handle))
        means = Means(SecretStr(KEY), NoPace(), lambda: btc_usd)
        self.source = MiningDutch(settings, means, api)

    def handle(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.url.path)
        action = request.url.params.get("action", "status")
        assert action == "status" or request.url.params["api_key"] == KEY
        answer = self.answers[action]
        return answer if isinstance(answer, httpx.Response) else httpx.Response(200, json=answer)

    async def ask(self, name: str) -> Gathered:
        (request,) = (one for one in self.source.requests if one.name == name)
        return await self.source.ask(request, SLOT)


async def test_what_each_algorithm_pays_by_hand() -> None:
    """0.00001541 BTC a day for 1e6 MH/s: 1.541e-17 BTC per H/s, 1.541e-5 BTC per TH/s, 1.541 USD at 100,000 USD."""
    found = {row["algorithm"]: row for row in rows(await Pool().ask("status"), "pool_profitability")}
    assert found["blake2s"]["per_hash_rate_usd_th_day"] == pytest.approx(1.541)
    assert (found["blake2s"]["fee_ratio"], found["blake2s"]["time_period"]) == (0.02, "24h")
    assert found["blake2s"]["unit"] == "BTC per 1e+06 MH/s and day"
    assert found["blake2s"]["pool_hashrate_hs"] == pytest.approx(649_533_648.74, rel=1.6e-5)
    # Nothing paid told, so the day's estimate: 1.8e-8 BTC per MH/s is 0.018 BTC per TH/s.
    assert found["scrypt"]["per_hash_rate_usd_th_day"] == pytest.approx(1_800.0)
    assert found["scrypt"]["time_period"] == "24h estimate"
    assert found["sha256d"]["per_hash_rate_usd_th_day"] is None  # a factor of 0 says that nothing is known


async def test_without_a_price_of_bitcoin_the_value_is_null_and_not_zero() -> None:
    for row in rows(await Pool(btc_usd=None).ask("status"), "pool_profitability"):
        assert row.get("per_hash_rate_usd_th_day") is None
        assert row["fee_ratio"] > 0


async def test_workers_in_mega_hashes() -> None:
    first, spare = rows(await Pool().ask("workers"), "pool_performance")
    assert (first["worker_id"], first["status"], first["algorithm"]) == ("farm.rack1.l7", "online", "scrypt")
    assert first["hashrate_reported_hs"] == pytest.approx(9.5e9, rel=1.6e-5)
    assert first["last_share_age_s"] == 20
    assert (spare["worker_id"], spare["status"], spare["algorithm"]) == ("farm.spare", "offline", "sha256d")
    assert spare["last_share_age_s"] is None


async def test_a_worker_above_its_pool_is_a_unit_gone_wrong() -> None:
    in_hashes = [{**WORKERS[0], "hashrate": "9500000000"}]
    pool = Pool(getuserworkers=wrapped("getuserworkers", {"miners": in_hashes}))
    await pool.ask("status")
    gathered = await pool.ask("workers")
    (row,) = rows(gathered, "pool_performance")
    assert row.get("hashrate_reported_hs") is None
    assert ["unit?" in notice for notice in gathered.notices] == [True]


async def test_workers_that_every_coin_lists_are_there_once() -> None:
    pool = Pool("litecoin", "bitcoin-cash")
    gathered = await pool.ask("workers")
    assert [row["worker_id"] for row in rows(gathered, "pool_performance")] == ["farm.rack1.l7", "farm.spare"]
    assert set(pool.asked) == {"/pools/litecoin.php", "/pools/bitcoincashnode.php"}
    accounts = rows(gathered, "pool_account")
    assert [(row["coin_id"], row["unpaid"]) for row in accounts] == [("litecoin", 12.75), ("bitcoin-cash", 12.75)]
    assert (accounts[0]["workers_active"], accounts[0]["workers_inactive"], accounts[0]["status"]) == (1, 1, "live")


async def test_credits_and_debits_by_the_clock_of_amsterdam() -> None:
    credited, paid = rows(await Pool().ask("payouts"), "pool_payout")
    assert (credited["kind"], credited["amount"], credited["reference"]) == ("credited", 1.5, "101")
    assert credited["time"] == 1_782_900_000  # 2026-07-01T10:00:00Z: summer
    assert (paid["kind"], paid["amount"], paid["transaction"]) == ("paid", 10.0, "ab" * 32)
    assert paid["time"] == 1_768_462_200  # 2026-01-15T07:30:00Z: winter
    assert paid["settlement_zone"] == "Europe/Amsterdam"


@pytest.mark.parametrize("name", ["status", "workers", "payouts"])
async def test_the_rate_limit_is_a_message_with_status_200(name: str) -> None:
    answers: dict[str, Any] = {action: {"message": "Only 1 request every 10 seconds allowed"} for action in ANSWERS}
    with pytest.raises(SourceFailure) as caught:
        await Pool(**answers).ask(name)
    assert (caught.value.kind, caught.value.retry_after_s) == (SourceFailureKind.RATE_LIMITED, 11.0)


@pytest.mark.parametrize(
    ("response", "kind"),
    [
        (httpx.Response(200, text="<!DOCTYPE html><html>down"), SourceFailureKind.NOT_JSON),
        (httpx.Response(200, text="Access denied"), SourceFailureKind.REFUSED),
        (httpx.Response(401, text="Access denied"), SourceFailureKind.REFUSED),
        (httpx.Response(200, json={"success": False, "message": f"no {KEY}"}), SourceFailureKind.SERVER_ERROR),
        (httpx.Response(200, json={"getuserworkers": {"version": "1.0.0"}}), SourceFailureKind.UNEXPECTED),
        (httpx.Response(200, json=[]), SourceFailureKind.UNEXPECTED),
    ],
)
async def test_other_answers_that_are_none(response: httpx.Response, kind: SourceFailureKind) -> None:
    with pytest.raises(SourceFailure) as caught:
        await Pool(getuserworkers=response).ask("workers")
    assert caught.value.kind is kind
    assert KEY not in str(caught.value)


async def test_a_status_without_an_algorithm_is_no_status() -> None:
    with pytest.raises(SourceFailure) as caught:
        await Pool(status={"success": 1, "result": {}}).ask("status")
    assert caught.value.kind is SourceFailureKind.UNEXPECTED


async def test_the_key_is_kept_nowhere() -> None:
    echoing: dict[str, Any] = {action: {**answer, "echo": KEY} for action, answer in ANSWERS.items()}
    for name in ("status", "workers", "payouts"):
        assert KEY not in kept(await Pool(**echoing).ask(name))


@given(st.data())
def test_a_field_that_cannot_be_read_costs_that_field(data: st.DataObject) -> None:
    odd = data.draw(ODD)
    status = copy.deepcopy(STATUS)
    status["scrypt"][data.draw(st.sampled_from(sorted(set(STATUS["scrypt"]) - {"name"})))] = odd
    found = profitability_of(status, 100_000.0, pool_id="dutch", slot=SLOT)
    assert [one.algorithm for one in found] == ["blake2s", "scrypt", "sha256d"]
    listed = copy.deepcopy(WORKERS)
    listed[0][data.draw(st.sampled_from(sorted(set(WORKERS[0]) - {"username"})))] = odd
    workers, _ = workers_of(listed, {}, pool_id="dutch", account="farm", coin="litecoin", slot=SLOT)
    assert [one.worker_id for one in workers] == ["farm.rack1.l7", "farm.spare"]
    changed = [{**TRANSACTIONS[0], data.draw(st.sampled_from(sorted(TRANSACTIONS[0]))): odd}, TRANSACTIONS[1]]
    payouts = payouts_of(changed, pool_id="dutch", coin="litecoin")
    assert payouts[-1].amount == 10.0
    pool_frames(PoolRecords(workers=workers, profitability=found, payouts=payouts))
