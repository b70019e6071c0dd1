"""Every record of a pool or a market has a place for each of its declared columns, and none besides."""

from __future__ import annotations

import msgspec
import pytest

from storage.declaration import MEASUREMENTS
from storage.records.flat import flat_frames
from storage.records.market import DailyClose, MarketData, MarketGlobal, NetworkData
from storage.records.pool import CoinMined, PoolAccount, PoolPayout, PoolProfitability, WorkerPerformance

RECORDS: dict[str, type[msgspec.Struct]] = {
    "pool_performance": WorkerPerformance,
    "pool_coin": CoinMined,
    "pool_profitability": PoolProfitability,
    "pool_account": PoolAccount,
    "pool_payout": PoolPayout,
    "market_data": MarketData,
    "network_data": NetworkData,
    "market_global": MarketGlobal,
    "daily_close": DailyClose,
}


@pytest.mark.parametrize("measurement", RECORDS)
def test_a_record_has_the_declared_columns(measurement: str) -> None:
    assert set(RECORDS[measurement].__struct_fields__) == set(MEASUREMENTS[measurement].columns())


def test_money_stays_exact_and_hashrates_are_rounded() -> None:
    row = WorkerPerformance(
        time=60, pool_id="p", worker_id="a.b", algorithm="scrypt", hashrate_effective_hs=9.123456789e9,
        earnings_amount=0.1234567890123,
    )  # fmt: skip
    (frame,) = flat_frames("pool_performance", [row])
    assert frame.columns["earnings_amount"] == [0.1234567890123]
    (hashrate,) = frame.columns["hashrate_effective_hs"]
    assert hashrate != 9.123456789e9
    assert hashrate == pytest.approx(9.123456789e9, rel=1.6e-5)


def test_a_record_without_any_value_is_no_row() -> None:
    assert flat_frames("market_global", [MarketGlobal(time=60, source="coingecko")]) == []
