"""Prices of one coin from several providers: what is wrong with each, and which one counts. Pure.

A price is stored as it was told, each provider's in rows of its own; nothing is averaged, since the mean of a right and
a wrong price is a wrong price. Which one counts is decided by whoever needs a price, with :func:`best_price`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec

from storage.records.market import MarketData
from tasks.normalize.quality import Rule

PRIORITY = ("coingecko", "coinmarketcap")
"""Whose price counts where several are fresh. CoinGecko comes first: Lodeline's coins have its ids, so that no match by
symbol can be wrong, it tells prices in BTC itself, and it is asked three times as often. A provider that is not here
counts after those that are."""

FRESH_S = 1_800.0
"""How old a price may be and still count as one of now: two intervals of the provider that is asked less often."""

CONFLICT_RATIO = 0.05
"""Relative difference from which two fresh prices of one coin conflict. A coin of size moves some 2 % between two
providers' turns on a wild day; a wrong coin, a wrong unit or a halted market is further off."""

THIN_VOLUME_USD = 100_000.0
"""Volume of 24 h below which a price is what one trade makes of it."""

THIN, INCOMPLETE, STALE, CONFLICTING, DERIVED = "thin", "incomplete", "stale", "conflicting", "derived"
RULES = (
    Rule(CONFLICTING, 0.7, f"a fresh price of another provider differs by more than {CONFLICT_RATIO:.0%}", "kept"),
    Rule(THIN, 0.8, f"less than {THIN_VOLUME_USD:,.0f} USD changed hands in 24 h: one trade makes the price", "kept"),
    Rule(STALE, 0.5, f"by the provider's own word older than {FRESH_S / 60:.0f} min", "kept; a fresh one goes first"),
    Rule(INCOMPLETE, 0.9, "price, capitalisation or volume in USD was not told", "null"),
    Rule(DERIVED, 1.0, "values in BTC that the provider did not tell", "worked out of USD"),
)
WEIGHTS = {rule.word: rule.weight for rule in RULES}
"""What each word takes of a row's quality, as those of miners do (docs/quality.md)."""

_BITCOIN = "bitcoin"
_IN_BTC = {"price_btc": "price_usd", "market_cap_btc": "market_cap_usd", "volume_24h_btc": "volume_24h_usd"}
_WHOLE = ("price_usd", "market_cap_usd", "volume_24h_usd")


@dataclass(frozen=True, slots=True)
class Price:
    """The price that counts. ``age_s`` at the time asked for; ``flags``: ``stale`` here means that no provider had a
    fresh one."""

    price_usd: float
    price_btc: float | None
    source: str
    age_s: float
    flags: frozenset[str]


def flags_of(row: MarketData) -> frozenset[str]:
    """The words on a row."""
    return frozenset(filter(None, (row.quality_flags or "").split(",")))


def told_at(row: MarketData) -> float:
    """When the provider says that the price was true, in Unix seconds; the row's time where it does not say."""
    return row.time - (row.age_s or 0.0)


def with_btc(rows: Sequence[MarketData], bitcoin_usd: float | None = None) -> list[MarketData]:
    """``rows`` of one provider with values in BTC worked out where it did not tell them, and flagged ``derived``.

    ``bitcoin_usd`` is the same provider's, from the same answer; taken from ``rows`` where not given, and without it
    nothing is worked out.
    """
    if bitcoin_usd is None:
        bitcoin_usd = next((row.price_usd for row in rows if row.coin_id == _BITCOIN), None)
    if not bitcoin_usd:
        return list(rows)
    done = []
    for row in rows:
        changes: dict[str, float] = {
            btc: told / bitcoin_usd
            for btc, usd in _IN_BTC.items()
            if getattr(row, btc) is None and (told := getattr(row, usd)) is not None
        }
        done.append(_flagged(msgspec.structs.replace(row, **changes), {DERIVED} if changes else set()))
    return done


def judge(row: MarketData, others: Iterable[MarketData]) -> tuple[MarketData, list[MarketData]]:
    """``row`` with its flags and quality, and those of ``others`` that conflict with it, flagged too if they were not.

    ``others``: the newest row of each other provider and coin; only those of this coin count, and only while both are
    fresh at the time of ``row``: an old price is not in conflict with a new one, it is old.
    """
    flags = set()
    if any(getattr(row, field) is None for field in _WHOLE):
        flags.add(INCOMPLETE)
    if row.volume_24h_usd is not None and row.volume_24h_usd < THIN_VOLUME_USD:
        flags.add(THIN)
    if row.age_s is not None and row.age_s > FRESH_S:
        flags.add(STALE)
    against = []
    if row.price_usd is not None and STALE not in flags:
        against = [
            other
            for other in others
            if other.coin_id == row.coin_id
            and other.source != row.source
            and other.price_usd is not None
            and 0 <= row.time - told_at(other) <= FRESH_S
            and abs(row.price_usd - other.price_usd) > CONFLICT_RATIO * max(row.price_usd, other.price_usd)
        ]
    if against:
        flags.add(CONFLICTING)
    return _flagged(row, flags), [
        _flagged(other, {CONFLICTING}) for other in against if CONFLICTING not in flags_of(other)
    ]


def best_price(coin_id: str, at: float, rows: Iterable[MarketData]) -> Price | None:
    """The price of ``coin_id`` that counts at ``at`` (Unix seconds), of rows of any coins, sources and times.

    The first provider of PRIORITY with a fresh price. Where none is fresh: the youngest of all, flagged ``stale`` and
    with its age, never as fresh. None where nobody has told one by then.
    """
    newest: dict[str, MarketData] = {}
    for row in rows:
        if row.coin_id == coin_id and row.price_usd is not None and row.time <= at:
            held = newest.get(row.source)
            if held is None or told_at(held) <= told_at(row):
                newest[row.source] = row
    fresh = [row for row in newest.values() if at - told_at(row) <= FRESH_S]
    chosen = min(fresh, key=_rank) if fresh else max(newest.values(), key=told_at, default=None)
    if chosen is None or chosen.price_usd is None:
        return None
    flags = flags_of(chosen) - {STALE}
    return Price(
        chosen.price_usd,
        chosen.price_btc,
        chosen.source,
        at - told_at(chosen),
        flags if fresh else flags | {STALE},
    )


def _rank(row: MarketData) -> tuple[int, float]:
    """By priority; of providers without one the youngest first."""
    place = PRIORITY.index(row.source) if row.source in PRIORITY else len(PRIORITY)
    return place, -told_at(row)


def _flagged(row: MarketData, more: Iterable[str]) -> MarketData:
    flags = flags_of(row) | set(more)
    quality = 1.0
    for flag in sorted(flags):
        quality *= WEIGHTS.get(flag, 1.0)
    return msgspec.structs.replace(
        row, quality=round(quality, 4), quality_flags=",".join(sorted(flags)) if flags else None
    )
