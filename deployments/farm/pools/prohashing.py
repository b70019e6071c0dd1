"""Prohashing as it last answered over HTTP, and in the documented form. Numbers are text or null, errors enveloped."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import parse_qs

from deployments.farm.http import Request, Response, answer
from deployments.farm.markets.earnings import usd_per_hash
from deployments.farm.markets.prices import quote
from deployments.farm.markets.service import Service
from deployments.farm.pools.account import DAY_S, Account

Form = Literal["envelope", "documented"]

_MEGA = 1e6
_CALLED = {"scrypt": ("1", "Scrypt", 3333), "sha256d": ("2", "SHA-256", 3335), "x11": ("4", "X11", 3339)}
_COINS = {"scrypt": ("LTC", "Litecoin", "litecoin"), "sha256d": ("BTC", "Bitcoin", "bitcoin")}


class FakeProhashing:
    """What it would answer; put it behind :meth:`service`.

    ``form``: how it answers; ``factor``: ``mbtc_mh_factor``, in H/s; ``multiple``: of all prices.
    """

    def __init__(self, account: Account, *, form: Form = "envelope") -> None:
        self._account = account
        self.form: Form = form
        self.factor = 1_000_000.0
        self.multiple = 1.0
        self.connected = True

    def service(self, port: int = 0) -> Service:
        """Where it can be asked."""
        return Service(self.respond, port=port)

    def respond(self, request: Request) -> Response:
        """The answer to ``request``."""
        path = request.path.removeprefix("/api/v1")
        documented = self.form == "documented"
        if path == "/status":
            return answer(self._connection()) if documented else _enveloped(self._algorithms())
        if path == "/profitability" and documented:
            return answer(self.pushed())
        if path in ("/wallet", "/walletEx") and not documented:
            query = parse_qs(request.query)
            if query.get("apiKey") != [self._account.key]:
                return answer({"status": "error", "code": 400, "message": "Invalid API key"})
            return _enveloped(self._wallet(with_miners=path == "/walletEx"))
        return Response(404, b"<!DOCTYPE html><html>Not found</html>", "text/html")

    def prices(self) -> dict[str, float]:
        """USD per MH/s and day, by algorithm."""
        now = self._account.now()
        return {algorithm: usd_per_hash(algorithm, now) * _MEGA * DAY_S * self.multiple for algorithm in _CALLED}

    def btc_usd(self) -> float:
        """Price of a bitcoin that it reckons with."""
        return quote("bitcoin", self._account.now()).price_usd

    def pushed(self) -> dict[str, Any]:
        """Prices as they are pushed over WAMP: USD per MH/s and day."""
        now, bitcoin = self._account.now(), self.btc_usd()
        return {
            _CALLED[algorithm][0]: {
                "algorithm_name": _CALLED[algorithm][1], "usd": usd, "btc": usd / bitcoin, "max_usd": usd * 2,
                "max_btc": usd * 2 / bitcoin, "percentile_usd": usd * 0.95, "percentile_btc": usd * 0.95 / bitcoin,
                "data_timestamp": now - 3.0, "server_timestamp": now, "server_id": 4,
            }
            for algorithm, usd in self.prices().items()
        }  # fmt: skip

    def _connection(self) -> dict[str, Any]:
        updated = datetime.fromtimestamp(self._account.now(), UTC).isoformat(timespec="seconds")
        return {"connected": self.connected, "updating": self.connected, "lastUpdates": {"profitability": updated}}

    def _algorithms(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for algorithm, usd in self.prices().items():
            _, name, port = _CALLED[algorithm]
            estimate = usd / self.btc_usd() * self.factor / _MEGA
            found[name.lower()] = {
                "name": name.lower(), "port": port, "coins": 12, "hashrate": "9000000000000",
                "estimate_current": f"{estimate * 40:.16f}", "estimate_last24h": f"{estimate:.16f}",
                "actual_last24h": None if algorithm == "x11" else f"{estimate:.16f}",
                "mbtc_mh_factor": f"{self.factor:.0f}", "pps_fee": "0.0499", "pplns_fee": "0.0399", "solo_fee": None,
            }  # fmt: skip
        return found

    def _wallet(self, *, with_miners: bool) -> dict[str, Any]:
        account = self._account
        symbol, name, coin = _COINS[account.algorithm]
        paid, credited = account.paid(coin), account.credited(coin)
        unpaid = f"{credited - paid:.8f}"
        today = sum(account.daily(coin, day) for day, _ in account.payments(account.now() - DAY_S, account.now()))
        wallet: dict[str, Any] = {
            "balances": {
                symbol: {
                    "name": name, "abbreviation": symbol, "balance": unpaid, "unpaid": unpaid,
                    "paid24h": f"{today:.8f}",
                    "payoutThreshold": "0.01", "total": f"{credited:.8f}", "paid": f"{paid:.8f}",
                }
            }
        }  # fmt: skip
        online = [one for one in account.workers() if one.online]
        if with_miners and online:  # the field is absent when all are offline
            wallet["miners"] = [
                {
                    "ID": one.name, "algo": _CALLED[account.algorithm][1], "coin": name,
                    "accepted": f"{one.hashrate_hs:.0f}", "difficulty": "65536", "minRestartDelay": 60,
                    "workRestartPenalty": None,
                }
                for one in online
            ]  # fmt: skip
        return wallet


def _enveloped(data: Any) -> Response:
    return answer({"status": "success", "code": 200, "data": data})
