"""WhatToMine, as far as Lodeline asks it: all coins that ASICs mine; numbers as text, as numbers, and as money."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from deployments.farm.http import Request, Response, answer
from deployments.farm.markets.networks import network
from deployments.farm.markets.prices import quote
from deployments.farm.markets.service import Service
from tasks.market.coins import COINS, Coin

_SPELT = {"sha256d": "SHA-256", "scrypt": "Scrypt", "x11": "X11", "equihash": "Equihash"}
_LISTED = [coin for coin in COINS.values() if coin.algorithm in _SPELT]


class FakeWhatToMine:
    """What it would answer; put it behind :meth:`service`."""

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock

    def service(self, port: int = 0) -> Service:
        """Where it can be asked."""
        return Service(self.respond, port=port)

    def respond(self, request: Request) -> Response:
        """The answer to ``request``."""
        if request.path != "/asic.json":
            return Response(404, b"<html><body>404</body></html>", "text/html")
        at = self._clock()
        rented = {
            "id": 161, "tag": "NICEHASH", "algorithm": "Scrypt", "block_time": 1, "block_reward": 1, "last_block": 0,
            "difficulty": 1, "nethash": 1, "exchange_rate": 1e-5, "market_cap": "$0", "timestamp": int(at),
        }  # fmt: skip
        listed = {coin.name.replace(" ", ""): _entry(number, coin, at) for number, coin in enumerate(_LISTED, 1)}
        return answer({"coins": {"Nicehash-Scrypt": rented, **listed}})


def _entry(number: int, coin: Coin, at: float) -> dict[str, Any]:
    chain, bitcoin = network(coin.id, at), quote("bitcoin", at).price_usd
    told = quote(coin.id, at)
    return {
        "id": number, "tag": coin.symbol, "algorithm": _SPELT[coin.algorithm or ""],
        "block_time": f"{chain.block_time_s:.1f}", "block_reward": chain.reward, "block_reward24": chain.reward,
        "last_block": chain.height, "difficulty": chain.difficulty, "difficulty24": chain.difficulty,
        "nethash": int(chain.hashrate_hs), "exchange_rate": round(told.price_usd / bitcoin, 12),
        "exchange_rate_curr": "BTC", "exchange_rate_vol": told.volume_24h_usd / bitcoin,
        "market_cap": f"${told.market_cap_usd:,.0f}", "estimated_rewards": f"{chain.reward * 1.5:,.5f}",
        "btc_revenue": "0.00001", "profitability": 100, "lagging": False, "timestamp": int(at) - 30,
    }  # fmt: skip
