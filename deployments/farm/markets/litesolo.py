"""litesolo.org, as far as Lodeline asks it: Litecoin and Dogecoin in one answer."""

from __future__ import annotations

import time
from collections.abc import Callable

from deployments.farm.http import Request, Response, answer
from deployments.farm.markets.networks import network
from deployments.farm.markets.service import Service
from tasks.market.coins import COINS

_FEE = 0.01


class FakeLitesolo:
    """What it would answer; put it behind :meth:`service`. ``chains``: coins in the place of both."""

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self.chains = ["litecoin", "dogecoin"]
        self._clock = clock

    def service(self, port: int = 0) -> Service:
        """Where it can be asked."""
        return Service(self.respond, port=port)

    def respond(self, request: Request) -> Response:
        """The answer to ``request``."""
        if request.path != "/api/v1/chains":
            return Response(404, b"Not Found", "text/plain")
        now = {coin_id: network(coin_id, self._clock()) for coin_id in self.chains}
        return answer(
            {
                COINS[coin_id].symbol: {
                    "height": chain.height, "hash_rate": int(chain.hashrate_hs), "difficulty": chain.difficulty,
                    "subsidy": chain.reward, "fee": _FEE,
                }
                for coin_id, chain in now.items()
            }
        )  # fmt: skip
