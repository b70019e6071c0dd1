"""R3: what market and network sources tell. None means *the source did not say*, never zero."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from storage.frame import Frame
from storage.records.flat import flat_frames


class MarketData(msgspec.Struct, frozen=True, kw_only=True):
    """Price of one coin from one source; fields as declared in measurement ``market_data``."""

    time: int
    source: str
    coin_id: str
    symbol: str | None = None
    name: str | None = None
    price_usd: float | None = None
    price_btc: float | None = None
    market_cap_usd: float | None = None
    market_cap_btc: float | None = None
    volume_24h_usd: float | None = None
    volume_24h_btc: float | None = None
    price_change_1h_percent: float | None = None
    price_change_24h_percent: float | None = None
    price_change_7d_percent: float | None = None
    age_s: float | None = None
    quality: float | None = None
    quality_flags: str | None = None


class NetworkData(msgspec.Struct, frozen=True, kw_only=True):
    """The network of one coin from one source; fields as declared in measurement ``network_data``."""

    time: int
    source: str
    coin_id: str
    network_hashrate_hs: float | None = None
    network_difficulty: float | None = None
    block_reward: float | None = None
    block_time_s: float | None = None
    mining_algorithm: str | None = None
    block_height: int | None = None
    age_s: float | None = None
    quality: float | None = None
    quality_flags: str | None = None


class MarketGlobal(msgspec.Struct, frozen=True, kw_only=True):
    """The whole market from one source; fields as declared in measurement ``market_global``."""

    time: int
    source: str
    market_cap_usd: float | None = None
    volume_24h_usd: float | None = None
    btc_dominance_percent: float | None = None
    eth_dominance_percent: float | None = None
    coins_active: int | None = None
    exchanges_active: int | None = None
    age_s: float | None = None


class DailyClose(msgspec.Struct, frozen=True, kw_only=True):
    """The last price of a UTC day, ``time`` its start; fields as declared in measurement ``daily_close``."""

    time: int
    source: str
    coin_id: str
    close_usd: float | None = None
    market_cap_usd: float | None = None
    volume_24h_usd: float | None = None


class MarketRecords(msgspec.Struct, frozen=True, kw_only=True):
    """What one request to a market or network source gave, of any kind."""

    prices: tuple[MarketData, ...] = ()
    networks: tuple[NetworkData, ...] = ()
    totals: tuple[MarketGlobal, ...] = ()
    closes: tuple[DailyClose, ...] = ()


def market_frames(records: MarketRecords) -> list[Frame]:
    """Frames of ``market_data``, ``network_data``, ``market_global`` and ``daily_close``."""
    kinds: tuple[tuple[str, Sequence[msgspec.Struct]], ...] = (
        ("market_data", records.prices),
        ("network_data", records.networks),
        ("market_global", records.totals),
        ("daily_close", records.closes),
    )
    return [frame for measurement, rows in kinds for frame in flat_frames(measurement, rows)]
