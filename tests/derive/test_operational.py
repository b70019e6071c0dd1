"""Formulas of operational metrics: one miner at a time, every value worked out by hand in the comment beside it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tasks.derive.operational import CAUSES, COOLING_WINDOWS, HourSums, operational_columns

NAN = float("nan")
TH = 1e12
GOOD: dict[str, Any] = {
    "seconds": 3_600.0, "asked_s": 3_600.0, "reached_s": 3_600.0, "paused_s": 0.0, "unreachable_s": 0.0,
    "hashing_s": 3_600.0,
    "hashes": 100 * TH * 3_600, "hashes_s": 3_600.0, "joules": 3_000.0 * 3_600, "joules_s": 3_600.0,
    "nominal_hs": 100 * TH, "chip_c_sum": 70.0 * 60, "chip_c_count": 60.0, "air_c_sum": 25.0 * 60, "air_c_count": 60.0,
    "shares_accepted": 100.0, "shares_refused": 0.0, "pools_dead_s": 0.0, "lost_boards_s": 0.0,
}  # fmt: skip
"""100 TH/s at 3,000 W for an hour, nothing wrong, by the names of HourSums."""


def sums(*hours: dict[str, Any], windows: list[float] | None = None, chips: list[float] | None = None) -> HourSums:
    """Sums of one miner: each hour is GOOD but for what is given. Windows are level and cool by default."""
    made: dict[str, Any] = {name: np.array([[{**GOOD, **hour}[name] for hour in hours]]) for name in GOOD}
    before, count = [NAN] * COOLING_WINDOWS, 12 * len(hours)
    made["windows_hs"] = np.array([before + (windows or [100 * TH] * count)])
    made["windows_chip_c"] = np.array([before + (chips or [70.0] * count)])
    return HourSums(**made, scrypt=np.array([False]))


def row(found: HourSums, *, whole: bool = False) -> dict[str, Any]:
    """The first row; NaN is None."""
    first = {name: values[0] for name, values in operational_columns(found, whole=whole).items()}
    return {name: None if value != value else value for name, value in first.items()}


def test_an_hour_with_nothing_wrong():
    assert row(sums({})) == pytest.approx(
        {
            "hashrate_stability": 1.0,
            "power_efficiency_j_th": 30.0,  # 3,000 W / 100 TH/s
            "power_efficiency_j_mh": None,
            "thermal_efficiency": 0.4,  # (100 - 70) / (100 - 25)
            "uptime_percentage": 100.0,
            "hashing_uptime_percentage": 100.0,
            "planned_off_percentage": 0.0,
            "coverage_percentage": 100.0,
            "hashrate_expected_hs": 100 * TH,
            "hashrate_lost_hs": 0.0,
            **{f"lost_{cause}_hs": 0.0 for cause in CAUSES},
            "reason": "",
        }
    )


def test_an_l7_is_measured_in_joules_per_megahash():
    """domain.md 3.3: an L7 of 9.5 GH/s and 3,425 W takes about 0.36 J/MH; 3,425 / 9,500 = 0.360526."""
    found = sums({"hashes": 9.5e9 * 3_600, "joules": 3_425.0 * 3_600})
    object.__setattr__(found, "scrypt", np.array([True]))
    assert row(found)["power_efficiency_j_mh"] == pytest.approx(0.360526, abs=1e-6)
    assert row(found)["power_efficiency_j_th"] == pytest.approx(360_526.3, abs=0.1)


SILENT = {name: NAN for name in GOOD} | {"nominal_hs": 100 * TH}
CASES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    # what is wrong, the hour, what comes of it
    ("nothing is known", SILENT, {
        "coverage_percentage": 0.0, "uptime_percentage": None, "hashing_uptime_percentage": None,
        "hashrate_lost_hs": None, "power_efficiency_j_th": None, "reason": "no_readings"}),
    ("paused on purpose all the time: neither up nor down", {
        "paused_s": 3_600.0, "hashing_s": 0.0, "hashes": 0.0, "joules": 50.0 * 3_600}, {
        "uptime_percentage": None, "hashing_uptime_percentage": None, "planned_off_percentage": 100.0,
        "power_efficiency_j_th": None, "hashrate_lost_hs": 100 * TH, "lost_paused_hs": 100 * TH}),
    # 900 s paused: of the other 2,700 s it answered 1,800 and hashed 1,350
    ("paused, out of reach and stopped", {
        "paused_s": 900.0, "reached_s": 2_700.0, "unreachable_s": 900.0, "hashing_s": 1_350.0, "hashes_s": 2_700.0,
        "hashes": 100 * TH * 1_350}, {
        "uptime_percentage": 200 / 3, "hashing_uptime_percentage": 50.0, "planned_off_percentage": 25.0,
        # of 100 TH/s a quarter each: out of reach, paused; 450 s of 3,600 s nobody explains: 12.5
        "lost_unreachable_hs": 25 * TH, "lost_paused_hs": 25 * TH, "lost_unknown_hs": 12.5 * TH,
        "hashrate_lost_hs": 62.5 * TH}),
    # the collector was down for 1,800 s: what is known is whole
    ("half the hour is not known", {
        "seconds": 1_800.0, "asked_s": 1_800.0, "reached_s": 1_800.0, "hashing_s": 1_800.0,
        "hashes_s": 1_800.0, "joules_s": 1_800.0,
        "hashes": 100 * TH * 1_800, "joules": 3_000.0 * 1_800}, {
        "coverage_percentage": 50.0, "uptime_percentage": 100.0, "power_efficiency_j_th": 30.0,
        "hashrate_lost_hs": 0.0, "reason": "gap"}),
    # asked in the first half of the hour, in which it hashed 1,200 s; of the rest it told its hashrate afterwards
    ("half the hour is what the miner remembers", {
        "asked_s": 1_800.0, "reached_s": 1_800.0, "hashing_s": 1_200.0, "hashes": 90 * TH * 3_600}, {
        "coverage_percentage": 100.0, "uptime_percentage": 100.0, "hashing_uptime_percentage": 200 / 3,
        "hashrate_lost_hs": 10 * TH, "reason": "uptime_percentage:not_asked"}),
    ("the whole hour is what the miner remembers", {
        "asked_s": NAN, "reached_s": NAN, "paused_s": NAN, "unreachable_s": NAN, "hashing_s": NAN,
        "shares_accepted": NAN, "shares_refused": NAN, "pools_dead_s": NAN, "lost_boards_s": NAN}, {
        "coverage_percentage": 100.0, "uptime_percentage": None, "hashing_uptime_percentage": None,
        "planned_off_percentage": None, "power_efficiency_j_th": 30.0, "hashrate_lost_hs": 0.0,
        "reason": "uptime_percentage:not_asked"}),
    # one of three boards failed: a third of 99 TH/s
    ("a board failed", {"nominal_hs": 99 * TH, "hashes": 66 * TH * 3_600, "lost_boards_s": 1_200.0}, {
        "lost_board_hs": 33 * TH, "lost_unknown_hs": 0.0, "hashrate_lost_hs": 33 * TH}),
    # 2 of 100 shares: 2 % of 100 TH/s were hashed in vain
    ("shares are refused", {"shares_accepted": 98.0, "shares_refused": 2.0}, {
        "lost_pool_hs": 2 * TH, "hashrate_lost_hs": 2 * TH, "power_efficiency_j_th": 30.0}),
    ("no pool worked for half the hour", {"pools_dead_s": 1_800.0, "hashes": 50 * TH * 3_600}, {
        "lost_pool_hs": 50 * TH, "hashrate_lost_hs": 50 * TH}),
    ("above its nominal hashrate", {"hashes": 103 * TH * 3_600}, {"hashrate_lost_hs": 0.0, "lost_unknown_hs": 0.0}),
    ("causes claim more than was lost: the first have it", {
        "unreachable_s": 1_800.0, "reached_s": 1_800.0, "hashes_s": 1_800.0, "hashing_s": 1_800.0,
        "hashes": 100 * TH * 1_800, "pools_dead_s": 3_600.0, "lost_boards_s": 3_600.0}, {
        "lost_unreachable_hs": 50 * TH, "lost_pool_hs": 0.0, "lost_board_hs": 0.0, "hashrate_lost_hs": 50 * TH}),
    ("it does not hash: J/TH would be infinite", {"hashes": 0.0, "hashing_s": 0.0}, {
        "power_efficiency_j_th": None, "thermal_efficiency": None, "lost_unknown_hs": 100 * TH}),
    ("it tells no power", {"joules": NAN, "joules_s": NAN}, {
        "power_efficiency_j_th": None, "reason": "power_efficiency_j_th:no_power"}),
    ("it tells no air: 25 degrees are taken, and said", {"air_c_sum": NAN, "air_c_count": NAN}, {
        "thermal_efficiency": 0.4, "reason": "thermal_efficiency:air_assumed"}),
    ("chips above the limit", {"chip_c_sum": 104.0 * 60}, {"thermal_efficiency": 0.0}),
    ("it tells no temperature", {"chip_c_sum": NAN, "chip_c_count": NAN}, {
        "thermal_efficiency": None, "reason": "thermal_efficiency:no_chip_temperature"}),
    ("nobody knows what it should do", {"nominal_hs": NAN}, {
        "hashrate_expected_hs": None, "hashrate_lost_hs": None, "lost_unknown_hs": None,
        "reason": "hashrate_lost_hs:no_nominal_hashrate"}),
    ("it tells no shares: none are taken for refused", {"shares_accepted": NAN, "shares_refused": NAN}, {
        "hashrate_lost_hs": 0.0}),
]  # fmt: skip


@pytest.mark.parametrize(("hour", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_what_is_wrong(hour: dict[str, Any], expected: dict[str, Any]):
    windows = [NAN] * 12 if hour is SILENT else None
    found = row(sums(hour, windows=windows))
    assert {name: found[name] for name in expected} == pytest.approx(expected)
    parts = [found[f"lost_{cause}_hs"] for cause in CAUSES]
    assert None in parts or sum(parts) == pytest.approx(found["hashrate_lost_hs"], rel=1e-12)


STABILITY: list[tuple[str, list[float], float | None, str]] = [
    # mean 100, deviations 10 each: sqrt(100) / 100
    ("ten up, ten down", [90, 110] * 6, 0.9, ""),
    # mean 50, deviation 50: 1 - 1
    ("half of the time nothing", [0, 100] * 6, 0.0, ""),
    # mean 25, deviation sqrt(0.25 x 0.75) x 100 = 43.3: below 0
    ("seldom anything", [0, 0, 0, 100] * 3, 0.0, ""),
    ("four windows are enough", [90, 110, 90, 110] + [NAN] * 8, 0.9, ""),
    ("three are not", [90, 110, 100] + [NAN] * 9, None, "hashrate_stability:too_few_readings"),
    ("nothing at all: no mean to divide by", [0] * 12, None, "hashrate_stability:no_hashrate"),
]


@pytest.mark.parametrize(
    ("windows", "expected", "reason"), [one[1:] for one in STABILITY], ids=[c[0] for c in STABILITY]
)
def test_stability(windows: list[float], expected: float | None, reason: str):
    found = row(sums({}, windows=[one * TH for one in windows]))
    assert found["hashrate_stability"] == pytest.approx(expected)
    assert found["reason"] == reason


def test_a_day_is_its_hours_added_up_not_their_mean():
    """100 TH/s at 3,000 W, then 50 TH/s at 2,000 W: 5,000 / 150 = 33.33 J/TH, where the mean of ratios would be 35.
    Of 200 TH/s x h 50 are lost, over two hours 25 TH/s. Of the other 22 hours nothing is known."""
    hours = [{}, {"hashes": 50 * TH * 3_600, "joules": 2_000.0 * 3_600, "lost_boards_s": 1_800.0}, *[SILENT] * 22]
    found = row(sums(*hours, windows=[100 * TH] * 12 + [50 * TH] * 12 + [NAN] * 264), whole=True)
    assert found["power_efficiency_j_th"] == pytest.approx(100 / 3)
    assert found["coverage_percentage"] == pytest.approx(100 * 2 / 24)
    assert (found["hashrate_expected_hs"], found["hashrate_lost_hs"]) == pytest.approx((100 * TH, 25 * TH))
    assert found["lost_board_hs"] == pytest.approx(25 * TH)
    assert found["hashrate_stability"] is None
    assert found["reason"] == "gap,hashrate_stability:too_few_readings"


def test_what_is_lost_while_hot_and_while_cooling_down_is_heat():
    """At 20 minutes the chips are at 86 degrees and it makes 40 of 100 TH/s for five minutes, then stops; five minutes
    later they are cool. Heat explains 60 and six windows of 100, x 300 s / 3,600 s = 55 TH/s; the last window of the
    hour is beyond half an hour, and nobody knows why: 100 x 300 / 3,600 = 8.33."""
    windows = [100 * TH] * 4 + [40 * TH] + [0.0] * 7
    chips = [70.0] * 4 + [86.0] + [60.0] * 7
    found = row(sums({"hashes": sum(windows) * 300, "hashing_s": 1_500.0}, windows=windows, chips=chips))
    assert found["lost_heat_hs"] == pytest.approx(55 * TH)
    assert found["lost_unknown_hs"] == pytest.approx(100 * TH / 12)
