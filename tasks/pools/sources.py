"""Which pools the configuration asks for, their budgets, and the streams that pools send on their own."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tasks.collection_settings import CollectionSettings
from tasks.market.prices import PriceMemory
from tasks.pools import f2pool, litecoinpool, mining_dutch, viabtc
from tasks.pools.account_standing import AccountStanding
from tasks.pools.closed import ClosedPool
from tasks.pools.means import BtcUsd, Means, unknown_price
from tasks.pools.network_worth import NetworkWorth
from tasks.pools.price_guard import PriceGuard
from tasks.pools.prohashing.opening import RATE as PROHASHING_RATE
from tasks.pools.prohashing.opening import open_prohashing
from tasks.pools.prohashing.reading import POOL_ID
from tasks.pools.settings import PoolKind, PoolSettings
from tasks.sources.budget import Budget
from tasks.sources.paces import Paces, Rate
from tasks.sources.source import Source, Stream


class Kind(NamedTuple):
    """How a pool is opened, and how often a host may ask it."""

    open: Callable[[PoolSettings, Means], Source]
    rate: Rate


KINDS: dict[PoolKind, Kind] = {
    "litecoinpool": Kind(litecoinpool.open_pool, Rate(litecoinpool.PER_MINUTE)),
    "viabtc": Kind(viabtc.open_pool, Rate(viabtc.PER_MINUTE, viabtc.BURST)),
    "mining_dutch": Kind(mining_dutch.open_pool, Rate(mining_dutch.PER_MINUTE)),
    "f2pool": Kind(f2pool.open_pool, Rate(f2pool.PER_MINUTE)),
}


def open_pool_sources(
    settings: CollectionSettings, *, state: Path, paces: Paces | None = None, btc_usd: BtcUsd | None = None
) -> tuple[list[Source], dict[str, Budget], list[Stream]]:
    """Sources, budgets by name of source, and streams; ``state`` is where pace and credits lie.

    ``paces`` are by default those of a host that asks alone. ``btc_usd`` is what values that pools tell in bitcoin are
    worth; by default the newest price in ``state``.
    """
    price = btc_usd or _newest_price(state)
    paces = paces or Paces(state)
    sources: list[Source] = [open_pool(pool, state, paces, price) for pool in settings.pools]
    streams: list[Stream] = []
    if settings.prohashing is not None:
        of_prohashing, streams = open_prohashing(settings.prohashing, state=state, paces=paces, btc_usd=price)
        sources += of_prohashing
    return sources, {}, streams


def pool_rates(settings: CollectionSettings) -> dict[str, Rate]:
    """How fast the pools of ``settings`` may be asked, by the name of their pace."""
    rates: dict[str, Rate] = {pool.kind: KINDS[pool.kind].rate for pool in settings.pools if pool.state == "live"}
    said = settings.prohashing
    asked = said is not None and said.state == "live" and said.http.enabled
    return {**rates, **({POOL_ID: PROHASHING_RATE} if asked else {})}


def _newest_price(state: Path) -> BtcUsd:
    prices = PriceMemory(state)

    def btc_usd() -> float | None:
        best = prices.best("bitcoin", time.time())
        return None if best is None else best.price_usd

    return btc_usd


def open_pool(settings: PoolSettings, state: Path, paces: Paces, btc_usd: BtcUsd = unknown_price) -> Source:
    """The source of one account. Pools count requests by address, so accounts at one pool share its pace.

    ``state`` is the folder of what is remembered of its prices, and of those of networks.
    """
    if settings.state == "gone":
        closed = ClosedPool(settings.id, settings.polling_intervals.payouts)
        return AccountStanding(closed, settings.coins)
    assert settings.api_key is not None  # noqa: S101  # the settings saw to it
    kind = KINDS[settings.kind]
    guard = PriceGuard(state, settings.id, NetworkWorth(state))
    pool = kind.open(settings, Means(settings.api_key, paces.of(settings.kind, kind.rate, settings.id), btc_usd, guard))
    return AccountStanding(pool, settings.coins)
