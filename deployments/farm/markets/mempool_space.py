"""mempool.space, as far as Lodeline asks it: Bitcoin's hashrate and its way to the next difficulty."""

from __future__ import annotations

import time
from collections.abc import Callable

from deployments.farm.http import Request, Response, answer
from deployments.farm.markets.networks import network
from deployments.farm.markets.service import Service

_DAY_S = 86_400
_PERIOD = 2_016


class FakeMempoolSpace:
    """What it would answer; put it behind :meth:`service`."""

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock

    def service(self, port: int = 0) -> Service:
        """Where it can be asked."""
        return Service(self.respond, port=port)

    def respond(self, request: Request) -> Response:
        """The answer to ``request``."""
        at = self._clock()
        bitcoin = network("bitcoin", at)
        if request.path == "/api/v1/mining/hashrate/3d":
            days = [int(at // _DAY_S - before) * _DAY_S for before in (3, 2, 1)]
            return answer(
                {
                    "hashrates": [
                        {"timestamp": day, "avgHashrate": network("bitcoin", day).hashrate_hs} for day in days
                    ],
                    "difficulty": [
                        {"time": days[0], "height": bitcoin.height - _PERIOD + bitcoin.blocks_left,
                         "difficulty": bitcoin.difficulty, "adjustment": 1.01},
                    ],
                    "currentHashrate": bitcoin.hashrate_hs,
                    "currentDifficulty": bitcoin.difficulty,
                }
            )  # fmt: skip
        if request.path == "/api/v1/difficulty-adjustment":
            left_ms = int(bitcoin.blocks_left * bitcoin.block_time_s * 1000)
            return answer(
                {
                    "progressPercent": 100.0 * (1 - bitcoin.blocks_left / _PERIOD), "difficultyChange": 0.5,
                    "estimatedRetargetDate": int(at * 1000) + left_ms, "remainingBlocks": bitcoin.blocks_left,
                    "remainingTime": left_ms, "previousRetarget": 1.0, "previousTime": int(at) - _DAY_S,
                    "nextRetargetHeight": bitcoin.height + bitcoin.blocks_left,
                    "timeAvg": int(bitcoin.block_time_s * 1000), "adjustedTimeAvg": int(bitcoin.block_time_s * 1000),
                    "timeOffset": 0, "expectedBlocks": float(_PERIOD - bitcoin.blocks_left),
                }
            )  # fmt: skip
        return Response(404, b"Not Found", "text/plain")
