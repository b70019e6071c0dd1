"""The pool's side of a real router: registers snapshot procedures and publishes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tasks.pools.prohashing.session import joined
from tasks.pools.prohashing.settings import ProhashingWampSettings
from tasks.pools.prohashing.timing import Timing
from tests.prohashing.router.router import POOL_TICKET

KEY = "planted-5eb1f00d4711"
WORKERS = [
    {"uuid": "u1", "miner_name": "north_01", "algorithm_name": "Scrypt", "coin_name": "Litecoin",
     "hashrate": 9.5e9, "adjusted_hashrate": 9.4e9, "difficulty": 65536, "share_count": 12, "all_time_share_count": 99},
    {"uuid": "u2", "miner_name": "north_02", "algorithm_name": "SHA-256", "coin_name": "Bitcoin", "hashrate": 1e14},
]  # fmt: skip
PRICES = {
    "1": {"algorithm_name": "Scrypt", "usd": 0.0025, "btc": 2.5e-8, "server_id": 4},
    "2": {"algorithm_name": "SHA-256", "usd": "5e-8", "btc": None},
}
GENERAL = {"subscriptions_count": 3, "total_hashrate_computed_onlys": {"Scrypt": 9e12, "SHA-256": 6e16}}
BALANCES = {"Litecoin": 1.5, "Dogecoin": "300.25"}


class PoolSide:
    """Publishes to ``realm``; ``called`` has the snapshot procedures that were called, with their arguments."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.called: list[tuple[str, tuple[Any, ...]]] = []

    async def publish(self, topic: str, payload: Any) -> None:
        """Publish; the router has it when this returns."""
        from autobahn.wamp import types

        options: Any = types.PublishOptions
        await self._inner.publish(topic, payload, options=options(acknowledge=True))

    def publish_soon(self, topic: str, payload: Any) -> None:
        """Publish without waiting."""
        self._inner.publish(topic, payload)

    async def offer(self, procedure: str, answer: Any) -> None:
        """Register a procedure that answers ``answer``, or calls it."""

        def call(*arguments: Any) -> Any:
            self.called.append((procedure, arguments))
            return answer() if callable(answer) else answer

        await self._inner.register(call, procedure)

    async def offer_all(self) -> None:
        """Register the procedures of the pool's last interface."""
        await self.offer("f_all_miner_updates", WORKERS)
        await self.offer("f_all_profitability_updates", PRICES)
        await self.offer("f_all_general_updates", GENERAL)
        await self.offer("f_all_balance_updates", BALANCES)


@asynccontextmanager
async def pool_side(url: str, realm: str) -> AsyncIterator[PoolSide]:
    """The pool, joined to ``realm``; the router may need a moment after a restart."""
    settings = ProhashingWampSettings.model_validate(
        {"url": url, "realm": realm, "auth": "ticket", "auth_id": "pool", "auth_secret": POOL_TICKET}
    )
    async with asyncio.timeout(60), joined(settings, Timing(join_s=30)) as session:
        yield PoolSide(session._inner)
