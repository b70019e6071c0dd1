"""How a miner worked in an hour or a day: ``operational_metrics``. Pure; formulas stand in docs/derived-metrics.md.

All of it is worked out from sums over hours (seconds, hashes, joules), so a day is its hours added up and then divided
once, never a mean of ratios.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from storage.downsample.rollup import HOUR_S
from tasks.derive.hour_grid import Floats, ratio, words_of

WINDOW_S = 300
"""Hashrate is averaged over such windows before its deviation is taken: how often a miner is polled is no matter."""
WINDOWS = HOUR_S // WINDOW_S
KNOWN_WINDOWS = 1 / 3
"""Part of a period's windows that must be known for its stability."""

HOT_C = 85.0
"""Chips from here on are too hot: firmwares throttle or stop."""
LIMIT_C = 100.0
"""Chips switch off near it (tasks/normalize/limits.py)."""
AIR_C = 25.0
"""Air at the intake where no sensor tells it."""
COOLING_WINDOWS = 6
"""A miner that was too hot is still off for up to half an hour after that."""

CAUSES = ("unreachable", "paused", "pool", "board", "heat", "unknown")
"""Causes of lost hashrate, in the order in which they are taken off what was lost."""


@dataclass(frozen=True)
class HourSums:
    """What is known of miners in hours: matrices of miners x hours, NaN where nothing is.

    ``seconds`` known at all, of them those in which it was asked for an answer (of others the miner itself told
    later), then those in which it answered, was paused, not reached, and hashed; ``hashes`` and ``joules`` with the
    seconds in which they were measured; ``nominal_hs``; sums and counts of the temperatures; shares; seconds in which
    no pool of the user's worked; ``lost_boards_s``: seconds x part of the boards that failed.
    ``windows_hs``, ``windows_chip_c``: miners x windows of 300 s, :data:`COOLING_WINDOWS` before the first hour too.
    ``scrypt``: by miner.
    """

    seconds: Floats
    asked_s: Floats
    reached_s: Floats
    paused_s: Floats
    unreachable_s: Floats
    hashing_s: Floats
    hashes: Floats
    hashes_s: Floats
    joules: Floats
    joules_s: Floats
    nominal_hs: Floats
    chip_c_sum: Floats
    chip_c_count: Floats
    air_c_sum: Floats
    air_c_count: Floats
    shares_accepted: Floats
    shares_refused: Floats
    pools_dead_s: Floats
    lost_boards_s: Floats
    windows_hs: Floats
    windows_chip_c: Floats
    scrypt: npt.NDArray[np.bool_]


Columns = Mapping[str, Floats | list[str]]


def operational_columns(sums: HourSums, *, whole: bool) -> Columns:
    """Fields of ``operational_metrics``, each flattened over miners x hours; ``whole``: one value a miner over all the
    hours, which are a day."""
    hours = sums.seconds.shape[1]

    def total(matrix: Floats) -> Floats:
        return _added(matrix) if whole else matrix

    known, asked, reached, paused = (
        np.nan_to_num(total(one)) for one in (sums.seconds, sums.asked_s, sums.reached_s, sums.paused_s)
    )
    hashes, hashes_s, joules, joules_s = map(total, (sums.hashes, sums.hashes_s, sums.joules, sums.joules_s))
    wanted_s = asked - paused
    hashrate, watts = ratio(hashes, hashes_s), ratio(joules, joules_s)
    efficiency = 1e12 * ratio(watts, hashrate)
    chip = ratio(total(sums.chip_c_sum), total(sums.chip_c_count))
    air = ratio(total(sums.air_c_sum), total(sums.air_c_count))
    breathed = np.where(np.isnan(air), AIR_C, air)
    thermal = np.clip(ratio(LIMIT_C - chip, LIMIT_C - breathed), 0.0, 1.0)
    hashed = np.nan_to_num(hashes) > 0
    thermal = np.where(hashed, thermal, np.nan)
    stable, enough = _stability(sums.windows_hs[:, COOLING_WINDOWS:], hours if whole else 1)
    expected, lost = lost_hashes(sums)
    told_s = total(_told_s(sums, expected))
    percent = {
        "uptime_percentage": np.clip(100 * ratio(reached - paused, wanted_s), 0, 100),
        "hashing_uptime_percentage": np.clip(100 * ratio(np.nan_to_num(total(sums.hashing_s)), wanted_s), 0, 100),
        "planned_off_percentage": 100 * ratio(paused, asked),
        "coverage_percentage": np.clip(100 * known / (HOUR_S * (hours if whole else 1)), 0, 100),
    }
    hashrates = {"hashrate_expected_hs": ratio(total(expected), told_s)}
    hashrates |= {f"lost_{cause}_hs": ratio(total(lost[cause]), told_s) for cause in CAUSES}
    hashrates["hashrate_lost_hs"] = np.sum([hashrates[f"lost_{cause}_hs"] for cause in CAUSES], axis=0)
    silent, scrypt = known == 0, np.broadcast_to(sums.scrypt[:, None], known.shape)
    no_hashrate = ~silent & ~hashed
    reasons = {
        "no_readings": silent,
        "gap": ~silent & (percent["coverage_percentage"] < 99),
        "uptime_percentage:not_asked": asked < 0.99 * known,
        "uptime_percentage:planned_off": (asked > 0) & (wanted_s <= 0),
        "hashrate_stability:too_few_readings": ~silent & ~enough,
        "hashrate_stability:no_hashrate": enough & np.isnan(stable),
        "power_efficiency_j_th:no_hashrate": no_hashrate,
        "power_efficiency_j_th:no_power": ~silent & hashed & np.isnan(watts),
        "thermal_efficiency:no_hashrate": no_hashrate,
        "thermal_efficiency:no_chip_temperature": hashed & np.isnan(chip),
        "thermal_efficiency:air_assumed": ~np.isnan(thermal) & np.isnan(air),
        "hashrate_lost_hs:no_nominal_hashrate": ~silent & np.isnan(hashrates["hashrate_expected_hs"]),
    }
    columns: dict[str, Floats | list[str]] = {
        "hashrate_stability": stable,
        "power_efficiency_j_th": efficiency,
        "power_efficiency_j_mh": np.where(scrypt, efficiency / 1e6, np.nan),
        "thermal_efficiency": thermal,
        **percent,
        **hashrates,
    }
    return {name: np.asarray(one).reshape(-1) for name, one in columns.items()} | {"reason": words_of(reasons)}


def lost_hashes(sums: HourSums) -> tuple[Floats, dict[str, Floats]]:
    """Hashes that each hour should have had, and those that it lacks of them, by cause; NaN without a nominal hashrate.

    Causes are taken off in the order of :data:`CAUSES`, each at most what is left, and what is left in the end has no
    known cause: so they add up to the whole. A miner above its nominal hashrate has lost nothing.
    """
    nominal = sums.nominal_hs
    expected = nominal * _seconds_told(sums)
    refused = ratio(sums.shares_refused, sums.shares_accepted + sums.shares_refused)
    made = np.nan_to_num(sums.hashes)
    in_vain = made * np.nan_to_num(refused)
    left = np.maximum(expected - (made - in_vain), 0.0)
    claims = {
        "unreachable": nominal * np.nan_to_num(sums.unreachable_s),
        "paused": nominal * np.nan_to_num(sums.paused_s),
        "pool": nominal * np.nan_to_num(sums.pools_dead_s) + in_vain,
        "board": nominal * np.nan_to_num(sums.lost_boards_s),
        "heat": _short_while_hot(sums),
    }
    lost: dict[str, Floats] = {}
    for cause, claim in claims.items():
        lost[cause] = np.minimum(claim, left)
        left = left - lost[cause]
    return expected, lost | {"unknown": left}


def _seconds_told(sums: HourSums) -> Floats:
    """Seconds of which it is known how much was hashed: measured, or none since nobody reached it or it was paused."""
    told = np.nan_to_num(sums.hashes_s) + np.nan_to_num(sums.unreachable_s) + np.nan_to_num(sums.paused_s)
    return np.minimum(np.nan_to_num(sums.seconds), told)


def _told_s(sums: HourSums, expected: Floats) -> Floats:
    return np.where(np.isnan(expected), np.nan, _seconds_told(sums))


def _short_while_hot(sums: HourSums) -> Floats:
    """Hashes below nominal in windows in which the chips were too hot, or had been in the half hour before."""
    hot = sums.windows_chip_c >= HOT_C
    after = hot.copy()
    for shift in range(1, COOLING_WINDOWS + 1):
        after[:, shift:] |= hot[:, :-shift]
    rates, after = sums.windows_hs[:, COOLING_WINDOWS:], after[:, COOLING_WINDOWS:]
    short = np.maximum(np.repeat(sums.nominal_hs, WINDOWS, axis=1) - rates, 0.0) * WINDOW_S
    by_hour: Floats = np.where(after, np.nan_to_num(short), 0.0).reshape(*sums.nominal_hs.shape, WINDOWS).sum(axis=2)
    return by_hour


def _stability(windows_hs: Floats, hours: int) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """1 - deviation / mean over the windows of each ``hours`` hours, not below 0; and whether enough are known."""
    by_period = windows_hs.reshape(windows_hs.shape[0], -1, hours * WINDOWS)
    known = ~np.isnan(by_period)
    count = known.sum(axis=2)
    mean = ratio(np.nansum(by_period, axis=2), count.astype(np.float64))
    squares = np.nansum((by_period - mean[:, :, None]) ** 2, axis=2)
    deviation = np.sqrt(ratio(squares, count.astype(np.float64)))
    enough = count >= KNOWN_WINDOWS * hours * WINDOWS
    return np.where(enough, np.maximum(1 - ratio(deviation, mean), 0.0), np.nan), enough


def _added(matrix: Floats) -> Floats:
    """Sum over the hours that are known, NaN where none is."""
    return np.where(np.isnan(matrix).all(axis=1), np.nan, np.nansum(matrix, axis=1))[:, None]
