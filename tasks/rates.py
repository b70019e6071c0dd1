"""How fast pools and markets may be asked where several hosts ask together."""

from __future__ import annotations

from tasks.collection_settings import CollectionSettings
from tasks.market.sources import market_rates
from tasks.pools.sources import pool_rates
from tasks.sources.paces import Rate


def shared_rates(settings: CollectionSettings) -> dict[str, Rate]:
    """Rates that hosts share, by source, for all that ``settings`` ask; none where this host asks alone."""
    if settings.sharing.hosts == 1:
        return {}
    return {**pool_rates(settings), **market_rates(settings.market_data)}
