"""litecoinpool.org, by the figures of a published sample (2018) and its documented fields of Dogecoin."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from storage.records.market import market_frames
from storage.records.pool import pool_frames
from tasks.pools.litecoinpool import Litecoinpool, records_of
from tasks.pools.price_guard import PriceGuard
from tasks.resilience.http import Api
from tasks.sources.failure import SourceFailure, SourceFailureKind
from tasks.sources.source import Gathered
from tests.pools.reading import ODD, rows

KEY = "s3cret-key-of-the-account"
SLOT = 1_517_124_480

# Network, pool and market as the sample has them; workers are ours.
SAMPLE: dict[str, Any] = {
    "user": {
        "hash_rate": 504_000, "expected_24h_rewards": 0.07, "total_rewards": 3.5, "paid_rewards": 3.0,
        "unpaid_rewards": 0.5, "past_24h_rewards": 0.066, "total_work": "5172625408", "blocks_found": 0,
        "expected_24h_rewards_doge": 30.5, "total_rewards_doge": 900.25, "paid_rewards_doge": 800,
        "unpaid_rewards_doge": 100.25, "past_24h_rewards_doge": 29.75,
    },
    "workers": {
        "Farm.rack1.l7": {
            "connected": True, "hash_rate": 504_000, "hash_rate_24h": 500_500.5, "valid_shares": "0078928",
            "stale_shares": "72", "invalid_shares": 0, "rewards": 3.5, "rewards_24h": 0.066,
            "rewards_24h_doge": 29.75, "last_share_time": 1_517_124_416, "reset_time": 1_512_630_506,
        },
        "farm.spare": {
            "connected": False, "hash_rate": 0, "hash_rate_24h": 0, "valid_shares": "0", "stale_shares": "0",
            "invalid_shares": "0", "rewards": 0, "rewards_24h": 0, "reset_time": 1_512_630_506,
        },
    },
    "pool": {
        "hash_rate": 28_840_000_000, "active_users": 9_914, "total_work": "145016027186199134208", "pps_ratio": 1.03,
        "pps_rate": 1.05305e-10,
    },
    "network": {
        "hash_rate": 95_925_913_949, "block_number": 1_358_312, "time_per_block": 167, "difficulty": 3_731_199.1833743,
        "next_difficulty": 3_854_043.0221471, "retarget_time": 78_852,
    },
    "recent_payouts": [{"time": 1_517_100_000, "amount": 0.25}],
    "market": {"ltc_usd": 180.0, "doge_usd": 0.006, "btc_usd": 11_000.0},
}  # fmt: skip


def pool(answer: Any, *, status: int = 200) -> Litecoinpool:
    def handle(request: httpx.Request) -> httpx.Response:
        assert request.url.params["api_key"] == KEY
        return httpx.Response(status, json=answer)

    key = SecretStr(KEY)
    api = Api("ltc", "https://pool.example", secrets=[key], transport=httpx.MockTransport(handle))
    return Litecoinpool("ltc", "farm", api, key, every_s=300)


async def ask(answer: Any) -> Gathered:
    source = pool(answer)
    return await source.ask(source.requests[0], SLOT)


async def test_a_worker_has_hashes_a_second_and_work() -> None:
    first, second = rows(await ask(SAMPLE), "pool_performance")
    assert (first["worker_id"], first["status"]) == ("farm.rack1.l7", "online")
    assert first["hashrate_reported_hs"] == pytest.approx(504e6, rel=1.6e-5)
    assert first["hashrate_effective_hs"] == pytest.approx(500.5005e6, rel=1.6e-5)
    assert (first["work_accepted_d1"], first["work_stale_d1"], first["work_invalid_d1"]) == (78_928.0, 72.0, 0.0)
    # 72 of 79,000 since a reset is no ratio of the 24 h that the hashrate is a mean of
    assert first["time_window"] == "24h"
    assert (first.get("reject_ratio"), first.get("reject_basis")) == (None, None)
    assert first["last_share_age_s"] == 64
    assert (second["status"], second["hashrate_reported_hs"], second["last_share_age_s"]) == ("offline", 0.0, None)


async def test_a_worker_that_never_mined_has_no_age_of_its_last_share() -> None:
    """Nor is it in conflict with being online: the time 0 is none."""
    never = {"connected": True, "hash_rate": 0, "last_share_time": 0}
    (row,) = rows(await ask({**SAMPLE, "workers": {"farm.new": never}}), "pool_performance")
    assert (row.get("last_share_age_s"), row.get("quality_flags"), row["quality"]) == (None, None, 1.0)


async def test_both_coins_of_account_worker_and_payout() -> None:
    gathered = await ask(SAMPLE)
    litecoin, dogecoin = rows(gathered, "pool_account")
    assert (litecoin["coin_id"], litecoin["unpaid"], litecoin["predicted_24h"]) == ("litecoin", 0.5, 0.07)
    assert (dogecoin["coin_id"], dogecoin["unpaid"], dogecoin["credited_24h"]) == ("dogecoin", 100.25, 29.75)
    assert (litecoin["workers_active"], litecoin["workers_inactive"], litecoin["status"]) == (1, 1, "live")
    mined = {(row["worker_id"], row["coin_id"]): row for row in rows(gathered, "pool_coin")}
    assert mined["farm.rack1.l7", "litecoin"]["usd_value"] == pytest.approx(0.066 * 180)
    first, second = rows(gathered, "pool_performance")
    assert (first["earnings_amount"], first["earnings_usd"]) == (0.066, pytest.approx(0.066 * 180))
    assert (second["earnings_amount"], second["earnings_usd"]) == (0.0, 0.0)
    (unpriced, _) = rows(await ask({**SAMPLE, "market": {}}), "pool_performance")
    assert (unpriced["earnings_amount"], unpriced.get("earnings_usd")) == (0.066, None)
    assert mined["farm.rack1.l7", "dogecoin"]["mining_type"] == "merge-mined"
    (payout,) = rows(gathered, "pool_payout")
    assert (payout["time"], payout["kind"], payout["amount"]) == (1_517_100_000, "paid", 0.25)


async def test_what_the_pool_pays_by_hand() -> None:
    """86,400 s x 1e12 H/s / 65,536 hashes a share x 1.05305e-10 LTC x 180 USD = 24,989.4 USD."""
    (profit,) = rows(await ask(SAMPLE), "pool_profitability")
    assert profit["per_hash_rate_usd_th_day"] == pytest.approx(24_989.4, abs=0.1)


async def test_the_network_comes_with_it() -> None:
    gathered = await ask(SAMPLE)
    (network,) = rows(gathered, "network_data")
    assert network["network_hashrate_hs"] == 95_925_913_949e3
    assert network["block_height"] == 1_358_312
    assert gathered.notices == []


async def test_a_unit_that_changed_is_noticed() -> None:
    changed = copy.deepcopy(SAMPLE)
    changed["network"]["hash_rate"] /= 1_000  # as if in MH/s
    assert ["unit?" in notice for notice in (await ask(changed)).notices] == [True]


async def test_a_price_of_another_unit_is_noticed_and_no_price(tmp_path: Path) -> None:
    """As if it were told of 2^26 hashes overnight: 1,024 times what a share is worth is not what a hash earns."""
    changed, answers = copy.deepcopy(SAMPLE), [SAMPLE]
    changed["pool"]["pps_rate"] *= 1_024
    handler = httpx.MockTransport(lambda _: httpx.Response(200, json=answers[-1]))
    api, guard = Api("ltc", "https://pool.example", transport=handler), PriceGuard(tmp_path, "ltc")
    source = Litecoinpool("ltc", "farm", api, SecretStr(KEY), every_s=300, guard=guard)
    before = await source.ask(source.requests[0], SLOT)
    answers.append(changed)
    after = await source.ask(source.requests[0], SLOT + 900)
    assert before.notices == []
    assert [row.get("per_hash_rate_usd_th_day") is None for one in (before, after)
            for row in rows(one, "pool_profitability")] == [False, True]  # fmt: skip
    assert ["unit" in notice for notice in after.notices] == [True, True]


async def test_all_workers_offline_is_told_and_no_failure() -> None:
    empty = copy.deepcopy(SAMPLE)
    empty["workers"] = {}
    (account, _) = rows(await ask(empty), "pool_account")
    assert (account["status"], account["workers_active"]) == ("all_offline", 0)


@pytest.mark.parametrize("answer", [{}, {"error": f"no such key {KEY}"}])
async def test_neither_user_nor_workers_is_a_wrong_key(answer: dict[str, Any]) -> None:
    with pytest.raises(SourceFailure) as caught:
        await ask(answer)
    assert caught.value.kind is SourceFailureKind.REFUSED
    assert KEY not in str(caught.value)


async def test_the_key_is_not_kept() -> None:
    gathered = await ask({**SAMPLE, "echo": KEY})
    (answer,) = gathered.answers
    assert KEY not in answer.body + answer.address


@given(st.data())
def test_a_field_that_cannot_be_read_costs_that_field(data: st.DataObject) -> None:
    answer = copy.deepcopy(SAMPLE)
    section = data.draw(st.sampled_from(["user", "pool", "network", "market", "workers"]))
    place = answer[section] if section != "workers" else answer["workers"]["Farm.rack1.l7"]
    place[data.draw(st.sampled_from(sorted(place)))] = data.draw(ODD)
    paid, seen = records_of(answer, pool_id="ltc", account="farm", slot=SLOT)
    assert [worker.worker_id for worker in paid.workers] == ["farm.rack1.l7", "farm.spare"]
    assert paid.payouts[0].amount == 0.25
    pool_frames(paid)
    market_frames(seen)
