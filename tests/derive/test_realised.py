"""Realised hashprice against the worked day of docs/pools.md: LTC of domain.md 2.3, 9.5 GH/s, a fee of 1 %."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from storage.declaration import MEASUREMENTS, Tier
from storage.frame import build_frame
from storage.lake.store import EmbeddedStore
from tasks.derive.realised import Work, derive_realised, realised_frame

DAY = 1_800_000_000 // 86_400 * 86_400
PRICE = 81.62
LTC: dict[str, Any] = {
    "pool_id": "ltc", "coin_id": "litecoin", "time": DAY, "settlement_zone": "UTC", "predicted": 0.01093159,
    "explained_missing": 0.00364386, "explained_stale": -0.00029151, "credited": 0.01414111,
    "predicted_usd": 0.01093159 * PRICE, "credited_usd": 0.01414111 * PRICE,
}  # fmt: skip
"""18 of 24 hours are known, 98 % of the work was accepted, and the pool is right."""


def work(hours: int = 18, start: int = DAY) -> Work:
    return Work({"ltc": {start + hour * 3_600: 9.5e9 for hour in range(hours)}})


def row(*coins: dict[str, Any], of: Work | None = None) -> dict[str, Any]:
    frame = realised_frame(coins, of or work())
    names = [field.name for field in MEASUREMENTS["financial_summary"].fields]
    return {name: frame.columns.get(name, [None])[0] for name in names}


def test_a_pool_that_is_right_realises_one_less_its_fee():
    found = row(LTC)
    assert found["realised_ratio"] == pytest.approx(0.99, rel=1e-5)
    # 1.165856 USD and 1.154197 USD / 0.0095 TH/s
    assert found["hashprice_usd_th_day"] == pytest.approx(122.72, abs=0.01)
    assert found["hashprice_realised_usd_th_day"] == pytest.approx(121.49, abs=0.01)
    assert (found["hashrate_paid_hs"], found["reason"]) == (9.5e9, "")


DOGE = LTC | {"coin_id": "dogecoin", "credited_usd": 1.0, "predicted_usd": 0.75, "predicted": 3.0,
              "explained_missing": 1.0, "explained_stale": None}  # fmt: skip


def test_coins_of_a_day_are_added_up():
    # of Dogecoin 4 coins at 0.25 USD each should have come, and 1 USD did
    assert row(LTC, DOGE)["realised_ratio"] == pytest.approx((1.154197 + 1) / (1.165856 + 1), rel=1e-5)


@pytest.mark.parametrize(
    ("coins", "of", "null", "reason"),
    [
        ([LTC | {"credited_usd": None}], None, "revenue", "revenue:not_credited"),
        ([LTC, DOGE | {"credited_usd": None}], None, "realised_ratio", "revenue:not_credited"),
        ([LTC | {"predicted": None}], None, "realised_ratio", "hashprice_usd_th_day:nothing_predicted"),
        ([LTC | {"predicted": 0.0}], None, "realised_ratio", "hashprice_usd_th_day:nothing_predicted"),
        ([LTC], work(11), "hashprice_realised_usd_th_day", "hashrate_paid_hs:too_few_hours"),
        ([LTC], Work({}), "hashprice_realised_usd_th_day", "hashrate_paid_hs:too_few_hours"),
    ],
)
def test_what_is_not_known(coins: list[dict[str, Any]], of: Work | None, null: str, reason: str):
    found = row(*coins, of=of)
    assert (found[null], found["reason"]) == (None, reason)


def test_a_settlement_day_of_25_hours_is_longer():
    zone = "Europe/Berlin"
    start = int(dt.datetime(2026, 10, 25, tzinfo=ZoneInfo(zone)).timestamp())
    found = row(LTC | {"time": start, "settlement_zone": zone}, of=work(25, start))
    assert found["hashprice_usd_th_day"] == pytest.approx(122.72 * 24 / 25, abs=0.01)


def test_rows_are_written_once_and_corrected(tmp_path: Path):
    store = EmbeddedStore(tmp_path / "lake")

    def tell(credited_usd: float) -> None:
        told = {name: [value] for name, value in (LTC | {"credited_usd": credited_usd}).items() if name != "time"}
        store.write([build_frame("pool_reconciliation", [DAY], told)])

    hours = range(DAY, DAY + 86_400, 3_600)
    tags = {"pool_id": ["ltc"] * 24, "miner_id": ["a"] * 24, "worker_id": ["acc.a"] * 24}
    columns: dict[str, Any] = {**tags, "status": ["matched"] * 24, "hashrate_pool_hs": [9.5e9] * 24}
    store.write([build_frame("worker_match", [*hours], columns)])
    tell(1.0)
    now = DAY + 2 * 86_400
    assert [derive_realised(store, now), derive_realised(store, now)] == [1, 0]
    tell(1.1)
    assert derive_realised(store, now) == 1
    (found,) = store.read(MEASUREMENTS["financial_summary"], Tier.RAW, 0, 2**32).to_pylist()
    assert (found["scope"], found["key"], found["revenue"]) == ("pool", "ltc", 1.1)
    assert found["realised_ratio"] == pytest.approx(1.1 / 1.165856, rel=1e-4)
    store.close()
