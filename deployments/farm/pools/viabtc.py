"""ViaBTC as it documents itself: numbers as text, codes in answers of status 200, pages of two shapes."""

from __future__ import annotations

import zlib
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

from deployments.farm.http import Request, Response, answer
from deployments.farm.markets.service import Service
from deployments.farm.pools.account import DAY_S, NAME, Account, Worker

_COINS = {"LTC": ("litecoin", "scrypt"), "BTC": ("bitcoin", "sha256d")}
_REWARDS = {"DOGE": ("dogecoin", "scrypt")}


class FakeViabtc:
    """What it would answer; put it behind :meth:`service`. ``code``: what every request is refused with."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self.code: int | None = None

    def service(self, port: int = 0) -> Service:
        """Where it can be asked."""
        return Service(self.respond, port=port)

    def respond(self, request: Request) -> Response:
        """The answer to ``request``."""
        if self.code is not None:
            return _refusal(self.code, "as told")
        if request.headers.get("x-api-key") != self._account.key:
            return _refusal(12001, "Invalid api key")
        query = {name: values[-1] for name, values in parse_qs(request.query).items()}
        if request.path == "/account":
            return _fine(self._owner())
        symbol = query.get("coin", "")
        coin, algorithm = ((_COINS | _REWARDS) if "history" in request.path else _COINS).get(symbol, ("", ""))
        if algorithm != self._account.algorithm:
            return _refusal(5001, "Invalid coin type")
        match request.path:
            case "/hashrate":
                return _fine(self._hashrate(symbol))
            case "/hashrate/worker":
                workers = [_worker(one, symbol) for one in self._account.workers()]
                return _fine(_page(workers, query))
            case "/profit":
                return _fine({"coin": symbol, **_profit(self._account.settled(coin))})
            case "/profit/history" | "/reward/history":
                if (symbol in _REWARDS) != (request.path == "/reward/history"):
                    return _refusal(5001, "Invalid coin type")
                days = self._account.days(_time(query["start_date"]), _time(query["end_date"]))
                listed = [
                    {"coin": symbol, "date": _date(day), **_profit(self._account.daily(coin, day))} for day in days
                ]
                return _fine(_page(listed, query))
            case "/wallet/payment/history":
                page = _page(self._payments(coin, symbol, query), query)
                return answer({"code": 0, "message": "OK", **page})
        return _refusal(2, "Invalid argument")

    def _owner(self) -> dict[str, Any]:
        balance = [
            {"coin": symbol, "amount": f"{self._account.settled(coin) - self._account.paid(coin):.8f}"}
            for symbol, (coin, algorithm) in (_COINS | _REWARDS).items()
            if algorithm == self._account.algorithm
        ]
        return {
            "account": {"id": 45, "account": NAME, "email": "owner@farm.invalid"},
            "observer": [],
            "withdraw_address": [],
            "balance": balance,
        }

    def _hashrate(self, symbol: str) -> dict[str, Any]:
        workers = self._account.workers()
        active = sum(one.online for one in workers)
        return {
            "coin": symbol,
            "active_workers": active,
            "unactive_workers": len(workers) - active,
            "hashrate_10min": _text(sum(one.hashrate_hs for one in workers)),
            "hashrate_1hour": _text(sum(one.hashrate_hs for one in workers)),
            "hashrate_24hour": _text(sum(one.hashrate_24h_hs for one in workers)),
        }

    def _payments(self, coin: str, symbol: str, query: dict[str, str]) -> list[dict[str, Any]]:
        paid = self._account.payments(_time(query["start_date"]), _time(query["end_date"]) + DAY_S)
        return [
            {
                "id": day // DAY_S, "coin": symbol, "amount": f"{self._account.daily(coin, day):.8f}",
                "address": "farm", "tx": f"{day:064x}", "create_time": at,
            }
            for day, at in paid
        ]  # fmt: skip


def _worker(worker: Worker, symbol: str) -> dict[str, Any]:
    return {
        "coin": symbol,
        "group_id": None,
        "group_name": None,
        "worker_id": zlib.crc32(worker.name.encode()),
        "worker_name": worker.name,
        "hashrate_10min": _text(worker.hashrate_hs),
        "hashrate_1hour": _text(worker.hashrate_hs),
        "hashrate_24hour": _text(worker.hashrate_24h_hs),
        "reject_rate": f"{worker.refused_ratio_24h:.4f}",
        "last_active": int(worker.last_share_at or 0),
        "worker_status": "active" if worker.online else "unactive",
    }


def _profit(amount: float) -> dict[str, str]:
    return {"pps_profit": f"{amount:.8f}", "pplns_profit": "0", "solo_profit": "0", "total_profit": f"{amount:.8f}"}


def _page(listed: list[dict[str, Any]], query: dict[str, str]) -> dict[str, Any]:
    page, limit = int(query.get("page", "1")), int(query.get("limit", "20"))
    shown = listed[(page - 1) * limit : page * limit]
    return {
        "count": len(shown),
        "curr_page": page,
        "data": shown,
        "has_next": page * limit < len(listed),
        "total": len(listed),
        "total_page": -(-len(listed) // limit),
    }


def _fine(data: dict[str, Any]) -> Response:
    return answer({"code": 0, "data": data, "message": "OK"})


def _refusal(code: int, message: str) -> Response:
    return answer({"code": code, "data": {}, "message": message})


def _text(value: float) -> str:
    return str(round(value))


def _date(time: int) -> str:
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d")


def _time(date: str) -> float:
    return datetime.strptime(date, "%Y-%m-%d").replace(tzinfo=UTC).timestamp()
