"""Days reconciled: once, late, by the pool's zone; and payouts valued when they came."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.pools.configured import PoolName
from tasks.pools.deriving import PoolsReport, derive_pools
from tasks.pools.settling import settlement_days
from tests.downsample.memory_store import MemoryStore
from tests.pools.telling import DAY, H, T, deliver, stored

VIABTC = [PoolName("via", "viabtc", "farm")]
NOW = T + DAY + H + 300
DIFFICULTY, REWARD, GROSS = 83_619_823.71858509, 6.25, 0.0142839479
"""Of reference/domain.md 2.3: what 9.5 GH/s earn in a day."""


@pytest.fixture
def store() -> MemoryStore:
    """A day of a worker of 9.5 GH/s, the network, and a price at the day's end."""
    opened = MemoryStore()
    worker = {"pool_id": "via", "worker_id": "farm.rig1", "algorithm": "scrypt", "status": "online"}
    rates = {"hashrate_reported_hs": 9.5e9, "reject_ratio": 0.0, "reject_basis": "rate"}
    deliver(opened, "pool_performance", [{**worker, **rates, "time": T + n * H} for n in range(24)])
    network = {"source": "explorer", "coin_id": "litecoin", "network_difficulty": DIFFICULTY, "block_reward": REWARD}
    deliver(opened, "network_data", [{**network, "time": T}])
    deliver(opened, "market_data", [price(T + DAY - 600, 81.6202)])
    return opened


def price(time: int, usd: float) -> dict[str, Any]:
    return {"time": time, "source": "coingecko", "coin_id": "litecoin", "price_usd": usd}


def payout(kind: str, time: int, amount: float, **more: Any) -> dict[str, Any]:
    reference = f"{kind} {time}"
    return {
        "time": time,
        "pool_id": "via",
        "coin_id": "litecoin",
        "kind": kind,
        "reference": reference,
        "amount": amount,
        **more,
    }


DAY_CREDIT = payout("credited", T, 0.014, settlement_day="2026-09-21", settlement_zone="UTC", fee_ratio=0.01)


def test_a_day_is_reconciled_once_and_again_when_a_payout_comes_late(store: MemoryStore) -> None:
    deliver(store, "pool_account", [{"time": T + 5 * H, "pool_id": "via", "coin_id": "litecoin", "unpaid": 1.0}])
    first = derive_pools(store, NOW, VIABTC, {})
    assert (first.payouts, first.days) == (0, 1)
    (row,) = stored(store, "pool_reconciliation")
    assert (row["time"], row["settlement_zone"], row["coverage_percent"]) == (T, "UTC", 100.0)
    assert row["predicted"] == pytest.approx(GROSS, rel=2e-5)  # hashrates are kept to 16 bits
    assert row["predicted_usd"] == pytest.approx(1.16586, rel=3e-5)
    assert (row["credited"], row["paid"], row["difference"]) == (None, None, None)
    assert row["reason"].startswith("credited is not known")
    assert derive_pools(store, NOW, VIABTC, {}) == PoolsReport()

    deliver(store, "pool_payout", [DAY_CREDIT, payout("paid", T + 7 * H, 0.5)])
    deliver(store, "market_data", [price(T - 600, 80.0), price(T + 7 * H, 80.5)])
    again = derive_pools(store, NOW, VIABTC, {})
    assert (again.payouts, again.days) == (2, 1)
    (row,) = stored(store, "pool_reconciliation")
    assert (row["credited"], row["paid"], row["reason"]) == (0.014, 0.5, "")
    assert row["explained_fee"] == pytest.approx(-0.01 * GROSS, rel=2e-5)
    assert row["unexplained"] == pytest.approx(0.014 - 0.99 * GROSS, rel=1e-2)
    # 0.014 LTC were 80 USD each when they were credited, at the day's start, and 81.6202 at its end
    assert row["price_effect_usd"] == pytest.approx(0.014 * (80.0 - 81.6202))
    valued = {row["kind"]: row["usd_at_receipt"] for row in stored(store, "pool_payout")}
    assert valued == {"credited": pytest.approx(0.014 * 80.0), "paid": pytest.approx(0.5 * 80.5)}
    assert derive_pools(store, NOW, VIABTC, {}) == PoolsReport()


def test_a_payout_without_a_price_of_its_time_stays_without_value(store: MemoryStore) -> None:
    deliver(store, "pool_payout", [payout("paid", T + 7 * H, 0.5), payout("paid", T + DAY - 60, 1.0)])
    assert derive_pools(store, NOW, VIABTC, {}).payouts == 1
    assert [row["usd_at_receipt"] for row in stored(store, "pool_payout")] == [None, pytest.approx(81.6202)]
    # a value that is there stays, whatever price comes late
    deliver(store, "market_data", [price(T + DAY - 120, 90.0), price(T + 7 * H, 90.0)])
    assert derive_pools(store, NOW, VIABTC, {}).payouts == 1
    assert [row["usd_at_receipt"] for row in stored(store, "pool_payout")] == [
        pytest.approx(45.0), pytest.approx(81.6202)
    ]  # fmt: skip


def test_what_a_coin_brought_is_valued_when_the_price_comes(store: MemoryStore) -> None:
    account = {"pool_id": "via", "coin_id": "litecoin"}
    deliver(
        store, "pool_account", [{**account, "time": T + n * H, "credited_total": 2.0 + n / 1_000} for n in range(25)]
    )
    derive_pools(store, NOW, VIABTC, {})

    def earned(period: str) -> list[float | None]:
        return [row["earnings_usd"] for row in stored(store, "pool_summary", dimension="coin", time_period=period)]

    # 0.001 LTC an hour; a price is known at the end of the last hour of the day alone
    assert [value is None for value in earned("1h")] == [True] * 23 + [False, True]
    assert earned("1h")[23] == pytest.approx(0.0816202)
    assert earned("1d") == [None]
    deliver(store, "market_data", [price(T + n * H, 80.0) for n in range(24)])
    derive_pools(store, NOW, VIABTC, {})
    # the first total of all tells no growth: 22 hours at 80, and the last at 81.6202
    assert earned("1h")[0] is None
    assert earned("1d") == [pytest.approx(22 * 0.08 + 0.0816202)]
    assert derive_pools(store, NOW, VIABTC, {}) == PoolsReport()


@pytest.mark.parametrize(
    ("kind", "told", "zone", "days"),
    [
        ("viabtc", [("paid", 9, "UTC"), ("credited", 5, "Asia/Shanghai")], "Asia/Shanghai", 2),
        ("viabtc", [("credited", 5, "Asia/Shanghai"), ("credited", 6, "UTC")], "UTC", 2),
        ("viabtc", [("credited", 5, "Mars/Base"), ("paid", 9, "Asia/Kolkata")], "Asia/Kolkata", 2),
        ("mining_dutch", [], "Europe/Amsterdam", 2),
        ("mining_dutch", [("paid", 1, None)], "Europe/Amsterdam", 2),
        ("litecoinpool", [("credited", 5, "Mars/Base")], "UTC", 2),
    ],
)
def test_the_zone_that_the_pool_said_last(kind: str, told: list[Any], zone: str, days: int) -> None:
    rows = [{"kind": how, "time": time, "settlement_zone": said} for how, time, said in told]
    found = settlement_days(kind, rows, T, T + 2 * DAY)
    assert {day.zone for day in found} == {zone}
    assert len(found) == days


def test_a_pool_that_is_not_configured_is_not_reconciled(store: MemoryStore) -> None:
    deliver(store, "pool_payout", [DAY_CREDIT])
    assert derive_pools(store, NOW, [PoolName("other", "viabtc", None)], {}).days == 0
