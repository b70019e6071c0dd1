"""litecoinpool.org as its clients see it: everything in one answer, hashrates in kH/s, work as text."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

from deployments.farm.http import Request, Response, answer
from deployments.farm.markets.networks import network
from deployments.farm.markets.prices import quote
from deployments.farm.markets.service import Service
from deployments.farm.pools.account import DAY_S, NAME, Account, Worker

_KILO = 1e3
_SHARE = 2**16
_COINS = (("litecoin", ""), ("dogecoin", "_doge"))


class FakeLitecoinpool:
    """What it would answer; put it behind :meth:`service`."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def service(self, port: int = 0) -> Service:
        """Where it can be asked."""
        return Service(self.respond, port=port)

    def respond(self, request: Request) -> Response:
        """The answer to ``request``."""
        if request.path != "/api":
            return answer({"error": "not found"}, 404)
        if parse_qs(request.query).get("api_key") != [self._account.key]:
            return answer({"error": "invalid api_key"})
        account = self._account
        workers, now = account.workers(), account.now()
        chain = network("litecoin", now)
        payouts = {
            f"recent_payouts{suffix}": [
                {"time": at, "amount": account.daily(coin, day)} for day, at in account.payments(now - 7 * DAY_S, now)
            ]
            for coin, suffix in _COINS
        }
        return answer({
            "user": {
                "hash_rate": sum(one.hashrate_hs for one in workers) / _KILO, **self._money(workers), "blocks_found": 0,
            },
            "workers": {f"{NAME}.{one.name}": self._worker(one) for one in workers},
            "pool": {
                "hash_rate": 2.4e10, "active_users": 9000, "total_work": "145016027186199134208",
                "pps_ratio": 1.0 - account.fee, "pps_rate": account.coins_per_hash("litecoin", now) * _SHARE,
                "pps_rate_avg_doge": account.coins_per_hash("dogecoin", now) * _SHARE,
            },
            "network": {
                "hash_rate": chain.hashrate_hs / _KILO, "block_number": chain.height,
                "time_per_block": chain.block_time_s, "difficulty": chain.difficulty,
                "next_difficulty": chain.difficulty, "retarget_time": int(chain.blocks_left * chain.block_time_s),
            },
            **payouts,
            "market": {
                "ltc_usd": quote("litecoin", now).price_usd, "doge_usd": quote("dogecoin", now).price_usd,
                "btc_usd": quote("bitcoin", now).price_usd,
            },
        })  # fmt: skip

    def _money(self, workers: list[Worker]) -> dict[str, float]:
        account, now = self._account, self._account.now()
        hashrate, past = sum(one.hashrate_hs for one in workers), sum(one.hashes_24h for one in workers)
        return {
            name + suffix: value
            for coin, suffix in _COINS
            for name, value in (
                ("expected_24h_rewards", hashrate * DAY_S * account.coins_per_hash(coin, now)),
                ("past_24h_rewards", past * account.coins_per_hash(coin, now)),
                ("total_rewards", account.credited(coin)),
                ("paid_rewards", account.paid(coin)),
                ("unpaid_rewards", round(account.credited(coin) - account.paid(coin), 8)),
            )
        }

    def _worker(self, worker: Worker) -> dict[str, Any]:
        now = self._account.now()
        work = worker.accepted_d1 / worker.accepted if worker.accepted else 0.0
        told: dict[str, Any] = {
            "connected": worker.online,
            "hash_rate": worker.hashrate_hs / _KILO,
            "hash_rate_24h": worker.hashrate_24h_hs / _KILO,
            "valid_shares": str(round(worker.accepted_d1)),
            "stale_shares": str(round(worker.stale * work)),
            "invalid_shares": str(round(worker.rejected * work)),
            "rewards_24h": worker.hashes_24h * self._account.coins_per_hash("litecoin", now),
            "rewards_24h_doge": worker.hashes_24h * self._account.coins_per_hash("dogecoin", now),
            "reset_time": int(worker.booted_at),
        }
        if worker.last_share_at is not None:
            told["last_share_time"] = int(worker.last_share_at)
        return told
