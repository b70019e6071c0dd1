"""R2: what pools tell. Base units; None means *the pool did not say*, never zero."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from storage.frame import Frame
from storage.records.flat import flat_frames


class WorkerPerformance(msgspec.Struct, frozen=True, kw_only=True):
    """One worker at one slot; fields as declared in measurement ``pool_performance``."""

    time: int
    pool_id: str
    worker_id: str
    algorithm: str
    status: str | None = None
    hashrate_reported_hs: float | None = None
    hashrate_effective_hs: float | None = None
    shares_accepted: int | None = None
    shares_rejected: int | None = None
    shares_stale: int | None = None
    shares_invalid: int | None = None
    work_accepted_d1: float | None = None
    work_stale_d1: float | None = None
    work_invalid_d1: float | None = None
    reject_ratio: float | None = None
    reject_basis: str | None = None
    difficulty: float | None = None
    earnings_amount: float | None = None
    earnings_currency: str | None = None
    earnings_period: str | None = None
    earnings_usd: float | None = None
    last_share_age_s: float | None = None
    time_window: str | None = None
    quality: float | None = None
    quality_flags: str | None = None


class CoinMined(msgspec.Struct, frozen=True, kw_only=True):
    """One coin that a worker mined; fields as declared in measurement ``pool_coin``."""

    time: int
    pool_id: str
    worker_id: str
    algorithm: str
    coin_id: str
    mining_type: str
    symbol: str | None = None
    amount: float | None = None
    usd_value: float | None = None


class PoolProfitability(msgspec.Struct, frozen=True, kw_only=True):
    """What a pool pays for an algorithm; fields as declared in measurement ``pool_profitability``."""

    time: int
    pool_id: str
    algorithm: str
    per_hash_rate_usd_th_day: float | None = None
    unit: str | None = None
    time_period: str | None = None
    fee_ratio: float | None = None
    pool_hashrate_hs: float | None = None
    quality_flags: str | None = None


class PoolAccount(msgspec.Struct, frozen=True, kw_only=True):
    """An account in one coin; fields as declared in measurement ``pool_account``."""

    time: int
    pool_id: str
    coin_id: str
    hashrate_hs: float | None = None
    workers_active: int | None = None
    workers_inactive: int | None = None
    predicted_24h: float | None = None
    credited_24h: float | None = None
    credited_total: float | None = None
    paid_total: float | None = None
    unpaid: float | None = None
    status: str | None = None


class PoolPayout(msgspec.Struct, frozen=True, kw_only=True):
    """Money credited or paid, ``time`` by the pool's own record; fields as in measurement ``pool_payout``."""

    time: int
    pool_id: str
    coin_id: str
    kind: str
    reference: str
    amount: float | None = None
    usd_at_receipt: float | None = None
    settlement_day: str | None = None
    settlement_zone: str | None = None
    fee_ratio: float | None = None
    transaction: str | None = None


class PoolRecords(msgspec.Struct, frozen=True, kw_only=True):
    """What one request to a pool gave, of any kind."""

    workers: tuple[WorkerPerformance, ...] = ()
    coins: tuple[CoinMined, ...] = ()
    profitability: tuple[PoolProfitability, ...] = ()
    accounts: tuple[PoolAccount, ...] = ()
    payouts: tuple[PoolPayout, ...] = ()


def pool_frames(records: PoolRecords) -> list[Frame]:
    """Frames of ``pool_performance``, ``pool_coin``, ``pool_profitability``, ``pool_account`` and ``pool_payout``."""
    kinds: tuple[tuple[str, Sequence[msgspec.Struct]], ...] = (
        ("pool_performance", records.workers),
        ("pool_coin", records.coins),
        ("pool_profitability", records.profitability),
        ("pool_account", records.accounts),
        ("pool_payout", records.payouts),
    )
    return [frame for measurement, rows in kinds for frame in flat_frames(measurement, rows)]
