"""litecoinpool.org: LTC and DOGE on the same hashes, everything in one answer.

Fields, units and traps: the pool's API page and the samples that clients publish. Hashrates are in kH/s. Shares are
work in units of 2^16 hashes, not counts, and the answer's counters begin anew at a worker's ``reset_time``. The key is
in the address.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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
from tasks.derive.network import DAY_S, SCRYPT_SHARE, TERA, network_hashrate_hs
from tasks.normalize.number import finite, number
from tasks.pools.gathering import answer_of
from tasks.pools.judging import judged_frames
from tasks.pools.means import Means
from tasks.pools.settings import PoolSettings
from tasks.pools.shape import amount, instant, mapping, objects, part, scaled, whole
from tasks.pools.worker_name import worker_id
from tasks.resilience.http import Api
from tasks.sources.failure import SourceFailure, SourceFailureKind
from tasks.sources.source import Gathered, Request

BASE_URL = "https://www.litecoinpool.org"
PER_MINUTE = 2.0
"""The pool works its answers out once a minute."""

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
    )  # fmt: skip


class Litecoinpool:
    """One account; see the module."""

    def __init__(self, name: str, account: str | None, api: Api, api_key: SecretStr, *, every_s: int) -> None:
        self.name = name
        self.requests = (Request("account", every_s),)
        self._account = account
        self._api = api
        self._key = api_key

    async def ask(self, request: Request, slot: int) -> Gathered:
        """See :class:`tasks.sources.source.Source`."""
        reply = await self._api.get("/api", {"api_key": self._key})
        data = mapping(reply.data, f"{self.name}: {request.name}")
        if "user" not in data and "workers" not in data:
            said = self._api.masked(str(data.get("error") or "neither user nor workers in the answer"))
            raise SourceFailure(SourceFailureKind.REFUSED, f"{self.name}: the key is not accepted: {said[:100]}")
        pool, market = records_of(data, pool_id=self.name, account=self._account, slot=slot)
        return Gathered(
            [*judged_frames(pool), *market_frames(market)], [answer_of(reply)], notices=_doubts(data), tries=reply.tries
        )

    async def aclose(self) -> None:
        """See :class:`tasks.sources.source.Source`."""
        await self._api.aclose()


def records_of(
    data: Mapping[str, Any], *, pool_id: str, account: str | None, slot: int
) -> tuple[PoolRecords, MarketRecords]:
    """The records of one answer. Pure; what cannot be read of it is None."""
    user, pool, network, market = (part(data, name) for name in ("user", "pool", "network", "market"))
    workers: list[WorkerPerformance] = []
    coins: list[CoinMined] = []
    for written, worker in part(data, "workers").items():
        if isinstance(worker, Mapping):
            identity = worker_id(account, written)
            workers.append(_worker(worker, pool_id, identity, slot, number(market.get("ltc_usd"))))
            coins += [
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
    active = sum(1 for worker in workers if worker.status == "online")
    accounts = [
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
    payouts = [
        PoolPayout(
            time=time, pool_id=pool_id, coin_id=coin, kind="paid", reference=str(time),
            amount=amount(payout.get("amount")), settlement_zone="UTC",
        )
        for coin, name in ((LTC, "recent_payouts"), (DOGE, "recent_payouts_doge"))
        for payout in objects(data.get(name))
        if (time := instant(payout.get("time"))) is not None
    ]  # fmt: skip
    paid = PoolRecords(
        workers=tuple(workers),
        coins=tuple(coins),
        accounts=tuple(accounts),
        payouts=tuple(payouts),
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
    last = number(worker.get("last_share_time"))
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
        last_share_age_s=None if last is None or last > slot else slot - last,
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
    network = part(data, "network")
    told = scaled(network.get("hash_rate"), KILO)
    worked_out = network_hashrate_hs("scrypt", number(network.get("difficulty")), number(network.get("time_per_block")))
    if told and worked_out and abs(told / worked_out - 1.0) > SAMPLE_TOLERANCE:
        return [f"its network hashrate {told:.4g} H/s does not fit its own difficulty, {worked_out:.4g} H/s: unit?"]
    return []


def _product(left: float | None, right: float | None) -> float | None:
    return None if left is None or right is None else finite(left * right)
