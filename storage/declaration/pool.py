"""R2 pool_performance: what a pool says of a worker, of its coins and of an algorithm."""

from __future__ import annotations

from storage.declaration.bucket import Tier
from storage.declaration.field import Tag, counter, gauge, state, text, work
from storage.declaration.measurement import Measurement

_WORKER = (
    Tag("pool_id", "pool from the configuration"),
    Tag("worker_id", "account and worker, lower case"),
    Tag("algorithm", "sha256d, scrypt and so on"),
)

POOL_PERFORMANCE = Measurement(
    "pool_performance",
    "R2",
    "one worker at one pool",
    _WORKER,
    (
        state("status", ("online", "offline", "expired", "unknown"), "whether the pool sees the worker"),
        gauge("hashrate_reported_hs", "H/s", "hashrate the pool reports"),
        gauge("hashrate_effective_hs", "H/s", "hashrate that its accepted work amounts to"),
        counter("shares_accepted", "shares", "accepted"),
        counter("shares_rejected", "shares", "rejected"),
        counter("shares_stale", "shares", "came too late"),
        counter("shares_invalid", "shares", "wrong"),
        work("work_accepted_d1", "accepted work"),
        work("work_stale_d1", "work that came too late"),
        work("work_invalid_d1", "wrong work"),
        gauge("reject_ratio", "ratio", "rejected / all, on the basis named beside"),
        state("reject_basis", ("work", "rate", "count"), "what reject_ratio is a ratio of"),
        gauge("difficulty", "d1_shares", "share difficulty", exact=True),
        gauge("earnings_amount", "coins", "earned in earnings_period, in earnings_currency", exact=True),
        text("earnings_currency", "coin or fiat of the amount"),
        text("earnings_period", "time span of the amount"),
        gauge("earnings_usd", "USD", "the same in USD at the price of that time", exact=True),
        gauge("last_share_age_s", "s", "time since the last share"),
    ),
    {Tier.RAW: "mining_pool_detail", Tier.HOURLY: "mining_pool", Tier.DAILY: "mining_pool"},
)

POOL_COIN = Measurement(
    "pool_coin",
    "R2",
    "one coin that a worker mined, alone or merged",
    (
        *_WORKER,
        Tag("coin_id", "coin in Lodeline's table of coins"),
        Tag("mining_type", "primary or merge-mined"),
    ),
    (
        text("symbol", "ticker symbol"),
        gauge("amount", "coins", "mined", exact=True),
        gauge("usd_value", "USD", "value at the price of that time", exact=True),
    ),
    {Tier.RAW: "mining_pool_detail", Tier.HOURLY: "mining_pool", Tier.DAILY: "mining_pool"},
)

POOL_PROFITABILITY = Measurement(
    "pool_profitability",
    "R2",
    "what a pool pays for an algorithm",
    (Tag("pool_id", "pool from the configuration"), Tag("algorithm", "sha256d, scrypt and so on")),
    (
        gauge("per_hash_rate_usd_th_day", "USD/TH/day", "pay per TH/s and day", exact=True),
        text("unit", "unit as the pool gave it"),
        text("time_period", "window of the estimate"),
    ),
    {Tier.RAW: "mining_pool", Tier.HOURLY: "mining_pool", Tier.DAILY: "mining_pool"},
)
