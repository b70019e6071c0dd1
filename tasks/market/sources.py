"""Which market and network sources the configuration asks for, and their budgets."""

from __future__ import annotations

from pathlib import Path

from tasks.market.network.sources import open_network_sources
from tasks.market.settings import MarketSettings
from tasks.sources.budget import Budget
from tasks.sources.source import Source


def open_market_sources(settings: MarketSettings, *, state: Path) -> tuple[list[Source], dict[str, Budget]]:
    """Sources by priority, and budgets by name of source; ``state`` is the folder of pace and credits."""
    return [*open_network_sources(settings.network, settings.watched_coins, state=state)], {}
