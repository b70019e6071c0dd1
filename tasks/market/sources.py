"""Which market and network sources the configuration asks for, and their budgets."""

from __future__ import annotations

import logging
from pathlib import Path

from tasks.market import coingecko, coinmarketcap
from tasks.market.coingecko import open_coingecko
from tasks.market.coinmarketcap import open_coinmarketcap
from tasks.market.network.sources import network_rates, open_network_sources
from tasks.market.prices import PriceMemory
from tasks.market.settings import CoinGeckoSettings, MarketSettings
from tasks.sources.budget import Budget
from tasks.sources.cache import AnswerCache
from tasks.sources.paces import Paces, Rate
from tasks.sources.source import Source

_log = logging.getLogger(__name__)


def open_market_sources(
    settings: MarketSettings, *, state: Path, paces: Paces | None = None
) -> tuple[list[Source], dict[str, Budget]]:
    """Sources by priority, and budgets by name of source; ``state`` is the folder of pace, credits and newest prices.

    ``paces`` are by default those of a host that asks alone; of several hosts each has its part of the credits.
    """
    paces = paces or Paces(state)
    prices = PriceMemory(state)
    sources: list[Source] = []
    budgets: dict[str, Budget] = {}
    gecko, cap = settings.coingecko, settings.coinmarketcap
    if gecko is not None and gecko.enabled:
        plan = coingecko.plan_of(gecko)
        pace = paces.of(coingecko.NAME, Rate(plan.per_minute))
        sources.append(open_coingecko(gecko, prices, AnswerCache(state / "answers", coingecko.NAME), pace))
        if plan.credits is not None:
            budgets[coingecko.NAME] = Budget(state, coingecko.NAME, plan.credits / paces.hosts)
    if cap is not None and cap.enabled:
        followed = (gecko or CoinGeckoSettings()).coins
        tier = coinmarketcap.tier_of(cap)
        pace = paces.of(coinmarketcap.NAME, Rate(tier.per_minute))
        sources.append(open_coinmarketcap(cap, followed, prices, pace))
        budgets[coinmarketcap.NAME] = Budget(state, coinmarketcap.NAME, tier.credits / paces.hosts)
    for source in sources:
        if source.name in budgets:
            _tell_if_short(source, budgets[source.name])
    network = open_network_sources(settings.network, settings.watched_coins, state=state, paces=paces)
    return [*sources, *network], budgets


def market_rates(settings: MarketSettings) -> dict[str, Rate]:
    """How fast the sources that are asked may be asked, by name."""
    rates = network_rates(settings.network, settings.watched_coins)
    gecko, cap = settings.coingecko, settings.coinmarketcap
    if gecko is not None and gecko.enabled:
        rates[coingecko.NAME] = Rate(coingecko.plan_of(gecko).per_minute)
    if cap is not None and cap.enabled:
        rates[coinmarketcap.NAME] = Rate(coinmarketcap.tier_of(cap).per_minute)
    return rates


def _tell_if_short(source: Source, budget: Budget) -> None:
    """Say beforehand what the month's credits will not reach for."""
    account = budget.account(source.requests)
    if account.forecast > account.credits:
        _log.warning(
            "%s: at these intervals up to %.0f credits would be used by the end of the month, of %.0f; "
            "what is asked most often will be asked less often",
            source.name, account.forecast, account.credits,
        )  # fmt: skip
