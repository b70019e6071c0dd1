"""The lanes of pools and markets: names of their spools, batons and state files, for whoever starts or follows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tasks.collection_settings import CollectionSettings

POOLS = "pools"
MARKET = "market"


def lanes_of(settings: CollectionSettings) -> list[str]:
    """Lanes for which the configuration names anybody to ask."""
    market = settings.market_data
    lanes = [POOLS] if settings.pools or settings.prohashing is not None else []
    followed = market.coingecko is not None or market.coinmarketcap is not None or bool(market.network.coins)
    return [*lanes, MARKET] if followed else lanes
