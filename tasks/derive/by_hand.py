"""Time in which miners were off on purpose by hand, as seconds of hours: planned, neither out of reach nor a gap.

A paused miner is not asked and has no rows, so its last reading would stand on into the pause: that is taken out. One
that is forced to maintenance or stopped is asked as ever: of it only the time is planned in which it did not hash.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow.compute as pc

from storage.declaration import MEASUREMENTS, Tier
from storage.downsample.rollup import HOUR_S, window_of
from storage.store import Store
from tasks.derive.hour_grid import Floats, HourGrid
from tasks.overrides.stretches import Stretch, covered_s, stretches_by_hand

_TELEMETRY = MEASUREMENTS["miner_telemetry"]
_RATES = ("hashrate_hs", "power_w")
_HASHING = ("state_mining_seconds", "state_degraded_seconds", "state_tuning_seconds")
Sums = dict[str, Floats]


def hours_by_hand(store: Store, start: int, stop: int) -> dict[int, str]:
    """Every hour of ``[start, stop)`` in which any miner was off by hand: which ones, and for how long.

    Raises:
        TryAgain: the store does not answer.
    """
    words: dict[int, list[str]] = {}
    for one in stretches_by_hand(store, start, stop):
        for hour in range(window_of(one.start, HOUR_S), one.stop, HOUR_S):
            begin, end = max(one.start, hour), min(one.stop, hour + HOUR_S)
            words.setdefault(hour, []).append(f"{one.subject} {one.paused} {begin}-{end}")
    return {hour: ",".join(told) for hour, told in words.items()}


def without_standing(store: Store, grid: HourGrid, told: Mapping[str, Floats], by_hand: Sequence[Stretch]) -> Sums:
    """Hourly sums of ``miner_telemetry`` as :mod:`storage.downsample` makes them, less what readings from before a
    pause count for within it. Raises TryAgain."""
    sums = {name: matrix.copy() for name, matrix in told.items()}
    numbers = {name: number for number, name in enumerate(grid.miners)}
    pauses = [one for one in by_hand if one.paused and one.subject in numbers]
    for pause in pauses:
        last = _last_reading(store, pause)
        if last is None:
            continue
        since, row = last
        stood = Stretch(pause.subject, pause.start, min(pause.stop, since + _TELEMETRY.stands_s), paused=True)
        seconds = covered_s([stood], {pause.subject: 0}, grid.starts(), HOUR_S)[0]
        counted = {"reachable_seconds": 1.0, f"state_{row['state']}_seconds": 1.0}
        if row["reachable"]:
            counted["reachable_true_seconds"] = 1.0
        for name in _RATES:
            if row[name] is not None:
                counted |= {f"{name}_integral": row[name], f"{name}_seconds": 1.0}
        for name in counted.keys() & sums.keys():
            of_miner = sums[name][numbers[pause.subject]]
            # Sums are rounded by the store: what is left of a whole hour is none.
            left = of_miner - counted[name] * seconds
            of_miner[:] = np.where(np.abs(left) <= 1e-4 * np.abs(of_miner), 0.0, np.maximum(left, 0.0))
    return sums


def _last_reading(store: Store, pause: Stretch) -> tuple[int, dict[str, Any]] | None:
    """Time and fields of the miner's newest row that still stands when ``pause`` begins."""
    columns = ["reachable", "state", *_RATES]
    where = {"miner_id": pause.subject}
    begin = pause.start - _TELEMETRY.stands_s + 1
    table = store.read(_TELEMETRY, Tier.RAW, begin, pause.start, where=where, columns=columns)
    if not table.num_rows:
        return None
    row = table.take(pc.sort_indices(table["time"])[-1:]).to_pylist()[0]
    return int(row["time"].timestamp()), row


def planned_by_hand(grid: HourGrid, told: Mapping[str, Floats], by_hand: Sequence[Stretch]) -> Sums:
    """``told`` with the time by hand as paused time: known, and, as all paused time is, within what was reached."""
    sums = {name: matrix.copy() for name, matrix in told.items()}
    numbers = {name: number for number, name in enumerate(grid.miners)}
    paused, forced = (
        covered_s([one for one in by_hand if one.paused is kind], numbers, grid.starts(), HOUR_S)
        for kind in (True, False)
    )
    known = np.nan_to_num(told["reachable_seconds"])
    paused = np.minimum(paused, HOUR_S - known)  # what was read all the same is known better
    hashed = np.sum([np.nan_to_num(told[name]) for name in _HASHING], axis=0)
    idle = np.maximum(known - hashed - np.nan_to_num(told["state_paused_seconds"]), 0.0)
    forced = np.minimum(forced, idle)
    silent = np.minimum(forced, np.nan_to_num(told["state_unreachable_seconds"]))
    for name, more in (
        ("reachable_seconds", paused),
        ("reachable_true_seconds", paused + silent),
        ("state_paused_seconds", paused + forced),
        ("state_unreachable_seconds", -silent),
    ):
        sums[name] = np.where(more != 0, np.nan_to_num(sums[name]) + more, sums[name])
    return sums
