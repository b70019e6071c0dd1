"""Which pools the configuration asks for, their budgets, and the streams that pools send on their own."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tasks.collection_settings import CollectionSettings
from tasks.market.prices import PriceMemory
from tasks.pools import f2pool, litecoinpool, mining_dutch, viabtc
from tasks.pools.closed import ClosedPool
from tasks.pools.means import BtcUsd, Means, unknown_price
from tasks.pools.prohashing.opening import open_prohashing
from tasks.pools.settings import PoolKind, PoolSettings
from tasks.sources.budget import Budget
from tasks.sources.pace import HostPace
from tasks.sources.source import Source, Stream


class Kind(NamedTuple):
    """How a pool is opened, and how often a host may ask it."""

    open: Callable[[PoolSettings, Means], Source]
    per_minute: float
    burst: int = 1


KINDS: dict[PoolKind, Kind] = {
    "litecoinpool": Kind(litecoinpool.open_pool, litecoinpool.PER_MINUTE),
    "viabtc": Kind(viabtc.open_pool, viabtc.PER_MINUTE, viabtc.BURST),
    "mining_dutch": Kind(mining_dutch.open_pool, mining_dutch.PER_MINUTE),
    "f2pool": Kind(f2pool.open_pool, f2pool.PER_MINUTE),
}


def open_pool_sources(
    settings: CollectionSettings, *, state: Path, btc_usd: BtcUsd | None = None
) -> tuple[list[Source], dict[str, Budget], list[Stream]]:
    """Sources, budgets by name of source, and streams; ``state`` is where pace and credits lie.

    ``btc_usd`` is what values that pools tell in bitcoin are worth; by default the newest price in ``state``.

    Raises:
        SourceFailure: a pool's ``ca_file`` cannot be read.
    """
    price = btc_usd or _newest_price(state)
    sources: list[Source] = [open_pool(pool, state, price) for pool in settings.pools]
    streams: list[Stream] = []
    if settings.prohashing is not None:
        of_prohashing, streams = open_prohashing(settings.prohashing, state=state, btc_usd=price)
        sources += of_prohashing
    return sources, {}, streams


def _newest_price(state: Path) -> BtcUsd:
    prices = PriceMemory(state)

    def btc_usd() -> float | None:
        best = prices.best("bitcoin", time.time())
        return None if best is None else best.price_usd

    return btc_usd


def open_pool(settings: PoolSettings, state: Path, btc_usd: BtcUsd = unknown_price) -> Source:
    """The source of one account. Pools count requests by address, so accounts at one pool share its pace."""
    if settings.state == "gone":
        return ClosedPool(settings.id, settings.polling_intervals.payouts)
    assert settings.api_key is not None  # noqa: S101  # the settings saw to it
    kind = KINDS[settings.kind]
    pace = HostPace(state, settings.kind, per_minute=kind.per_minute, burst=kind.burst)
    return kind.open(settings, Means(settings.api_key, pace, btc_usd))
