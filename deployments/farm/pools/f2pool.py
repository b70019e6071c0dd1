"""F2Pool, version 2, as it documents itself: POST only, rates in place of shares, errors with status 200."""

from __future__ import annotations

from typing import Any

import msgspec

from deployments.farm.http import Request, Response, answer
from deployments.farm.markets.service import Service
from deployments.farm.pools.account import DAY_S, NAME, Account, Worker

_MINED = {"bitcoin": "sha256d", "bitcoin-cash": "sha256d", "litecoin": "scrypt"}


class FakeF2pool:
    """What it would answer; put it behind :meth:`service`."""

    def __init__(self, account: Account) -> None:
        self._account = account

    def service(self, port: int = 0) -> Service:
        """Where it can be asked."""
        return Service(self.respond, port=port)

    def respond(self, request: Request) -> Response:
        """The answer to ``request``."""
        if request.method != "POST":
            return _refusal(5001, "params: only POST is supported")
        if request.headers.get("f2p-api-secret") != self._account.key:
            return _refusal(5010, "permission: invalid token")
        try:
            asked = msgspec.json.decode(request.body, type=dict[str, Any])
        except msgspec.DecodeError:
            return _refusal(5001, "params: no JSON")
        coin = str(asked.get("currency"))
        if asked.get("mining_user_name") != NAME or _MINED.get(coin) != self._account.algorithm:
            return _refusal(5001, "params: mining_user_name or currency")
        match request.path:
            case "/hash_rate/info":
                workers = self._account.workers()
                rates = _rates(
                    NAME, sum(one.hashrate_hs for one in workers), sum(one.hashrate_24h_hs for one in workers)
                )
                return answer({"info": rates, "currency": coin})
            case "/hash_rate/worker/list":
                return answer({"workers": [_worker(one) for one in self._account.workers()]})
            case "/assets/balance":
                return answer({"balance_info": self._balance(coin)})
            case "/assets/transactions/list":
                return answer({"transactions": self._transactions(coin, asked)})
        return answer({"code": 404, "msg": "path: not found"}, 404)

    def _balance(self, coin: str) -> dict[str, float]:
        account = self._account
        settled, paid = account.settled(coin), account.paid(coin)
        yesterday = int(account.now()) // DAY_S * DAY_S - DAY_S
        return {
            "balance": round(settled - paid, 8),
            "paid": paid,
            "total_income": settled,
            "yesterday_income": account.daily(coin, yesterday),
            "estimated_today_income": round(account.credited(coin) - settled, 8),
        }

    def _transactions(self, coin: str, asked: dict[str, Any]) -> list[dict[str, Any]]:
        first, last = float(asked.get("start_time", 0)), float(asked.get("end_time", self._account.now()))
        account = self._account
        revenue = [
            {
                "id": day, "type": "revenue", "changed_balance": daily, "created_at": day + DAY_S + 900,
                "mining_extra": {
                    "mining_date": day, "settle_date": day + DAY_S, "pps": daily, "pps_fee_rate": account.fee,
                },
                "payout_extra": None,
            }
            for day in account.days(first - DAY_S, last)
            if first <= day + DAY_S + 900 <= last
            for daily in (account.daily(coin, day),)
        ]  # fmt: skip
        payouts = [
            {
                "id": day + 1, "type": "payout", "changed_balance": -daily, "created_at": at, "mining_extra": None,
                "payout_extra": {"value": daily, "address": "farm", "tx_id": f"{day:064x}", "paid_time": at, "tip": 0},
            }
            for day, at in account.payments(first, last)
            for daily in (account.daily(coin, day),)
        ]  # fmt: skip
        return [*revenue, *payouts]


def _rates(name: str, now: float, mean: float, stale_ratio: float = 0.001) -> dict[str, Any]:
    stale = mean * stale_ratio / (1.0 - stale_ratio)
    return {
        "name": name, "hash_rate": now, "h1_hash_rate": mean, "h24_hash_rate": mean,
        "h1_stale_hash_rate": stale, "h24_stale_hash_rate": stale, "h24_delay_hash_rate": 0.0, "local_hash_rate": 0.0,
        "h24_local_hash_rate": 0.0,
    }  # fmt: skip


def _worker(worker: Worker) -> dict[str, Any]:
    return {
        "hash_rate_info": _rates(worker.name, worker.hashrate_hs, worker.hashrate_24h_hs, worker.stale_ratio),
        "last_share_at": int(worker.last_share_at or 0),
        "status": 0 if worker.online else 1,
        "host": "127.0.0.1",
    }


def _refusal(code: int, message: str) -> Response:
    return answer({"code": code, "msg": message})
