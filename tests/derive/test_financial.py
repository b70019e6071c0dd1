"""Money of one miner in one hour, and of its days: worked examples of domain.md 3, or by hand in the comment."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tasks.derive.financial import HourInputs, Money, hour_money, money_columns, of_group, of_whole_day
from tasks.derive.network import Chain, merged_usd_per_th_day
from tasks.derive.returns import break_even_days, cumulative, roi_percent, trailing_mean

NAN = float("nan")
TH = 1e12
GOOD: dict[str, float] = {
    "seconds": 3_600.0, "unreachable_s": 0.0, "paused_s": 0.0, "hashes": 100 * TH * 3_600, "hashes_s": 3_600.0,
    "joules": 3_000.0 * 3_600, "joules_s": 3_600.0, "shares_accepted": 1_000.0, "shares_refused": 0.0, "devfee": 0.0,
    "plate_j_th": NAN, "delivered_hs": NAN, "delivered_net_hs": NAN, "pool_fee": 0.0, "untold_hs": NAN,
    "astray": False, "usd_th_day": 0.048, "usd_kwh": 0.05,
}  # fmt: skip
"""100 TH/s at 3,000 W for an hour, 0.048 USD per TH and day, 0.05 USD per kWh, by the names of HourInputs."""


def inputs(*hours: dict[str, float], other: float = 0.0) -> HourInputs:
    made: dict[str, Any] = {name: np.array([[{**GOOD, **hour}[name] for hour in hours]]) for name in GOOD}
    return HourInputs(**made, other_usd_h=other)


def row(money: Money, number: int = 0) -> dict[str, Any]:
    """A row; NaN is None."""
    told = {name: values[number] for name, values in money_columns(money).items()}
    return {name: None if value != value else value for name, value in told.items()}


def test_an_hour_with_nothing_wrong():
    assert row(hour_money(inputs({}))) == pytest.approx(
        {
            "revenue": 0.2,  # 100 TH/s x 0.048 / 24
            "fees": 0.0,
            "electricity_cost": 0.15,  # 3 kWh x 0.05
            "cost": 0.15,
            "profit": 0.05,
            "energy_kwh": 3.0,
            "hashrate_paid_hs": 100 * TH,
            "hashprice_usd_th_day": 0.048,
            "hashcost_usd_th_day": 0.036,  # 30 J/TH x 0.05 x 24 / 1,000 (domain.md 3.1)
            "break_even_usd_kwh": 0.2 / 3,
            "currency": "USD",
            "reason": "revenue:measured_by_miner",
        }
    )


def test_the_worked_row_of_an_l7_without_dogecoin():
    """domain.md 3.2: L7 of 9.5 GH/s and 3,425 W, devfee 2.8 %, pool 1 %, LTC at 81.62 USD and difficulty
    83,619,823.71858509 with 6.25 a block, 0.06 USD a kWh: net 1.12188 USD, power 4.932, profit -3.810 USD a day."""
    usd = merged_usd_per_th_day([Chain("litecoin", "scrypt", 83_619_823.71858509, 6.25, 81.62)])
    assert usd is not None
    l7 = {"hashes": 9.5e9 * 3_600, "joules": 3_425.0 * 3_600, "devfee": 0.028, "pool_fee": 0.01}
    day = row(of_whole_day(hour_money(inputs(*[l7 | {"usd_th_day": usd, "usd_kwh": 0.06}] * 24))))
    assert day["revenue"] == pytest.approx(1.12188, abs=1e-5)
    assert day["electricity_cost"] == pytest.approx(4.932)
    assert day["profit"] == pytest.approx(-3.810, abs=1e-3)
    # gross 1.16586 less net
    assert day["fees"] == pytest.approx(1.16586 - 1.12188, abs=1e-5)


HALF_OF_IT = {"seconds": 1_700.0, "hashes": 100 * TH * 1_700, "hashes_s": 1_700.0, "joules": 5.1e6, "joules_s": 1_700.0}
CASES: list[tuple[str, dict[str, float], dict[str, Any]]] = [
    ("the pool tells the work: devfee is gone already, its own fee is not", {
        "devfee": 0.05, "delivered_hs": 90 * TH, "delivered_net_hs": 89.1 * TH, "pool_fee": 0.01}, {
        # 89.1 x 0.048 / 24; the fee is 0.9 of it
        "revenue": 0.1782, "fees": 0.0018, "hashrate_paid_hs": 90 * TH, "reason": ""}),
    ("the miner tells it: both fees, once each", {"devfee": 0.028, "pool_fee": 0.01}, {
        # 0.2 x 0.972 x 0.99
        "revenue": 0.192456, "fees": 0.007544, "hashrate_paid_hs": 97.2 * TH}),
    ("refused shares earn nothing", {"shares_accepted": 980.0, "shares_refused": 20.0}, {"revenue": 0.196}),
    ("nobody told the pool's fee: none is off, and said", {"pool_fee": NAN}, {
        "revenue": 0.2, "reason": "revenue:measured_by_miner,revenue:pool_fee_unknown"}),
    ("no price", {"usd_th_day": NAN}, {
        "revenue": None, "cost": 0.15, "profit": None, "hashprice_usd_th_day": None, "reason": "revenue:no_hashprice"}),
    ("no tariff", {"usd_kwh": NAN}, {
        "revenue": 0.2, "electricity_cost": None, "cost": None, "profit": None, "energy_kwh": 3.0,
        "hashcost_usd_th_day": None, "break_even_usd_kwh": 0.2 / 3,
        "reason": "revenue:measured_by_miner,cost:no_tariff"}),
    ("power is free: no cost is a cost", {"usd_kwh": 0.0}, {"cost": 0.0, "profit": 0.2, "hashcost_usd_th_day": 0.0}),
    ("no power, and its nameplate is not known", {"joules": NAN, "joules_s": NAN}, {
        "energy_kwh": None, "cost": None, "profit": None, "break_even_usd_kwh": None,
        "reason": "revenue:measured_by_miner,cost:no_power"}),
    # 34.5 J/TH x 100 TH/s = 3,450 W
    ("no power: that of its nameplate at this hashrate", {"joules": NAN, "joules_s": NAN, "plate_j_th": 34.5}, {
        "energy_kwh": 3.45, "cost": 0.1725, "reason": "revenue:measured_by_miner,cost:power_estimated"}),
    ("it does not hash: nothing to divide by", {"hashes": 0.0}, {
        "revenue": 0.0, "profit": -0.15, "hashcost_usd_th_day": None, "break_even_usd_kwh": 0.0}),
    ("paused on purpose: what it draws is paid", {"hashes": 0.0, "paused_s": 3_600.0, "joules": 100.0 * 3_600}, {
        "revenue": 0.0, "cost": 0.005, "profit": -0.005}),
    ("nobody reached it: no work, no power", {
        "unreachable_s": 3_600.0, "hashes": NAN, "hashes_s": NAN, "joules": NAN, "joules_s": NAN}, {
        "revenue": 0.0, "energy_kwh": 0.0, "cost": 0.0, "profit": 0.0, "break_even_usd_kwh": None}),
    ("nobody reached it, but the pool saw its work", {
        "unreachable_s": 3_600.0, "hashes": NAN, "hashes_s": NAN, "joules": NAN, "joules_s": NAN,
        "delivered_hs": 100 * TH, "delivered_net_hs": 100 * TH, "plate_j_th": 30.0}, {
        "revenue": 0.2, "energy_kwh": 3.0, "cost": 0.15, "reason": "cost:power_estimated"}),
    ("three quarters are known: they hold for the hour", {
        "seconds": 2_700.0, "hashes": 100 * TH * 2_700, "hashes_s": 2_700.0, "joules": 3_000.0 * 2_700,
        "joules_s": 2_700.0}, {"revenue": 0.2, "energy_kwh": 3.0}),
    ("less than half is known", HALF_OF_IT, {
        "revenue": None, "energy_kwh": None, "profit": None, "reason": "revenue:no_work,cost:no_power"}),
    ("nothing is known, but what the pool credited", {
        **{name: NAN for name in GOOD}, "astray": False, "delivered_hs": 100 * TH, "delivered_net_hs": 99 * TH,
        "pool_fee": 0.01, "usd_th_day": 0.048, "usd_kwh": 0.05}, {
        "revenue": 0.198, "energy_kwh": None, "profit": None}),
]  # fmt: skip


@pytest.mark.parametrize(("hour", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_what_is_different(hour: dict[str, float], expected: dict[str, Any]):
    found = row(hour_money(inputs(hour)))
    assert {name: found[name] for name in expected} == pytest.approx(expected)


def test_other_cost_is_of_every_hour():
    # 0.15 + 0.48 / 24
    assert row(hour_money(inputs({}, other=0.02)))["cost"] == pytest.approx(0.17)


def test_a_day_is_the_sum_of_the_hours_that_are_known_and_its_ratios_are_of_sums():
    """Two hours of 0.2 and 0.1 USD for 0.15 each, one without a tariff: revenue 0.5 of three, profit 0.0 of two.
    Break-even is by all energy: 0.5 / 9; the cost of hashing by two of them: 0.3 USD / 540,000 TH x 86,400."""
    hours = [{}, {"hashes": 50 * TH * 3_600}, {"usd_kwh": NAN}]
    day = of_whole_day(hour_money(inputs(*hours)))
    found = row(day)
    assert (found["revenue"], found["electricity_cost"], found["profit"]) == pytest.approx((0.5, 0.3, 0.0))
    assert day.known.tolist() == [[2.0]]
    assert found["break_even_usd_kwh"] == pytest.approx(0.5 / 9)
    assert found["hashcost_usd_th_day"] == pytest.approx(0.048)
    # (100 + 50 + 100) / 3
    assert found["hashrate_paid_hs"] == pytest.approx(250 / 3 * TH)
    assert found["reason"] == "revenue:measured_by_miner,cost:no_tariff,profit:hours_missing"


def test_a_group_is_the_sum_of_the_miners_that_are_known():
    """100 TH/s at 0.048 and 1 TH/s at 4.8: worth of a TH/s by work is (4.8 + 4.8) / 101; one miner is not known."""
    parts = [hour_money(inputs(one)) for one in ({}, {"hashes": TH * 3_600, "usd_th_day": 4.8}, HALF_OF_IT)]
    money = Money(
        {name: np.vstack([part.amounts[name] for part in parts]) for name in parts[0].amounts},
        np.vstack([part.hashrate for part in parts]),
        {
            name: (
                np.vstack([part.ratios[name][0] for part in parts]),
                np.vstack([part.ratios[name][1] for part in parts]),
            )
            for name in parts[0].ratios
        },
        np.vstack([part.known for part in parts]),
        {},
    )
    everyone, last = np.ones((3, 1), dtype=bool), np.array([[False], [False], [True]])
    found = row(of_group(money, everyone))
    assert (found["revenue"], found["profit"]) == pytest.approx((0.4, 0.1))
    assert found["hashprice_usd_th_day"] == pytest.approx(9.6 / 101)
    assert found["reason"] == "profit:miners_missing"
    assert of_group(money, everyone).known.tolist() == [[2.0]]
    assert row(of_group(money, last))["reason"] == "profit:no_miner_known"
    assert row(of_group(money, last))["revenue"] is None


def test_cumulative_profit_goes_on_over_days_that_are_not_known():
    days = np.array([[1.0, NAN, 3.0], [NAN, 2.0, NAN]])
    assert cumulative(days, np.array([[10.0], [NAN]]))[0].tolist() == [11.0, 11.0, 14.0]
    assert cumulative(days, np.array([[10.0], [NAN]]))[1].tolist() == pytest.approx([NAN, 2.0, 2.0], nan_ok=True)


def test_trailing_mean_is_of_thirty_days_and_of_those_known():
    profit = np.array([[100.0] + [2.0] * 29 + [NAN] + [4.0]])
    # the last: 28 days of 2, one of 4, and one that is not known; the day before it: 29 of 2 of 30 days
    assert trailing_mean(profit, 2)[0].tolist() == pytest.approx([2.0, (28 * 2 + 4) / 29])


@pytest.mark.parametrize(
    ("earned", "price", "daily", "roi", "days"),
    [
        (500.0, 2_000.0, 5.0, 25.0, 300.0),  # 1,500 left at 5 a day
        (-100.0, 2_000.0, 5.0, -5.0, 420.0),
        (2_000.0, 2_000.0, 5.0, 100.0, 0.0),
        (2_500.0, 2_000.0, -5.0, 125.0, 0.0),  # recovered is recovered
        (2_000.0, 2_000.0, -5.0, 100.0, 0.0),
        (500.0, 2_000.0, 0.0, 25.0, NAN),  # never infinite
        (500.0, 2_000.0, -5.0, 25.0, NAN),  # never negative
        (500.0, NAN, 5.0, NAN, NAN),
        (NAN, 2_000.0, NAN, NAN, NAN),
        (5.0, 0.0, 5.0, NAN, 0.0),  # a gift has no return in percent, and is earned back
    ],
)
def test_return_on_investment(earned: float, price: float, daily: float, roi: float, days: float):
    one, cost, rate = np.array([[earned]]), np.array([[price]]), np.array([[daily]])
    assert roi_percent(one, cost)[0, 0] == pytest.approx(roi, nan_ok=True)
    assert break_even_days(one, cost, rate)[0, 0] == pytest.approx(days, nan_ok=True)
