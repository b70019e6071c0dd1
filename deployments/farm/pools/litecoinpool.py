"""litecoinpool.org as its clients see it: everything in one answer, hashrates in kH/s, work as text."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

from deployments.farm.http import Request, Response, answer
from deployments.farm.markets.service import Service
from deployments.farm.pools.account import DAY_S, NAME, Account, Worker

_KILO = 1e3
_DIFFICULTY = 8.7e7
_BLOCK_S = 150
_REWARD = 6.25
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
        workers = self._account.workers()
        now = self._account.now()
        payouts = {
            f"recent_payouts{suffix}": [
                {"time": at, "amount": self._account.daily(coin)}
                for _, at in self._account.payments(now - 7 * DAY_S, now)
            ]
            for coin, suffix in _COINS
        }
        return answer({
            "user": {"hash_rate": sum(one.hashrate_hs for one in workers) / _KILO, **self._money(), "blocks_found": 0},
            "workers": {f"{NAME}.{one.name}": self._worker(one, workers) for one in workers},
            "pool": {
                "hash_rate": 2.4e10, "active_users": 9000, "total_work": "145016027186199134208", "pps_ratio": 1.0,
                "pps_rate": _REWARD / (_DIFFICULTY * _SHARE), "pps_rate_avg_doge": 2.5e-4 / _SHARE,
            },
            "network": {
                "hash_rate": _DIFFICULTY * 2**32 / _BLOCK_S / _KILO, "block_number": 3_100_000,
                "time_per_block": _BLOCK_S, "difficulty": _DIFFICULTY, "next_difficulty": _DIFFICULTY * 1.01,
                "retarget_time": 78_852,
            },
            **payouts,
            "market": {"ltc_usd": 90.0, "doge_usd": 0.2, "btc_usd": 100_000.0},
        })  # fmt: skip

    def _money(self) -> dict[str, float]:
        return {
            name + suffix: value
            for coin, suffix in _COINS
            for name, value in (
                ("expected_24h_rewards", self._account.daily(coin)),
                ("past_24h_rewards", self._account.daily(coin)),
                ("total_rewards", self._account.credited(coin)),
                ("paid_rewards", self._account.paid(coin)),
                ("unpaid_rewards", round(self._account.credited(coin) - self._account.paid(coin), 8)),
            )
        }

    def _worker(self, worker: Worker, workers: list[Worker]) -> dict[str, Any]:
        work = worker.accepted_d1 / worker.accepted if worker.accepted else 0.0
        told: dict[str, Any] = {
            "connected": worker.online,
            "hash_rate": worker.hashrate_hs / _KILO,
            "hash_rate_24h": worker.hashrate_mean_hs / _KILO,
            "valid_shares": str(round(worker.accepted_d1)),
            "stale_shares": str(round(worker.stale * work)),
            "invalid_shares": str(round(worker.rejected * work)),
            "rewards_24h": self._account.daily("litecoin") / len(workers),
            "rewards_24h_doge": self._account.daily("dogecoin") / len(workers),
            "reset_time": int(worker.booted_at),
        }
        if worker.last_share_at is not None:
            told["last_share_time"] = int(worker.last_share_at)
        return told
