"""The market: prices that count, their change, indicators of daily closes, and what mining is worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deployments.page.configured import Configured
from storage.declaration import MEASUREMENTS
from storage.downsample.rollup import DAY_S, HOUR_S
from storage.records.market import MarketData
from storage.store import Store, credible
from tasks.derive.source_gaps import SourceGap, source_gaps
from tasks.derive.worth import worth
from tasks.market.coins import COINS
from tasks.market.reconciliation import PRIORITY, Price, best_price

Row = Mapping[str, Any]

_TOLD_S = DAY_S
"""Prices told earlier are not shown."""
_CLOSES_S = 7 * DAY_S


@dataclass(frozen=True, slots=True)
class CoinLine:
    """One coin: the price that counts, None where none was told in a day; ``change_24h`` in percent, of the source
    ``change_of``; its newest row of market_indicator."""

    coin_id: str
    price: Price | None
    told: float | None
    change_24h: float | None
    change_of: str | None
    indicator: Row | None


@dataclass(frozen=True, slots=True)
class Market:
    """Coins in the order of the configuration. ``values``: newest row of mining_profitability that counts, by
    algorithm. ``gaps``: of providers and explorers in the last day."""

    coins: Sequence[CoinLine]
    values: Sequence[Row]
    gaps: Sequence[SourceGap] = ()


def read_market(store: Store, configured: Configured, now: float) -> Market:
    """The market at ``now`` (Unix seconds).

    Raises:
        TryAgain: the store does not answer.
    """
    told: dict[str, list[MarketData]] = {}
    for row in store.newest(MEASUREMENTS["market_data"], int(now) - _TOLD_S, before=credible(now)).to_pylist():
        fields = {name: row[name] for name in MarketData.__struct_fields__ if name in row}
        one = MarketData(**fields | {"time": int(row["time"].timestamp())})
        told.setdefault(one.coin_id, []).append(one)
    indicators: dict[str, list[Row]] = {}
    for row in store.newest(MEASUREMENTS["market_indicator"], int(now) - _CLOSES_S, before=credible(now)).to_pylist():
        indicators.setdefault(row["coin_id"], []).append(row)
    stop = int(now) // HOUR_S * HOUR_S
    values: dict[str, Row] = {}
    for (_, algorithm), row in sorted(worth(store, configured.economy.economics, stop - 6 * HOUR_S, stop).items()):
        values[algorithm] = row
    known = configured.coin_ids or [coin_id for coin_id in COINS if coin_id in told]
    asked = {kind: configured.intervals.get(kind, {}) for kind in ("price", "network")}
    return Market(
        [_line(coin_id, told.get(coin_id, []), indicators, now) for coin_id in known],
        list(values.values()),
        source_gaps(store, asked, int(now - DAY_S), int(now)),
    )


def _line(coin_id: str, told: Sequence[MarketData], indicators: Mapping[str, Sequence[Row]], now: float) -> CoinLine:
    price = best_price(coin_id, now, told)
    first = sorted(told, key=lambda row: (price is None or row.source != price.source, _rank(row.source)))
    change = next((row for row in first if row.price_change_24h_percent is not None), None)
    rows = sorted(indicators.get(coin_id, ()), key=lambda row: (-row["time"].timestamp(), _rank(row["source"])))
    return CoinLine(
        coin_id,
        price,
        None if price is None else now - price.age_s,
        change.price_change_24h_percent if change else None,
        change.source if change else None,
        rows[0] if rows else None,
    )


def _rank(source: str) -> tuple[int, str]:
    return (PRIORITY.index(source) if source in PRIORITY else len(PRIORITY), source)
