"""From telemetry in the store to ``operational_metrics`` of hours and days: what is due is written, then marked.

A day is read at once, whatever of it is due, so memory does not grow with how much there is to do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from storage.declaration import MEASUREMENTS, Tier
from storage.downsample.growth import COUNTER_MEMORY_S
from storage.downsample.rollup import DAY_S, window_of
from storage.frame import Frame
from storage.store import Store
from tasks.derive.by_hand import hours_by_hand, planned_by_hand, without_standing
from tasks.derive.changed import write_changed
from tasks.derive.hour_grid import Floats, HourGrid, floats, frame_of, known_seconds, ratio, within_the_hour
from tasks.derive.membership import belonged
from tasks.derive.operational import COOLING_WINDOWS, WINDOW_S, HourSums, operational_columns
from tasks.derive.windows import Inputs, Window, by_day, due_windows, mark_derived
from tasks.normalize.nameplates import algorithm_of, nameplate
from tasks.overrides.stretches import stretches_by_hand

NAME = "operational_metrics"
INPUTS = ("miner_telemetry", "miner_board", "miner_pool")
HORIZON_S = 28 * DAY_S
"""How far back hours are looked for that are due: raw readings, which stability is made of, are kept 30 days."""

_TELEMETRY, _BOARD, _POOL = (MEASUREMENTS[name] for name in INPUTS)
_SUMS = {
    "reachable_seconds", "reachable_true_seconds", "state_paused_seconds", "state_unreachable_seconds",
    "state_mining_seconds", "state_degraded_seconds", "state_tuning_seconds", "hashrate_hs_integral",
    "hashrate_hs_seconds", "power_w_integral", "power_w_seconds", "hashrate_nominal_hs_sum",
    "hashrate_nominal_hs_count", "chip_temp_max_c_sum", "chip_temp_max_c_count", "ambient_temp_c_sum",
    "ambient_temp_c_count", "shares_accepted_inc", "shares_rejected_inc", "shares_stale_inc",
}  # fmt: skip
_DEAD_POOL = ("status_offline_seconds", "status_disabled_seconds", "status_rejecting_seconds")
_LOST_BOARD = ("status_failure_seconds", "status_disconnected_seconds")


@dataclass(frozen=True, slots=True)
class OperationalReport:
    """Rows written, and windows that they are of."""

    rows: int = 0
    windows: int = 0


def kept_s(retention_days: Mapping[str, int]) -> int:
    """How far back hours are worth deriving where buckets are kept for ``retention_days``: near the end of theirs raw
    readings are gone in part, and what is left would spoil what was derived from all."""
    return min(HORIZON_S, (retention_days[_TELEMETRY.buckets[Tier.RAW]] - 1) * DAY_S)


def derive_operational(
    store: Store, miners: Mapping[str, str], now: int, horizon_s: int = HORIZON_S
) -> OperationalReport:
    """Write what is due at ``now`` (Unix seconds) of the days since ``horizon_s`` ago.

    ``miners``: models of the configured miners by id; the others that have readings come with them.

    Raises:
        TryAgain: the store does not answer; what was not marked stays due.
    """
    report = OperationalReport()
    by_hand = hours_by_hand(store, window_of(now - horizon_s, DAY_S), now)
    inputs = Inputs(INPUTS, told=by_hand, silent_too=True)
    for windows in by_day(due_windows(store, NAME, inputs, now, horizon_s)):
        written = write_changed(store, operational_frames(store, miners, windows))
        mark_derived(store, NAME, windows)
        report = OperationalReport(report.rows + written, report.windows + len(windows))
    return report


def operational_frames(store: Store, miners: Mapping[str, str], windows: Sequence[Window]) -> list[Frame]:
    """Rows of ``windows``, which are hours of one day of UTC, and perhaps the day."""
    start, stop = min(one.start for one in windows), max(one.stop for one in windows)
    grid, sums = hour_sums(store, miners, start, stop)
    if not grid.miners:
        return []
    there = belonged(store, NAME, "coverage_percentage", grid, miners) | ~np.isnan(sums.seconds)
    hours = [one.start for one in windows if one.tier is Tier.HOURLY]
    frames = []
    if hours:
        wanted = there & np.isin(grid.starts(), hours)
        frames.append(frame_of(NAME, grid, operational_columns(sums, whole=False), wanted.reshape(-1)))
    if any(one.tier is Tier.DAILY for one in windows):
        frames.append(frame_of(NAME, grid.as_one(), operational_columns(sums, whole=True), np.any(there, axis=1)))
    return frames


def hour_sums(store: Store, miners: Mapping[str, str], start: int, stop: int) -> tuple[HourGrid, HourSums]:
    """What is stored of the hours of ``[start, stop)``, on a grid of all ``miners`` and those that have rows."""
    columns = [*sorted(_SUMS), "boards_expected_max"]
    telemetry = store.read(_TELEMETRY, Tier.HOURLY, start, stop, columns=columns)
    models = _models(telemetry) | dict(miners)
    grid = HourGrid(sorted(models), start, stop)
    places = grid.places(telemetry)
    told = within_the_hour({name: grid.laid_out(floats(telemetry[name]), places) for name in _SUMS})
    by_hand = stretches_by_hand(store, start, stop)
    told = without_standing(store, grid, told, by_hand)
    of = planned_by_hand(grid, told, by_hand)
    boards_expected = grid.laid_out(floats(telemetry["boards_expected_max"]), places, "max")
    up_s = np.nan_to_num(of["hashrate_hs_seconds"]) - np.nan_to_num(told["state_paused_seconds"])
    rates, chips = _windows(store, grid)
    return grid, HourSums(
        seconds=known_seconds(of),
        asked_s=of["reachable_seconds"],
        reached_s=of["reachable_true_seconds"],
        paused_s=of["state_paused_seconds"],
        unreachable_s=of["state_unreachable_seconds"],
        hashing_s=of["state_mining_seconds"] + of["state_degraded_seconds"] + of["state_tuning_seconds"],
        hashes=of["hashrate_hs_integral"],
        hashes_s=of["hashrate_hs_seconds"],
        joules=of["power_w_integral"],
        joules_s=of["power_w_seconds"],
        nominal_hs=_nominal(store, grid, of, [models[name] for name in grid.miners]),
        chip_c_sum=of["chip_temp_max_c_sum"],
        chip_c_count=of["chip_temp_max_c_count"],
        air_c_sum=of["ambient_temp_c_sum"],
        air_c_count=of["ambient_temp_c_count"],
        shares_accepted=of["shares_accepted_inc"],
        shares_refused=_added([of["shares_rejected_inc"], of["shares_stale_inc"]]),
        pools_dead_s=_pools_dead_s(store, grid),
        lost_boards_s=_lost_boards_s(store, grid, boards_expected, np.maximum(up_s, 0.0)),
        windows_hs=rates,
        windows_chip_c=chips,
        scrypt=np.array([algorithm_of(models[name]) == "scrypt" for name in grid.miners], dtype=np.bool_),
    )


def _models(telemetry: pa.Table) -> dict[str, str]:
    """Model by miner; of a miner that had several, any."""
    pairs = telemetry.select(["miner_id", "model"]).group_by("miner_id").aggregate([("model", "max")])
    return {
        name: model or ""
        for name, model in zip(pairs["miner_id"].to_pylist(), pairs["model_max"].to_pylist(), strict=True)
    }


def _nominal(store: Store, grid: HourGrid, of: Mapping[str, Floats], models: Sequence[str]) -> Floats:
    """What the preset should give: as told in the hour, else last in the day before, else the model's nameplate."""
    early = HourGrid(grid.miners, grid.start - COUNTER_MEMORY_S, grid.start)
    names = ["hashrate_nominal_hs_sum", "hashrate_nominal_hs_count"]
    before = store.read(_TELEMETRY, Tier.HOURLY, early.start, early.stop, columns=names)
    sums, counts = (np.hstack([early.matrix(before, name), of[name]]) for name in names)
    told = ratio(sums, counts)
    told[~(told > 0)] = np.nan
    known = ~np.isnan(told)
    newest = np.maximum.accumulate(np.where(known, np.arange(told.shape[1]), -1), axis=1)
    carried = np.take_along_axis(told, np.maximum(newest, 0), axis=1)[:, early.hours :]
    plates = [plate.hashrate_hs if model and (plate := nameplate(model)) else np.nan for model in models]
    return np.where(np.isnan(carried), np.array(plates)[:, None], carried)


def _windows(store: Store, grid: HourGrid) -> tuple[Floats, Floats]:
    """Mean hashrate and hottest chip in windows of 300 s, from half an hour before the grid's start."""
    fine = HourGrid(grid.miners, grid.start - COOLING_WINDOWS * WINDOW_S, grid.stop, WINDOW_S)
    table = store.windows(
        _TELEMETRY,
        fine.start,
        fine.stop,
        WINDOW_S,
        aggregates={"hashrate_hs": "mean", "chip_temp_max_c": "max"},
        by=["miner_id"],
    )
    places = fine.places(table)
    return (
        fine.laid_out(floats(table["hashrate_hs_mean"]), places, "max"),
        fine.laid_out(floats(table["chip_temp_max_c_max"]), places, "max"),
    )


def _lost_boards_s(store: Store, grid: HourGrid, expected: Floats, up_s: Floats) -> Floats:
    """Seconds x part of the boards that failed or are no longer told of; NaN where nothing is told of boards."""
    table = store.read(_BOARD, Tier.HOURLY, grid.start, grid.stop, columns=_LOST_BOARD)
    failed = _row_sum(table, _LOST_BOARD)
    places = grid.places(table)
    failed_s = grid.laid_out(failed, places)
    keys = pa.table({"place": places, "board": table["board"]}).group_by(["place", "board"]).aggregate([])
    told = grid.laid_out(np.ones(keys.num_rows), np.asarray(keys["place"].combine_chunks()))
    gone = np.maximum(np.nan_to_num(expected - told), 0.0)
    return ratio(failed_s + gone * up_s, np.fmax(expected, told))


def _pools_dead_s(store: Store, grid: HourGrid) -> Floats:
    """Seconds in which none of the user's pools worked: at most what the slot that was dead the least says."""
    table = store.read(_POOL, Tier.HOURLY, grid.start, grid.stop, columns=[*_DEAD_POOL, "is_fee_last"])
    table = table.filter(pc.invert(pc.fill_null(table["is_fee_last"], False)))
    return grid.laid_out(_row_sum(table, _DEAD_POOL), grid.places(table), "min")


def _row_sum(table: pa.Table, names: Sequence[str]) -> Floats:
    return _added([floats(table[name]) for name in names])


def _added(columns: Sequence[Floats]) -> Floats:
    """Their sum, NaN where none of them is known."""
    known = [~np.isnan(column) for column in columns]
    return np.where(np.any(known, axis=0), np.nansum(columns, axis=0), np.nan)
