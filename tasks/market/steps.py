"""Deriving from market data as a task run."""

from __future__ import annotations

from storage.settings import StorageSettings
from tasks.derive.steps import derive_from_store
from tasks.market.deriving import DerivedReport, derive
from tasks.market.settings import MarketSettings


async def derive_step(storage: StorageSettings, market: MarketSettings) -> DerivedReport:
    """Write indicators and values of mining that are new. Tried again, it goes on where it stopped."""
    return await derive_from_store(
        "derive_market", storage, lambda store, now: derive(store, now, market.watched_coins), in_words
    )


def in_words(report: DerivedReport) -> str:
    """A run in one line."""
    return f"{report.indicators} rows of indicators, {report.values} values of mining"
