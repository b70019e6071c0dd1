"""minerstat, as far as Lodeline asks it: coins by ticker behind a key, with -1 for what it does not know."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

from deployments.farm.http import Request, Response, answer
from deployments.farm.markets.networks import network
from deployments.farm.markets.prices import quote
from deployments.farm.markets.service import Service
from tasks.market.coins import COINS, Coin

_SPELT = {"sha256d": "SHA-256", "scrypt": "Scrypt", "x11": "X11"}


class FakeMinerstat:
    """What it would answer; put it behind :meth:`service`.

    ``quota``: requests that the plan has left; ``unknown``: ids of coins of which it knows nothing but the name.
    """

    def __init__(self, *, key: str, clock: Callable[[], float] = time.time) -> None:
        self.key = key
        self.quota = 1_000_000
        self.unknown: set[str] = set()
        self._clock = clock

    def service(self, port: int = 0) -> Service:
        """Where it can be asked."""
        return Service(self.respond, port=port)

    def respond(self, request: Request) -> Response:
        """The answer to ``request``."""
        if request.headers.get("x-api-key") != self.key:
            return answer({"error": "Invalid API key."}, 401)
        if request.path != "/v2/coins":
            return answer({"error": "Not found."}, 404)
        if self.quota < 1:
            return answer({"error": "Quota reached."}, 402)
        self.quota -= 1
        wanted = parse_qs(request.query).get("list", [""])[-1].split(",")
        coins = [coin for coin in COINS.values() if coin.symbol in wanted and coin.algorithm in _SPELT]
        return answer([self._entry(coin) for coin in coins])

    def _entry(self, coin: Coin) -> dict[str, Any]:
        at = self._clock()
        chain, price = network(coin.id, at), quote(coin.id, at)
        named = {
            "id": f"{coin.id:0>40}", "coin": coin.symbol, "name": coin.name, "type": "coin",
            "algorithm": _SPELT[coin.algorithm or ""], "reward_unit": coin.symbol, "updated": int(at) - 45,
        }  # fmt: skip
        figures = {
            "network_hashrate": int(chain.hashrate_hs), "difficulty": chain.difficulty,
            "reward": 3_600 * chain.reward / (chain.difficulty * 2**32), "reward_block": chain.reward,
            "price": price.price_usd, "volume": price.volume_24h_usd,
        }  # fmt: skip
        return {**named, **(dict.fromkeys(figures, -1) if coin.id in self.unknown else figures)}
