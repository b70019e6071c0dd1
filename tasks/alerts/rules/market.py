"""Rules over prices and their providers."""

from __future__ import annotations

from tasks.alerts.facts import Facts
from tasks.alerts.rule import About, Finding, Found, Level, Rule
from tasks.alerts.rules.sources import failing_sources
from tasks.quantity import age


def _old_prices(facts: Facts, limit: float | None) -> Found:
    rows = facts.prices[facts.prices["price_usd"].notna()]
    newest = rows.groupby("coin_id")["age_s"].min()
    return Found(
        tuple(
            Finding(
                subject=str(coin),
                entity=str(coin),
                message=f"newest price of {coin} is {age(float(seconds))} old",
                value=float(seconds),
            )
            for coin, seconds in newest[newest > (limit or 0.0)].items()
        )
    )


MARKET_RULES = (
    Rule(
        "market_source_away",
        Level.INFO,
        About.MARKET,
        "A provider of prices or of a network's numbers gives no data; others stand in for it.",
        "`lodeline status` tells the reason; a key that ran out of credits comes back with the month.",
        lambda facts, limit: failing_sources(facts, limit, pools=False),
        for_s=0,
        keep_s=0,
        limit=3_600.0,
        unit="s",
    ),
    Rule(
        "price_old",
        Level.WARNING,
        About.MARKET,
        "No provider gave a price of a coin for a while: money is worked out with an old one, or not at all.",
        "Look at the providers: `lodeline status` tells why each of them gives no data.",
        _old_prices,
        for_s=0,
        keep_s=0,
        limit=3_600.0,
        unit="s",
    ),
)
