"""Which market and network sources the configuration asks for, and their budgets."""

from __future__ import annotations

import logging
from pathlib import Path

from tasks.market import coingecko, coinmarketcap
from tasks.market.coingecko import open_coingecko
from tasks.market.coinmarketcap import open_coinmarketcap
from tasks.market.network.sources import open_network_sources
from tasks.market.prices import PriceMemory
from tasks.market.settings import CoinGeckoSettings, MarketSettings
from tasks.sources.budget import Budget
from tasks.sources.cache import AnswerCache
from tasks.sources.pace import HostPace
from tasks.sources.source import Source

_log = logging.getLogger(__name__)


def open_market_sources(settings: MarketSettings, *, state: Path) -> tuple[list[Source], dict[str, Budget]]:
    """Sources by priority, and budgets by name of source; ``state`` is the folder of pace, credits and newest prices.

    Raises:
        SourceFailure: a ``ca_file`` cannot be read.
    """
    prices = PriceMemory(state)
    sources: list[Source] = []
    budgets: dict[str, Budget] = {}
    gecko, cap = settings.coingecko, settings.coinmarketcap
    if gecko is not None and gecko.enabled:
        plan = coingecko.plan_of(gecko)
        pace = HostPace(state, coingecko.NAME, per_minute=plan.per_minute)
        sources.append(open_coingecko(gecko, prices, AnswerCache(state / "answers", coingecko.NAME), pace))
        if plan.credits is not None:
            budgets[coingecko.NAME] = Budget(state, coingecko.NAME, plan.credits)
    if cap is not None and cap.enabled:
        followed = (gecko or CoinGeckoSettings()).coins
        tier = coinmarketcap.tier_of(cap)
        pace = HostPace(state, coinmarketcap.NAME, per_minute=tier.per_minute)
        sources.append(open_coinmarketcap(cap, followed, prices, pace))
        budgets[coinmarketcap.NAME] = Budget(state, coinmarketcap.NAME, tier.credits)
    for source in sources:
        if source.name in budgets:
            _tell_if_short(source, budgets[source.name])
    return [*sources, *open_network_sources(settings.network, settings.watched_coins, state=state)], budgets


def _tell_if_short(source: Source, budget: Budget) -> None:
    """Say beforehand what the month's credits will not reach for."""
    account = budget.account(source.requests)
    if account.forecast > account.credits:
        _log.warning(
            "%s: at these intervals up to %.0f credits would be used by the end of the month, of %.0f; "
            "what is asked most often will be asked less often",
            source.name, account.forecast, account.credits,
        )  # fmt: skip
