"""blockchain.info, as far as Lodeline asks it: Bitcoin's statistics, in GH/s, satoshi, minutes and milliseconds."""

from __future__ import annotations

import time
from collections.abc import Callable

from deployments.farm.http import Request, Response, answer
from deployments.farm.markets.networks import network
from deployments.farm.markets.prices import quote
from deployments.farm.markets.service import Service

_BLOCKS_A_DAY = 144
_SATOSHI = 100_000_000


class FakeBlockchainInfo:
    """What it would answer; put it behind :meth:`service`."""

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock

    def service(self, port: int = 0) -> Service:
        """Where it can be asked."""
        return Service(self.respond, port=port)

    def respond(self, request: Request) -> Response:
        """The answer to ``request``."""
        if request.path != "/stats":
            return Response(404, b"Not Found", "text/plain")
        at = self._clock()
        bitcoin, price = network("bitcoin", at), quote("bitcoin", at).price_usd
        mined = _BLOCKS_A_DAY * bitcoin.reward
        return answer(
            {
                "timestamp": int(at // 60 * 60_000), "market_price_usd": round(price, 2),
                "hash_rate": bitcoin.hashrate_hs / 1e9, "difficulty": bitcoin.difficulty,
                "minutes_between_blocks": bitcoin.block_time_s / 60, "n_blocks_total": bitcoin.height,
                "n_blocks_mined": _BLOCKS_A_DAY, "n_btc_mined": int(mined * _SATOSHI),
                "total_fees_btc": int(mined * _SATOSHI / 50), "totalbc": int(quote("bitcoin", at).supply * _SATOSHI),
                "miners_revenue_usd": mined * price, "miners_revenue_btc": mined,
                "nextretarget": bitcoin.height + bitcoin.blocks_left, "trade_volume_usd": 0, "trade_volume_btc": 0,
            }
        )  # fmt: skip
