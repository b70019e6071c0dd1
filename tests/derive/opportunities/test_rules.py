"""Every rule of advice by tables, its gain worked by hand in the comments; nulls and zeros too."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.derive.opportunities.facts import CoinPay, Facts, PoolPay, PresetRecord
from tasks.derive.opportunities.rule import Found
from tasks.derive.opportunities.rules import RULES

TH = 1e12
BY_TYPE = {rule.type: rule for rule in RULES}

# An S19 as it should be: 99 TH/s at 3,300 W, 0.06 USD/TH/day, 0.05 USD/kWh:
# worth 99 x 0.06 = 5.94 USD a day, power 3.3 x 24 x 0.05 = 3.96 USD a day.
WELL: dict[str, Any] = {
    "miner_id": "m1", "model": "S19", "algorithm": "sha256d", "hours": 24, "hashrate_hs": 99 * TH,
    "nominal_hs": 99 * TH, "power_w": 3_300.0, "chip_max_c": 70.0, "fan_duty_percent": 70.0, "boards_expected": 3,
    "fan_hours": 24, "board_hours": 24, "power_limit_w": 3_300, "usd_th_day": 0.06, "tariff": (0.05,) * 24,
    "coins": "bitcoin", "coin_pays": {"bitcoin": CoinPay(0.06, 24)}, "pool_id": "here",
    "pool_pays": {"here": PoolPay(0.06, 24)}, "worker_status": "matched", "worker_hours": 24,
}  # fmt: skip


def found(rule: str, **fields: Any) -> list[Found]:
    return list(BY_TYPE[rule].find(Facts(**{**WELL, **fields})))


def test_a_miner_that_is_well_needs_nothing() -> None:
    facts = Facts(**WELL)
    assert [one for rule in RULES for one in rule.find(facts)] == []
    assert [one for rule in RULES for one in rule.find(Facts(miner_id="unknown"))] == []


def test_each_rule_has_a_type_of_its_own() -> None:
    assert len(BY_TYPE) == len(RULES) == 9


BOARD = {"lost_boards": {"2": 6}, "hashrate_hs": 66 * TH, "power_w": 2_200.0}
LOW = PresetRecord(2_400, 84 * TH, 2_400.0, 100, 5)
NOW = PresetRecord(3_300, 99 * TH, 3_300.0, 100, 5)
HIGHER = PresetRecord(3_600, 105 * TH, 3_700.0, 20, 1)
SELDOM = PresetRecord(2_400, 84 * TH, 2_400.0, 11, 5)
TWO_POOLS = {"here": PoolPay(0.06, 24), "there": PoolPay(0.07, 24)}
TWO_COINS = {"bitcoin": CoinPay(0.06, 24), "bitcoin-cash": CoinPay(0.066, 24)}
NIGHT = (0.09,) * 16 + (0.04,) * 8


@pytest.mark.parametrize(
    ("rule", "fields", "subject", "impact", "confidence"),
    [
        # a third of 99 TH/s brings 33 x 0.06 = 1.98 and draws 2,200 / 66 x 33 = 1,100 W, 1.32 USD a day
        ("board", BOARD, "board 2", 0.66, 0.9),
        ("board", BOARD | {"lost_boards": {"2": 2}}, "board 2", 0.66, 0.3),  # 0.9 x 2 of 6 hours
        ("board", BOARD | {"tariff": None}, "board 2", None, 0.9),
        ("board", BOARD | {"nominal_hs": None}, "board 2", None, 0.9),
        ("board", BOARD | {"nominal_hs": None, "plate_hs": 99 * TH}, "board 2", 0.66, 0.9),
        # 9 TH/s short of the preset: 0.54
        ("fan", {"lost_fans": {"1": 6}, "hashrate_hs": 90 * TH}, "fan 1", 0.54, 0.95),
        ("fan", {"lost_fans": {"1": 6}}, "fan 1", 0.0, 0.95),
        ("fan", {"lost_fans": {"1": 6}, "lost_boards": {"2": 6}, "hashrate_hs": 66 * TH}, "fan 1", 0.0, 0.95),
        (
            "cooling",
            {"chip_max_c": 88.0, "fan_duty_percent": 100.0, "hashrate_hs": 90 * TH},
            "too hot",
            0.54,
            0.7,
        ),
        ("cooling", {"chip_max_c": 52.0, "fan_duty_percent": 30.0, "presets": (LOW, NOW)}, "too cold", None, 0.4),
        # 84 x 0.04 - 2.4 x 1.2 = 0.48 against 99 x 0.04 - 3.3 x 1.2 = 0.00 USD a day
        ("preset", {"presets": (LOW, NOW), "usd_th_day": 0.04}, "preset 2400 W", 0.48, 0.8),
        # break even at 5.94 / 79.2 = 0.075 USD/kWh; 16 h x 3.3 kW x 0.015
        ("throttle", {"tariff": NIGHT}, "hours", 0.792, 0.85),
        # 24 x 3.3 x (0.09 - 0.075)
        ("throttle", {"tariff": (0.09,) * 24}, "stop", 1.188, 0.85),
        # 99 x 0.01 x 0.98 kept after the devfee
        ("pool", {"pool_pays": TWO_POOLS, "kept": 0.98}, "pool there", 0.9702, 0.5),
        # 99 x 0.006
        ("coin", {"coin_pays": TWO_COINS}, "bitcoin-cash", 0.594, 0.5),
        (
            "merge_mining",
            {
                "coins": "litecoin+dogecoin",
                "coin_pays": {"litecoin+dogecoin": CoinPay(0.9, 24, {"litecoin": 0.3, "dogecoin": 0.6})},
                "credited_coins": frozenset({"litecoin"}),
                "hashrate_hs": 0.0095 * TH,
            },
            "dogecoin",
            0.0057,
            0.6,
        ),
        ("worker", {"worker_status": "wrong_pool", "worker_hours": 3}, "wrong_pool", 5.94, 0.9),
        ("worker", {"worker_status": "duplicate_worker", "worker_hours": 1}, "duplicate_worker", 0.0, 0.17),
        ("worker", {"worker_status": "fee_only", "usd_th_day": None}, "fee_only", None, 0.9),
    ],
)  # fmt: skip
def test_what_is_found_and_what_it_brings(
    rule: str, fields: dict[str, Any], subject: str, impact: float | None, confidence: float
) -> None:
    (one,) = found(rule, **fields)
    assert one.subject == subject
    assert one.impact == (None if impact is None else pytest.approx(impact, abs=1e-9))
    assert one.confidence == pytest.approx(confidence, abs=0.006)
    assert one.description
    assert one.evidence
    assert one.falsified_by


@pytest.mark.parametrize(
    ("rule", "fields"),
    [
        ("board", {"lost_boards": {"2": 1}}),  # an hour may be a restart
        ("fan", {"lost_fans": {"1": 1}}),
        ("cooling", {"chip_max_c": 88.0, "fan_duty_percent": 100.0}),  # hot, and makes what it should
        ("cooling", {"chip_max_c": 88.0, "fan_duty_percent": 100.0, "hashrate_hs": 90 * TH, "lost_fans": {"1": 6}}),
        ("cooling", {"chip_max_c": 52.0, "fan_duty_percent": 30.0, "presets": (NOW, HIGHER)}),
        ("preset", {"presets": (LOW, NOW), "usd_th_day": 0.075}),  # 84 x 0.075 - 2.88 = 3.42 against 7.425 - 3.96
        ("preset", {"presets": (NOW,), "usd_th_day": 0.04}),
        ("preset", {"presets": (SELDOM, NOW), "usd_th_day": 0.04}),
        ("preset", {"presets": (LOW, NOW), "usd_th_day": 0.04, "tariff": None}),
        ("preset", {"presets": (LOW, NOW), "usd_th_day": 0.04, "lost_boards": {"1": 6}}),
        ("throttle", {"tariff": None}),
        ("throttle", {"power_w": 0.0, "tariff": NIGHT}),
        ("throttle", {"usd_th_day": None, "tariff": NIGHT}),
        ("pool", {"pool_pays": {"here": PoolPay(0.06, 24), "there": PoolPay(0.061, 24)}}),  # below 2 %
        ("pool", {"pool_pays": {"there": PoolPay(0.07, 24)}}),  # what it has now is not known
        ("coin", {"coin_pays": {"bitcoin": CoinPay(0.06, 24), "bitcoin-cash": CoinPay(0.07, 5)}}),
        ("merge_mining", {"coins": "litecoin+dogecoin", "credited_coins": frozenset()}),
        ("worker", {"worker_status": None}),
    ],
)  # fmt: skip
def test_what_is_left_alone(rule: str, fields: dict[str, Any]) -> None:
    assert found(rule, **fields) == []


@pytest.mark.parametrize(
    ("rule", "subject", "fields", "taken"),
    [
        ("fan", "fan 1", {}, True),
        ("fan", "fan 1", {"lost_fans": {"1": 3}}, False),
        ("board", "board 2", {"lost_boards": {"1": 3}}, True),
        ("preset", "preset 2400 W", {"power_limit_w": 2_400}, True),
        ("preset", "preset 2400 W", {}, False),
        ("throttle", "stop", {"idle_hours": 24}, True),
        ("throttle", "hours", {"idle_hours": 3}, True),
        ("throttle", "hours", {}, False),
        ("pool", "pool there", {"pool_id": "there", "pool_pays": {"there": PoolPay(0.07, 24)}}, True),
        ("worker", "wrong_pool", {}, True),
        ("worker", "wrong_pool", {"worker_status": "missing_worker"}, False),
    ],
)
def test_what_counts_as_taken(rule: str, subject: str, fields: dict[str, Any], taken: bool) -> None:
    facts = Facts(**{**WELL, **fields})
    assert BY_TYPE[rule].known(facts)
    assert BY_TYPE[rule].taken(facts, subject) == taken
