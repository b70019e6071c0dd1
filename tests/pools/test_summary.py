"""Hours and days by worker, algorithm and coin, and their moving averages, added up by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tasks.pools.summary import algorithm_mined, daily_rows, hourly_rows, moving_averages
from tasks.pools.workers.hours import WorkerHour
from tests.pools.telling import DAY, H, T, table

RIG1 = WorkerHour(T, "ltc", "farm.rig1", "scrypt", 9e9, "work", 980.0, 20.0, 0.02, "work", True)
RIG2 = replace(RIG1, worker_id="farm.rig2", hashrate_hs=3e9, accepted=300.0, lost=0.0, reject_ratio=0.0)


def account(time: int, coin: str, total: float | None) -> dict[str, Any]:
    return {"time": time, "pool_id": "ltc", "coin_id": coin, "credited_total": total}


def summed(workers: list[WorkerHour], *accounts: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    rows = hourly_rows(workers, table("pool_account", accounts), T)
    assert {(row["time"], row["pool_id"], row["time_period"]) for row in rows} <= {(T, "ltc", "1h")}
    return {(row["dimension"], row["key"]): row for row in rows}


def test_an_hour_by_worker_algorithm_and_coin() -> None:
    found = summed(
        [RIG1, RIG2],
        account(T - 300, "litecoin", 1.0),
        account(T + 1_500, "litecoin", 1.25),
        account(T + 3_300, "litecoin", 1.5),
        account(T + 3_300, "dogecoin", 7.0),  # one total tells no growth
    )
    assert set(found) == {
        ("worker", "farm.rig1"), ("worker", "farm.rig2"), ("algorithm", "scrypt"), ("coin", "litecoin"),
        ("coin", "dogecoin"),
    }  # fmt: skip
    scrypt = found["algorithm", "scrypt"]
    # 1,280 of 1,300 shares were accepted
    assert (scrypt["hashrate_effective_hs"], scrypt["workers"]) == (12e9, 2)
    assert (scrypt["acceptance_ratio"], scrypt["acceptance_basis"]) == (pytest.approx(0.984615, rel=1e-6), "work")
    assert found["worker", "farm.rig1"]["acceptance_ratio"] == pytest.approx(0.98)
    litecoin = found["coin", "litecoin"]
    assert (litecoin["amount"], litecoin["hashrate_effective_hs"]) == (pytest.approx(0.5), 12e9)
    # the same hashes count for both
    assert (found["coin", "dogecoin"]["amount"], found["coin", "dogecoin"]["hashrate_effective_hs"]) == (None, 12e9)


@pytest.mark.parametrize(
    ("totals", "amount"),
    [
        ([2.0, 2.0], 0.0),  # nothing was credited
        ([2.0, 1.0, 1.5], None),  # something was taken back: no growth
        ([2.0, None, 2.5], 0.5),
        ([None, None], None),
    ],
)
def test_what_a_coin_brought(totals: list[float | None], amount: float | None) -> None:
    accounts = (account(T + n * 300, "litecoin", total) for n, total in enumerate(totals))
    assert summed([], *accounts)["coin", "litecoin"]["amount"] == amount


def test_ratios_that_are_no_work_are_weighed_by_hashrate_and_never_mixed() -> None:
    rate: dict[str, Any] = {"accepted": None, "lost": None, "reject_basis": "rate"}
    one, two = replace(RIG1, reject_ratio=0.04, **rate), replace(RIG2, reject_ratio=0.0, **rate)
    row = summed([one, two])["algorithm", "scrypt"]
    # 0.96 of 9 and 1 of 3: 0.97
    assert (row["acceptance_ratio"], row["acceptance_basis"]) == (pytest.approx(0.97), "rate")
    mixed = summed([one, RIG2])["algorithm", "scrypt"]
    assert (mixed["acceptance_ratio"], mixed["acceptance_basis"]) == (None, None)
    idle = summed([replace(one, hashrate_hs=0.0), replace(two, hashrate_hs=None)])["algorithm", "scrypt"]
    assert idle["acceptance_ratio"] == pytest.approx(0.98)  # weights that are nothing weigh the same


def test_nothing_known_is_null() -> None:
    row = summed([replace(RIG1, hashrate_hs=None, accepted=None, lost=None, reject_ratio=None, seen=None)])
    assert row["worker", "farm.rig1"] == {
        "time": T, "pool_id": "ltc", "dimension": "worker", "key": "farm.rig1", "time_period": "1h",
        "hashrate_effective_hs": None, "acceptance_ratio": None, "acceptance_basis": None, "workers": 0,
    }  # fmt: skip
    assert hourly_rows([], table("pool_account", []), T) == []


@pytest.mark.parametrize(
    ("coin", "others", "algorithm"),
    [
        ("litecoin", ["litecoin", "dogecoin"], "scrypt"),
        ("dogecoin", ["litecoin", "dogecoin"], "scrypt"),
        ("bitcoin", ["bitcoin", "bitcoin-cash"], None),  # whose the hashes were is not told
        ("tether", ["tether"], None),
        ("no-such-coin", [], None),
    ],
)
def test_whose_the_hashes_are(coin: str, others: list[str], algorithm: str | None) -> None:
    assert algorithm_mined(coin, others) == algorithm


def hourly(time: int, hashrate: float | None, **more: Any) -> dict[str, Any]:
    told = {"pool_id": "ltc", "dimension": "algorithm", "key": "scrypt", "time_period": "1h"}
    nothing = {"amount": None, "earnings_usd": None, "workers": None, "acceptance_ratio": None}
    return {**told, **nothing, "time": time, "hashrate_effective_hs": hashrate, **more}


def test_moving_averages_need_all_their_hours() -> None:
    # 0, 1, 2 ... 167 in a week: the mean of the last day (144 ... 167) is 155.5, of the week 83.5
    rows = [hourly(T + n * H, float(n)) for n in range(168)]
    found = {row["time"]: row for row in moving_averages(table("pool_summary", rows), T, T + 7 * DAY)}
    last = found[T + 167 * H]
    assert (last["hashrate_ma_24h_hs"], last["hashrate_ma_7d_hs"]) == (pytest.approx(155.5), pytest.approx(83.5))
    assert min(found) == T + 23 * H
    assert "hashrate_ma_7d_hs" not in found[T + 166 * H]
    with_hole = moving_averages(
        table("pool_summary", [row for row in rows if row["time"] != T + 150 * H]), T, T + 7 * DAY
    )
    assert max(row["time"] for row in with_hole) == T + 149 * H
    assert moving_averages(table("pool_summary", []), T, T + DAY) == []


def test_a_day() -> None:
    rows = [
        hourly(T, 10.0, acceptance_ratio=0.9, acceptance_basis="work", workers=2, amount=0.1, earnings_usd=8.0),
        hourly(
            T + 2 * H, 30.0, acceptance_ratio=1.0, acceptance_basis="work", workers=5, amount=0.2, earnings_usd=16.0
        ),
        hourly(T + 3 * H, None),
    ]
    (day,) = daily_rows(rows)
    assert (day["time"], day["time_period"], day["hashrate_effective_hs"], day["workers"]) == (T, "1d", 20.0, 5)
    assert (day["acceptance_ratio"], day["acceptance_basis"]) == (pytest.approx(0.975), "work")
    assert (day["amount"], day["earnings_usd"]) == (pytest.approx(0.3), 24.0)
    assert (day["hashrate_ma_24h_hs"], day["hashrate_ma_7d_hs"]) == (None, None)
    # an hour whose coins have no price leaves no sum that silently lacks it
    (day,) = daily_rows([*rows, hourly(T + 4 * H, 1.0, amount=0.1)])
    assert (day["amount"], day["earnings_usd"]) == (pytest.approx(0.4), None)
    assert daily_rows([]) == []


def test_a_day_has_the_moving_averages_of_its_last_hour() -> None:
    (day,) = daily_rows([hourly(T, 1.0), hourly(T + 23 * H, 2.0, hashrate_ma_24h_hs=1.5)])
    assert (day["hashrate_ma_24h_hs"], day["hashrate_ma_7d_hs"]) == (1.5, None)
