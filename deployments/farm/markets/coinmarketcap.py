"""CoinMarketCap as it documents itself, over simulated prices: the endpoints that Lodeline asks, credits and errors."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

from deployments.farm.http import Request, Response, answer
from deployments.farm.markets.prices import all_market_cap_usd, change_percent, quote
from deployments.farm.markets.service import Service
from tasks.market.coins import COINS

_STATUS = {
    1001: 401, 1002: 401, 1003: 402, 1004: 402, 1005: 403, 1006: 403, 1007: 403, 1008: 429, 1009: 429, 1010: 429,
    1011: 429, 500: 500,
}  # fmt: skip
_RESULTS_A_CREDIT = 200
_HOUR_S = 3_600


class FakeCoinMarketCap:
    """What it would answer; put it behind :meth:`service`.

    ``error``: the code that every request is answered with; ``status`` in the place of the one that fits it, since some
    errors come with 200. ``prices``: USD by coin, in the place of the simulated ones. ``credits``: how many were taken.
    ``notice``: a word to all who ask, in errors too.
    """

    def __init__(self, *, key: str, clock: Callable[[], float] = time.time) -> None:
        self.key = key
        self.error: int | None = None
        self.status: int | None = None
        self.prices: dict[str, float | None] = {}
        self.notice: str | None = None
        self.credits = 0
        self._clock = clock

    def service(self, port: int = 0) -> Service:
        """Where it can be asked."""
        return Service(self.respond, port=port)

    def respond(self, request: Request) -> Response:
        """The answer to ``request``."""
        given = request.headers.get("x-cmc_pro_api_key")
        if given != self.key:
            return self._refusal(1002 if given is None else 1001)
        if self.error is not None:
            return self._refusal(self.error)
        query = {name: values[-1] for name, values in parse_qs(request.query).items()}
        at = self._clock() // 60 * 60
        if request.path == "/v1/cryptocurrency/listings/latest":
            return self._listings(int(query.get("limit", "100")), at)
        if request.path == "/v1/global-metrics/quotes/latest":
            return self._envelope(_totals(at), 1)
        return answer({"statusCode": 404, "error": "Not Found", "message": "Not Found"}, 404)

    def _listings(self, limit: int, at: float) -> Response:
        listed = sorted(
            (coin for coin in COINS.values() if coin.coinmarketcap is not None),
            key=lambda coin: -quote(coin.id, at).market_cap_usd,
        )
        entries = [
            {
                "id": coin.coinmarketcap, "name": coin.name, "symbol": coin.symbol, "slug": coin.id, "cmc_rank": rank,
                "num_market_pairs": 100, "circulating_supply": quote(coin.id, at).supply, "max_supply": None,
                "date_added": "2013-04-28T00:00:00.000Z", "tags": ["mineable"], "platform": None,
                "last_updated": _iso(at), "tvl_ratio": None,
                "quote": {"USD": {
                    "price": self.prices.get(coin.id, quote(coin.id, at).price_usd),
                    "volume_24h": quote(coin.id, at).volume_24h_usd, "volume_change_24h": 0.0,
                    "percent_change_1h": change_percent(coin.id, at, _HOUR_S),
                    "percent_change_24h": change_percent(coin.id, at, 24 * _HOUR_S),
                    "percent_change_7d": change_percent(coin.id, at, 7 * 24 * _HOUR_S),
                    "market_cap": quote(coin.id, at).market_cap_usd, "market_cap_dominance": 0.0,
                    "fully_diluted_market_cap": quote(coin.id, at).market_cap_usd, "last_updated": _iso(at),
                }},
            }
            for rank, coin in enumerate(listed[:limit], 1)
        ]  # fmt: skip
        return self._envelope(entries, -(-limit // _RESULTS_A_CREDIT))

    def _envelope(self, data: Any, credits_taken: int) -> Response:
        self.credits += credits_taken
        return answer({"data": data, "status": self._said(0, None, credits_taken)})

    def _refusal(self, code: int) -> Response:
        said = self._said(code, self.notice or f"This is what error {code} says.", 0)
        return answer({"status": said}, _STATUS[code] if self.status is None else self.status)

    def _said(self, code: int, message: str | None, credits_taken: int) -> dict[str, Any]:
        return {
            "timestamp": _iso(self._clock()), "error_code": code, "error_message": message, "elapsed": 10,
            "credit_count": credits_taken, "notice": self.notice,
        }  # fmt: skip


def _totals(at: float) -> dict[str, Any]:
    cap = all_market_cap_usd(at)
    return {
        "active_cryptocurrencies": 9_000, "total_cryptocurrencies": 30_000, "active_market_pairs": 90_000,
        "active_exchanges": 700, "total_exchanges": 9_000,
        "btc_dominance": quote("bitcoin", at).market_cap_usd / cap * 100,
        "eth_dominance": quote("ethereum", at).market_cap_usd / cap * 100,
        "last_updated": _iso(at),
        "quote": {"USD": {"total_market_cap": cap, "total_volume_24h": cap / 20, "last_updated": _iso(at)}},
    }  # fmt: skip


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
