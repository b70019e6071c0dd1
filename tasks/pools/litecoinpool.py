"""litecoinpool.org: LTC and DOGE on the same hashes, everything in one answer.

Fields, units and traps: the pool's API page and the samples that clients publish. Hashrates are in kH/s. Shares are
work in units of 2^16 hashes, not counts, and the answer's counters begin anew at a worker's ``reset_time``. The key is
in the address.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from pydantic import SecretStr

from storage.records.market import MarketRecords, NetworkData, market_frames
from storage.records.pool import (
    CoinMined,
    PoolAccount,
    PoolPayout,
    PoolProfitability,
    PoolRecords,
    WorkerPerformance,
)
from tasks.derive.network import DAY_S, SCRYPT_SHARE, TERA, network_hashrate_hs, pps_per_share, subsidy
from tasks.normalize.number import finite, number
from tasks.pools.gathering import answer_of
from tasks.pools.judging import judged_frames
from tasks.pools.means import Means
from tasks.pools.price_guard import PriceGuard
from tasks.pools.settings import PoolSettings
from tasks.pools.shape import amount, instant, mapping, objects, part, scaled, whole
from tasks.pools.worker_name import worker_id
from tasks.resilience.http import Api
from tasks.sources.failure import SourceFailure, SourceFailureKind
from tasks.sources.source import Gathered, Request

BASE_URL = "https://www.litecoinpool.org"
PER_MINUTE = 2.0
"""The pool works its answers out once a minute."""

PAID_FACTOR = 2.0
"""What a share is paid is the ratio x reward / (difficulty x 2^16) to the last digit of both samples; a bonus or fees
that it may have in it some day are no change of unit."""

KILO = 1e3
LTC, DOGE = "litecoin", "dogecoin"
SAMPLE_TOLERANCE = 0.05
"""Both published samples fit their own arithmetic within 0.06 %; beyond this a unit or a field has changed."""


def open_pool(settings: PoolSettings, means: Means) -> Litecoinpool:
    """The source of a live account."""
    intervals = settings.polling_intervals
    return Litecoinpool(
        settings.id,
        settings.account,
        Api(
            settings.id, settings.base_url or BASE_URL, secrets=[means.key], pace=means.pace, ca_file=settings.ca_file,
        ),
        means.key,
        every_s=min(intervals.workers, intervals.profitability, intervals.payouts),
        guard=means.guard,
    )  # fmt: skip


class Litecoinpool:
    """One account; see the module."""

    def __init__(
        self, name: str, account: str | None, api: Api, api_key: SecretStr, *, every_s: int,
        guard: PriceGuard | None = None,
    ) -> None:  # fmt: skip
        self.name = name
        self.requests = (Request("account", every_s),)
        self._account = account
        self._api = api
        self._key = api_key
        self._guard = guard

    async def ask(self, request: Request, slot: int) -> Gathered:
        """See :class:`tasks.sources.source.Source`."""
        reply = await self._api.get("/api", {"api_key": self._key})
        data = mapping(reply.data, f"{self.name}: {request.name}")
        if "user" not in data and "workers" not in data:
            said = self._api.masked(str(data.get("error") or "neither user nor workers in the answer"))
            raise SourceFailure(SourceFailureKind.REFUSED, f"{self.name}: the key is not accepted: {said[:100]}")
        pool, market = records_of(data, pool_id=self.name, account=self._account, slot=slot)
        notices = _doubts(data)
        if self._guard is not None:
            prices, jumped = self._guard.judge(pool.profitability)
            pool, notices = msgspec.structs.replace(pool, profitability=tuple(prices)), [*notices, *jumped]
        return Gathered(
            [*judged_frames(pool), *market_frames(market)], [answer_of(reply)], notices=notices, tries=reply.tries
        )

    async def aclose(self) -> None:
        """See :class:`tasks.sources.source.Source`."""
        await self._api.aclose()


def records_of(
    data: Mapping[str, Any], *, pool_id: str, account: str | None, slot: int
) -> tuple[PoolRecords, MarketRecords]:
    """The records of one answer. Pure; what cannot be read of it is None."""
    pool, network, market = (part(data, name) for name in ("pool", "network", "market"))
    workers: list[WorkerPerformance] = []
    coins: list[CoinMined] = []
    for written, worker in part(data, "workers").items():
        if isinstance(worker, Mapping):
            identity = worker_id(account, written)
            workers.append(_worker(worker, pool_id, identity, slot, number(market.get("ltc_usd"))))
            coins += _mined(worker, pool_id, identity, slot, market)
    paid = PoolRecords(
        workers=tuple(workers),
        coins=tuple(coins),
        accounts=tuple(_accounts(part(data, "user"), workers, pool_id, slot)),
        payouts=tuple(_payouts(data, pool_id)),
        profitability=(_profitability(pool, market, pool_id, slot),),
    )
    seen = NetworkData(
        time=slot,
        source=pool_id,
        coin_id=LTC,
        network_hashrate_hs=scaled(network.get("hash_rate"), KILO),
        network_difficulty=number(network.get("difficulty")),
        block_time_s=number(network.get("time_per_block")),
        block_height=whole(network.get("block_number")),
        mining_algorithm="scrypt",
    )
    return paid, MarketRecords(networks=(seen,))


def _mined(
    worker: Mapping[str, Any], pool_id: str, identity: str, slot: int, market: Mapping[str, Any]
) -> list[CoinMined]:
    """What a worker earned in both coins in the last 24 h, as far as it is told."""
    return [
        CoinMined(
            time=slot, pool_id=pool_id, worker_id=identity, algorithm="scrypt", coin_id=coin, symbol=symbol,
            mining_type=kind, amount=amount(worker.get(field)),
            usd_value=_product(amount(worker.get(field)), number(market.get(price))),
        )
        for coin, symbol, kind, field, price in (
            (LTC, "LTC", "primary", "rewards_24h", "ltc_usd"),
            (DOGE, "DOGE", "merge-mined", "rewards_24h_doge", "doge_usd"),
        )
        if worker.get(field) is not None
    ]  # fmt: skip


def _accounts(
    user: Mapping[str, Any], workers: Sequence[WorkerPerformance], pool_id: str, slot: int
) -> list[PoolAccount]:
    """The account in both coins; samples of before the second coin have one."""
    active = sum(1 for worker in workers if worker.status == "online")
    return [
        PoolAccount(
            time=slot,
            pool_id=pool_id,
            coin_id=coin,
            hashrate_hs=scaled(user.get("hash_rate"), KILO),
            workers_active=active,
            workers_inactive=len(workers) - active,
            predicted_24h=amount(user.get(f"expected_24h_rewards{suffix}")),
            credited_24h=amount(user.get(f"past_24h_rewards{suffix}")),
            credited_total=amount(user.get(f"total_rewards{suffix}")),
            paid_total=amount(user.get(f"paid_rewards{suffix}")),
            unpaid=amount(user.get(f"unpaid_rewards{suffix}")),
            status="live" if active else "all_offline",
        )
        for coin, suffix in ((LTC, ""), (DOGE, "_doge"))
        if coin == LTC or f"total_rewards{suffix}" in user
    ]


def _payouts(data: Mapping[str, Any], pool_id: str) -> list[PoolPayout]:
    return [
        PoolPayout(
            time=time, pool_id=pool_id, coin_id=coin, kind="paid", reference=str(time),
            amount=amount(payout.get("amount")), settlement_zone="UTC",
        )
        for coin, name in ((LTC, "recent_payouts"), (DOGE, "recent_payouts_doge"))
        for payout in objects(data.get(name))
        if (time := instant(payout.get("time"))) is not None
    ]  # fmt: skip


def _worker(
    worker: Mapping[str, Any], pool_id: str, identity: str, slot: int, ltc_usd: float | None
) -> WorkerPerformance:
    accepted, stale, invalid = (number(worker.get(f"{kind}_shares")) for kind in ("valid", "stale", "invalid"))
    hashrate = scaled(worker.get("hash_rate"), KILO)
    connected = worker.get("connected")
    if isinstance(connected, bool):
        status = "online" if connected else "offline"
    else:
        status = "unknown" if hashrate is None else "online" if hashrate > 0 else "offline"
    last = instant(worker.get("last_share_time"))  # 0 of one that never mined is no time
    return WorkerPerformance(
        time=slot,
        pool_id=pool_id,
        worker_id=identity,
        algorithm="scrypt",
        status=status,
        hashrate_reported_hs=hashrate,
        hashrate_effective_hs=scaled(worker.get("hash_rate_24h"), KILO),
        work_accepted_d1=accepted,
        work_stale_d1=stale,
        work_invalid_d1=invalid,
        # No reject_ratio: the counters are since a reset, and the window is the hashrate's.
        earnings_amount=amount(worker.get("rewards_24h")),
        earnings_currency="LTC" if worker.get("rewards_24h") is not None else None,
        earnings_period="24h" if worker.get("rewards_24h") is not None else None,
        earnings_usd=_product(amount(worker.get("rewards_24h")), ltc_usd),
        last_share_age_s=None if last is None or last > slot else float(slot - last),
        time_window="24h",
    )


def _profitability(pool: Mapping[str, Any], market: Mapping[str, Any], pool_id: str, slot: int) -> PoolProfitability:
    """What a TH/s earns: what a share of 2^16 hashes is paid in both coins. None unless both coins are known."""
    parts = [
        _product(number(pool.get(rate)), number(market.get(price)))
        for rate, price in (("pps_rate", "ltc_usd"), ("pps_rate_avg_doge", "doge_usd"))
        if rate == "pps_rate" or rate in pool  # samples of before the second coin have none
    ]
    known = [value for value in parts if value is not None]
    shares_a_day = DAY_S * TERA / SCRYPT_SHARE
    return PoolProfitability(
        time=slot,
        pool_id=pool_id,
        algorithm="scrypt",
        per_hash_rate_usd_th_day=finite(sum(known) * shares_a_day) if len(known) == len(parts) else None,
        unit="coins per 2^16 hashes",
        time_period="now",
        pool_hashrate_hs=scaled(pool.get("hash_rate"), KILO),
    )


def _doubts(data: Mapping[str, Any]) -> list[str]:
    """Where an answer does not fit its own arithmetic: a unit has changed, or a field its meaning."""
    network, pool = part(data, "network"), part(data, "pool")
    difficulty = number(network.get("difficulty"))
    told = scaled(network.get("hash_rate"), KILO)
    worked_out = network_hashrate_hs("scrypt", difficulty, number(network.get("time_per_block")))
    found = []
    if told and worked_out and abs(told / worked_out - 1.0) > SAMPLE_TOLERANCE:
        found.append(
            f"its network hashrate {told:.4g} H/s does not fit its own difficulty, {worked_out:.4g} H/s: unit?"
        )
    ratio, paid = number(pool.get("pps_ratio")), number(pool.get("pps_rate"))
    reward = subsidy(LTC, whole(network.get("block_number")))
    due = None if ratio is None else pps_per_share("scrypt", difficulty, reward, ratio)
    if paid and due and not 1 / PAID_FACTOR < paid / due < PAID_FACTOR:
        found.append(f"it pays {paid:.4g} LTC a share, and by difficulty and reward it should be {due:.4g}: unit?")
    return found


def _product(left: float | None, right: float | None) -> float | None:
    return None if left is None or right is None else finite(left * right)
