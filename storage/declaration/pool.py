"""R2 pool_performance: what a pool says of a worker, of its coins, of an algorithm and of an account's money."""

from __future__ import annotations

from storage.declaration.bucket import Tier
from storage.declaration.field import Tag, counter, gauge, level, state, text, work
from storage.declaration.measurement import Measurement

_STANDS_S = 3_600
"""The longest interval that a pool is asked at by default."""

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
        text(
            "time_window", "span that hashrate_effective_hs and reject_ratio are means of, e.g. 1h; null: since a reset"
        ),
        gauge("quality", "ratio", "quality of this row, 0 to 1; docs/quality.md"),
        text("quality_flags", "why quality is below 1, comma-separated"),
    ),
    {Tier.RAW: "mining_pool_detail", Tier.HOURLY: "mining_pool", Tier.DAILY: "mining_pool"},
    stands_s=_STANDS_S,
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
        gauge("fee_ratio", "ratio", "fee that the pool takes of it", exact=True),
        gauge("pool_hashrate_hs", "H/s", "hashrate of the whole pool"),
        text("quality_flags", "what is wrong with it, e.g. unit_suspect; null: nothing"),
    ),
    {Tier.RAW: "mining_pool", Tier.HOURLY: "mining_pool", Tier.DAILY: "mining_pool"},
)

POOL_ACCOUNT = Measurement(
    "pool_account",
    "R2",
    "what an account has at a pool, in one coin",
    (Tag("pool_id", "pool from the configuration"), Tag("coin_id", "coin in Lodeline's table of coins")),
    (
        gauge("hashrate_hs", "H/s", "hashrate of the account"),
        level("workers_active", "count", "workers that the pool sees"),
        level("workers_inactive", "count", "workers that the pool knows and does not see"),
        gauge("predicted_24h", "coins", "what the pool expects to credit for 24 h", exact=True),
        gauge("credited_24h", "coins", "credited in the last 24 h", exact=True),
        gauge("credited_total", "coins", "credited since the account was made", exact=True),
        gauge("paid_total", "coins", "paid out since the account was made", exact=True),
        gauge("unpaid", "coins", "credited and not paid out yet", exact=True),
        state("status", ("live", "all_offline", "gone", "refused"), "how the account stands"),
    ),
    {Tier.RAW: "mining_pool", Tier.HOURLY: "mining_pool", Tier.DAILY: "mining_pool"},
    stands_s=_STANDS_S,
)

POOL_PAYOUT = Measurement(
    "pool_payout",
    "R2",
    "money that a pool credited or paid; its time is the pool's own",
    (
        Tag("pool_id", "pool from the configuration"),
        Tag("coin_id", "coin in Lodeline's table of coins"),
        Tag("kind", "credited: earned at the pool; paid: left the pool"),
        Tag("reference", "the pool's own id, transaction or settlement day: tells two of one second apart"),
    ),
    (
        gauge("amount", "coins", "amount, never negative", exact=True),
        gauge("usd_at_receipt", "USD", "value at the price of that time; null without a price", exact=True),
        text("settlement_day", "the pool's own day that it is for, YYYY-MM-DD"),
        text("settlement_zone", "time zone of that day"),
        gauge("fee_ratio", "ratio", "fee already taken", exact=True),
        text("transaction", "transaction on the coin's chain"),
    ),
    {Tier.RAW: "mining_pool_detail"},
)

POOL_RECONCILIATION = Measurement(
    "pool_reconciliation",
    "R2",
    "what should have been earned on a pool's settlement day, what was credited and what was paid; "
    "its time is the start of that day",
    (Tag("pool_id", "pool from the configuration"), Tag("coin_id", "coin in Lodeline's table of coins")),
    (
        gauge(
            "predicted",
            "coins",
            "what the work sent to the pool, rejected included, should have earned before fees",
            exact=True,
        ),
        gauge("credited", "coins", "what the pool credited for the day", exact=True),
        gauge("paid", "coins", "what the pool paid out on the day", exact=True),
        gauge("predicted_usd", "USD", "predicted at the price of the day's end", exact=True),
        gauge("credited_usd", "USD", "credited at the price of the day's end", exact=True),
        gauge("price_effect_usd", "USD", "credited at the prices of its entries' times - credited_usd", exact=True),
        gauge("difference", "coins", "credited - predicted", exact=True),
        gauge("explained_fee", "coins", "part of the difference that the pool's fee makes", exact=True),
        gauge("explained_stale", "coins", "part that stale and rejected work makes", exact=True),
        gauge("explained_missing", "coins", "part that hours without data make", exact=True),
        gauge("unexplained", "coins", "what is left", exact=True),
        gauge("coverage_percent", "percent", "part of the day for which there is data"),
        text("settlement_zone", "time zone of the day"),
        text("reason", "in words: what makes the difference, or why a value is null"),
    ),
    {Tier.RAW: "mining_financial"},
)

POOL_SUMMARY = Measurement(
    "pool_summary",
    "R2",
    "an hour or a day of a pool by worker, algorithm or coin; its time is the start",
    (
        Tag("pool_id", "pool from the configuration"),
        Tag("dimension", "worker, algorithm or coin"),
        Tag("key", "which worker, algorithm or coin"),
        Tag("time_period", "1h or 1d"),
    ),
    (
        gauge("hashrate_effective_hs", "H/s", "mean hashrate that accepted work amounts to"),
        gauge("hashrate_ma_24h_hs", "H/s", "mean of the last 24 h; null until they are whole"),
        gauge("hashrate_ma_7d_hs", "H/s", "mean of the last 7 days; null until they are whole"),
        gauge("acceptance_ratio", "ratio", "accepted / all, on the basis named beside"),
        state("acceptance_basis", ("work", "rate", "count"), "what acceptance_ratio is a ratio of"),
        gauge("amount", "coins", "mined; of dimension coin only", exact=True),
        gauge("earnings_usd", "USD", "earned", exact=True),
        level("workers", "count", "workers that took part"),
    ),
    {Tier.RAW: "mining_pool"},
)

WORKER_STATES = (
    "matched", "unknown_worker", "missing_worker", "duplicate_worker", "wrong_pool", "wrong_worker", "fee_only",
    "not_told", "superseded",
)  # fmt: skip
"""How a miner and a pool's worker fit; docs/pools.md says when each of them holds."""

WORKER_MATCH = Measurement(
    "worker_match",
    "R2",
    "one miner against the worker that the pool sees, over an hour; its time is the hour's start",
    (
        Tag("pool_id", "pool from the configuration; absent where no pool knows the miner"),
        Tag("worker_id", "account and worker, lower case; absent where no worker fits"),
        Tag("miner_id", "identity from the configuration; absent where no miner fits"),
    ),
    (
        state("status", WORKER_STATES, "how they fit"),
        gauge("hashrate_miner_hs", "H/s", "mean hashrate that the miner told"),
        gauge("hashrate_pool_hs", "H/s", "mean hashrate that the pool credited"),
        gauge("gap_ratio", "ratio", "1 - pool / miner"),
        gauge("gap_devfee_ratio", "ratio", "part of the gap that the firmware's fee makes"),
        gauge("gap_rejected_ratio", "ratio", "part that stale and rejected work makes"),
        gauge("gap_unexplained_ratio", "ratio", "what is left"),
        text("reason", "in words"),
    ),
    {Tier.RAW: "mining_operational"},
)
