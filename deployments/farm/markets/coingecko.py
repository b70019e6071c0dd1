"""CoinGecko v3 as it documents itself, over simulated prices: the endpoints that Lodeline asks, and their errors.

Documented traps that it keeps: ids it does not know are left out, prices are renewed once a minute, a history's last
point is *now*, and errors have three forms.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

from deployments.farm.http import Request, Response, answer
from deployments.farm.markets.prices import change_percent, quote
from deployments.farm.markets.service import Service
from tasks.market.coins import COINS

KEY_HEADERS = ("x-cg-demo-api-key", "x-cg-pro-api-key")
_RENEWED_S = 60
_DAY_S = 86_400
_MESSAGES = {
    429: "You've exceeded the Rate Limit. Please visit the pricing page to subscribe to higher rate limits.",
    10002: "API Key Missing",
    10005: "You may not have access to this endpoint",
    10010: "Invalid API key usage: use another root URL",
    10011: "Invalid API key usage: use another root URL",
    10012: "Your request exceeds the allowed time range",
}


class FakeCoinGecko:
    """What it would answer; put it behind :meth:`service`.

    ``key``: refused without it; None: keyless. ``error``: the code that every request is answered with. ``prices``:
    USD by coin, in the place of the simulated ones; None there is a null. ``now_s`` is the clock.
    """

    def __init__(self, *, key: str | None = None, clock: Callable[[], float] = time.time) -> None:
        self.key = key
        self.error: int | None = None
        self.prices: dict[str, float | None] = {}
        self._clock = clock

    def service(self, port: int = 0) -> Service:
        """Where it can be asked."""
        return Service(self.respond, port=port)

    def respond(self, request: Request) -> Response:
        """The answer to ``request``."""
        given = next((request.headers[name] for name in KEY_HEADERS if name in request.headers), None)
        if self.error is not None:
            return _refusal(self.error)
        if self.key is not None and given != self.key:
            return _refusal(10002 if given is None else 10011)
        query = {name: values[-1] for name, values in parse_qs(request.query).items()}
        at = self._clock() // _RENEWED_S * _RENEWED_S
        if request.path == "/simple/price":
            return self._simple_price(query, at)
        if request.path == "/coins/markets":
            return self._markets(query, at)
        if request.path.startswith("/coins/") and request.path.endswith("/market_chart"):
            return self._market_chart(request.path.split("/")[2], query)
        return answer({"error": "Not found"}, 404)

    def _price(self, coin: str, at: float) -> float | None:
        return self.prices[coin] if coin in self.prices else quote(coin, at).price_usd

    def _simple_price(self, query: dict[str, str], at: float) -> Response:
        if "vs_currencies" not in query:
            return answer({"error": "Missing parameter vs_currencies"}, 422)
        found: dict[str, dict[str, Any]] = {}
        for coin in query.get("ids", "").split(","):
            if coin not in COINS:
                continue
            entry: dict[str, Any] = {}
            for currency in query["vs_currencies"].split(","):
                price, unit = self._price(coin, at), quote("bitcoin", at).price_usd if currency == "btc" else 1.0
                entry[currency] = None if price is None else price / unit
                if query.get("include_market_cap") == "true":
                    entry[f"{currency}_market_cap"] = quote(coin, at).market_cap_usd / unit
                if query.get("include_24hr_vol") == "true":
                    entry[f"{currency}_24h_vol"] = quote(coin, at).volume_24h_usd / unit
                if query.get("include_24hr_change") == "true":
                    entry[f"{currency}_24h_change"] = change_percent(coin, at, _DAY_S)
            if query.get("include_last_updated_at") == "true":
                entry["last_updated_at"] = int(at)
            found[coin] = entry
        return answer(found)

    def _markets(self, query: dict[str, str], at: float) -> Response:
        if query.get("vs_currency") != "usd":
            return answer({"error": "invalid vs_currency"}, 422)
        if not 1 <= int(query.get("per_page", "100")) <= 250:
            return answer({"error": "invalid per_page"}, 422)
        entries = []
        for rank, coin in enumerate((coin for coin in query.get("ids", "").split(",") if coin in COINS), 1):
            true, price = quote(coin, at), self._price(coin, at)
            entries.append({
                "id": coin, "symbol": COINS[coin].symbol.lower(), "name": COINS[coin].name,
                "image": "https://images.invalid/coin.png", "current_price": price,
                "market_cap": round(true.market_cap_usd), "market_cap_rank": rank,
                "fully_diluted_valuation": round(true.market_cap_usd), "total_volume": true.volume_24h_usd,
                "high_24h": price, "low_24h": price, "price_change_24h": 0.0,
                "price_change_percentage_24h": change_percent(coin, at, _DAY_S), "circulating_supply": true.supply,
                "total_supply": true.supply, "max_supply": None, "roi": None,
                "last_updated": datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
                **{
                    f"price_change_percentage_{name}_in_currency": change_percent(coin, at, seconds)
                    for name, seconds in (("1h", 3_600), ("24h", _DAY_S), ("7d", 7 * _DAY_S))
                    if name in query.get("price_change_percentage", "").split(",")
                },
            })  # fmt: skip
        return answer(entries)

    def _market_chart(self, coin: str, query: dict[str, str]) -> Response:
        if coin not in COINS:
            return answer({"error": "coin not found"}, 404)
        days, now = int(query["days"]), self._clock()
        if days > 365:
            return _refusal(10012)
        midnight = int(now // _DAY_S * _DAY_S)
        times = [float(midnight - day * _DAY_S) for day in reversed(range(days))] + [now]
        true = [(int(at * 1000), quote(coin, at)) for at in times]
        return answer({
            "prices": [[at, one.price_usd] for at, one in true],
            "market_caps": [[at, one.market_cap_usd] for at, one in true],
            "total_volumes": [[at, one.volume_24h_usd] for at, one in true],
        })  # fmt: skip


def _refusal(code: int) -> Response:
    status = {"error_code": code, "error_message": _MESSAGES[code]}
    if code == 429:
        return answer({"status": status}, 429)
    return answer({"error": {"status": {"timestamp": "2026-01-01T00:00:00.000+00:00", **status}}}, 401)
