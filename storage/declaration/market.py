"""R3 market_data: prices, network metrics and indicators of a coin."""

from __future__ import annotations

from storage.declaration.bucket import Tier
from storage.declaration.field import Tag, gauge, text
from storage.declaration.measurement import Measurement

_COIN = (Tag("source", "provider"), Tag("coin_id", "coin in Lodeline's table of coins"))
_PRICE = {Tier.RAW: "mining_price", Tier.HOURLY: "mining_price", Tier.DAILY: "mining_price"}

MARKET_DATA = Measurement(
    "market_data",
    "R3",
    "price of one coin from one source",
    _COIN,
    (
        text("symbol", "ticker symbol"),
        text("name", "name of the coin"),
        gauge("price_usd", "USD", "price", exact=True),
        gauge("price_btc", "BTC", "price", exact=True),
        gauge("market_cap_usd", "USD", "market capitalisation", exact=True),
        gauge("market_cap_btc", "BTC", "market capitalisation", exact=True),
        gauge("volume_24h_usd", "USD", "volume of 24 h", exact=True),
        gauge("volume_24h_btc", "BTC", "volume of 24 h", exact=True),
        gauge("price_change_1h_percent", "percent", "change over 1 h", exact=True),
        gauge("price_change_24h_percent", "percent", "change over 24 h", exact=True),
        gauge("price_change_7d_percent", "percent", "change over 7 d", exact=True),
    ),
    _PRICE,
)

NETWORK_DATA = Measurement(
    "network_data",
    "R3",
    "the network of one coin from one source",
    _COIN,
    (
        gauge("network_hashrate_hs", "H/s", "hashrate of the network", exact=True),
        gauge("network_difficulty", "d1_shares", "difficulty", exact=True),
        gauge("block_reward", "coins", "subsidy of a block", exact=True),
        gauge("block_time_s", "s", "time between blocks", exact=True),
        text("mining_algorithm", "sha256d, scrypt and so on"),
    ),
    _PRICE,
)

MARKET_INDICATOR = Measurement(
    "market_indicator",
    "R3",
    "indicators from daily closes of one coin",
    _COIN,
    (
        gauge("rsi_14", "percent", "relative strength index, Wilder, 14 days", exact=True),
        gauge("ma_50_usd", "USD", "mean of 50 daily closes", exact=True),
        gauge("ma_200_usd", "USD", "mean of 200 daily closes", exact=True),
        gauge(
            "volatility_30d", "ratio", "sample deviation of 30 daily log returns, annualised by sqrt(365)", exact=True
        ),
    ),
    {Tier.RAW: "mining_technical"},
)
