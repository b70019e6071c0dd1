"""R3 market_data: prices, network metrics and indicators of a coin."""

from __future__ import annotations

from storage.declaration.bucket import Tier
from storage.declaration.field import Tag, gauge, level, text
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
        gauge("age_s", "s", "how old the provider's value was when it came"),
        gauge("quality", "ratio", "quality of this row, 0 to 1; docs/quality.md"),
        text("quality_flags", "why quality is below 1, e.g. conflicting, thin, stale; comma-separated"),
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
        level("block_height", "count", "height of the newest block"),
        gauge("age_s", "s", "how old the provider's value was when it came"),
        gauge("quality", "ratio", "quality of this row, 0 to 1; docs/quality.md"),
        text("quality_flags", "why quality is below 1, e.g. conflicting, implausible; comma-separated"),
    ),
    _PRICE,
)

MARKET_GLOBAL = Measurement(
    "market_global",
    "R3",
    "the whole market from one source",
    (Tag("source", "provider"),),
    (
        gauge("market_cap_usd", "USD", "market capitalisation of all coins", exact=True),
        gauge("volume_24h_usd", "USD", "volume of 24 h", exact=True),
        gauge("btc_dominance_percent", "percent", "part of bitcoin in the capitalisation", exact=True),
        gauge("eth_dominance_percent", "percent", "part of ether in the capitalisation", exact=True),
        level("coins_active", "count", "coins traded"),
        level("exchanges_active", "count", "exchanges"),
        gauge("age_s", "s", "how old the provider's value was when it came"),
    ),
    _PRICE,
)

DAILY_CLOSE = Measurement(
    "daily_close",
    "R3",
    "the last price of a UTC day of one coin from one source; its time is the start of that day",
    _COIN,
    (
        gauge("close_usd", "USD", "last price at or before the next day's 00:00 UTC", exact=True),
        gauge("market_cap_usd", "USD", "market capitalisation at that time", exact=True),
        gauge("volume_24h_usd", "USD", "volume of 24 h at that time", exact=True),
    ),
    {Tier.RAW: "mining_technical"},
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
        gauge("volatility_30d_daily", "ratio", "the same, of a day", exact=True),
        gauge("change_1d_percent", "percent", "close against the close a day before", exact=True),
        gauge("change_7d_percent", "percent", "close against the close 7 days before", exact=True),
        gauge("change_30d_percent", "percent", "close against the close 30 days before", exact=True),
        level("closes", "count", "daily closes in a row that they were made from"),
        gauge(
            "volatility_30d", "ratio", "sample deviation of 30 daily log returns, annualised by sqrt(365)", exact=True
        ),
    ),
    {Tier.RAW: "mining_technical"},
)

MINING_PROFITABILITY = Measurement(
    "mining_profitability",
    "R3",
    "what a TH/s earns in a day by the network's difficulty, before any miner's own cost",
    (
        Tag("algorithm", "sha256d, scrypt and so on"),
        Tag("coins", "coins mined on the same hashes, joined by +, e.g. litecoin+dogecoin"),
        Tag("source", "where difficulty and reward are from"),
    ),
    (
        gauge(
            "usd_th_day",
            "USD/TH/day",
            "sum over the coins: 86,400 x 1e12 x reward / (difficulty x 2^32) x price",
            exact=True,
        ),
        gauge("btc_th_day", "BTC", "the same in BTC per TH/s and day", exact=True),
        gauge("fee_ratio", "ratio", "fee taken off", exact=True),
        text("by_coin", "coin=USD per TH/s and day, comma-separated"),
        text("quality_flags", "what is wrong with it, e.g. missing:dogecoin.price; empty: nothing"),
    ),
    {Tier.RAW: "mining_technical"},
)
