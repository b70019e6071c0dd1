"""Mining-Dutch as it documents itself: a status of algorithms, actions in wrappers, a limit told with status 200."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs
from zoneinfo import ZoneInfo

from deployments.farm.http import Request, Response, answer
from deployments.farm.markets.earnings import usd_per_hash
from deployments.farm.markets.prices import quote
from deployments.farm.markets.service import Service
from deployments.farm.pools.account import DAY_S, Account

_MEGA = 1e6
_COINS = {"litecoin": "scrypt", "dogecoin": "scrypt", "bitcoin": "sha256d"}
_CLOCK = ZoneInfo("Europe/Amsterdam")


class FakeMiningDutch:
    """What it would answer; put it behind :meth:`service`. ``too_fast``: every request is answered with the limit."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self.too_fast = False

    def service(self, port: int = 0) -> Service:
        """Where it can be asked."""
        return Service(self.respond, port=port)

    def respond(self, request: Request) -> Response:
        """The answer to ``request``."""
        if self.too_fast:
            return answer({"message": "Only 1 request every 5 seconds allowed"})
        if request.path == "/api/status":
            return answer(self._status())
        query = {name: values[-1] for name, values in parse_qs(request.query).items()}
        if query.get("api_key") != self._account.key:
            return Response(401, b"Access denied", "text/html")
        coin = request.path.removeprefix("/pools/").removesuffix(".php")
        if _COINS.get(coin) != self._account.algorithm:
            return Response(404, b"<html>Not found</html>", "text/html")
        action = query.get("action", "")
        data = self._data(coin, action)
        return answer({action: {"version": "1.0.0", "runtime": 2.5, "data": data}})

    def _data(self, coin: str, action: str) -> Any:
        account = self._account
        match action:
            case "getuserworkers":
                return {
                    "miners": [
                        {
                            "username": one.name, "nowMining": coin, "mergedMining": 0, "mode": "PPS",
                            "alive": int(one.online), "hashrate": f"{one.hashrate_hs / _MEGA:.6f}",
                            "lastshare": int(one.last_share_at or 0), "difficulty": "4096",
                        }
                        for one in account.workers()
                    ]
                }  # fmt: skip
            case "getuserbalance":
                unpaid = account.settled(coin) - account.paid(coin)
                return {"confirmed": f"{unpaid:.8f}", "unconfirmed": "0", "orphaned": "0"}
            case "getusertransactions":
                now = account.now()
                credits = [
                    {
                        "id": str(day), "type": "Credit", "amount": f"{account.daily(coin, day):.8f}",
                        "timestamp": _local(day + DAY_S),
                    }
                    for day in account.days(now - 7 * DAY_S, now)
                ]  # fmt: skip
                debits = [
                    {
                        "id": day + 1, "type": "Debit_AC", "amount": f"-{account.daily(coin, day):.8f}",
                        "timestamp": _local(at), "txid": f"{day:064x}",
                    }
                    for day, at in account.payments(now - 7 * DAY_S, now)
                ]  # fmt: skip
                return {"transactions": [*credits, *debits]}
        return None

    def _status(self) -> dict[str, Any]:
        """What algorithms pay: BTC a day for ``mbtc_mh_factor`` MH/s."""
        now = self._account.now()
        bitcoin = quote("bitcoin", now).price_usd
        return {
            algorithm: {
                "name": algorithm.removesuffix("d"), "port": port, "coins": 4, "fees": 100 * self._account.fee,
                "hashrate": hashrate, "workers": "329", "estimate_current": estimate, "estimate_last24h": estimate,
                "actual_last24h": estimate, "mbtc_mh_factor": factor,
            }
            for algorithm, port, hashrate, factor in (
                ("scrypt", 8888, "9000000000000", 1),
                ("sha256d", 9996, "60000000000000000", 1_000_000),
            )
            for estimate in (f"{usd_per_hash(algorithm, now) * _MEGA * factor * DAY_S / bitcoin:.16f}",)
        }  # fmt: skip


def _local(time: int) -> str:
    return datetime.fromtimestamp(time, UTC).astimezone(_CLOCK).strftime("%Y-%m-%d %H:%M:%S")
