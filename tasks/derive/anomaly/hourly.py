"""Anomaly scores of whole hours from the store, with a week before them; the stream judges minutes against a day."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from storage.declaration import MEASUREMENTS, Tier
from storage.downsample.rollup import DAY_S, HOUR_S, window_of
from storage.downsample.windows import unix_seconds
from storage.frame import build_frame
from storage.store import Store
from tasks.derive.anomaly.flatline import LEAST_TICKS
from tasks.derive.anomaly.hours import HISTORY_H, TREND_H, Hours, judged_hours
from tasks.derive.anomaly.judging import Judgement
from tasks.derive.anomaly.own_history import Floats
from tasks.derive.anomaly.readings import SETTLES_S, SIGNALS, Bools, preset_group
from tasks.derive.anomaly.scoring import Sensitivity, plain
from tasks.derive.by_hand import hours_by_hand
from tasks.derive.changed import write_changed
from tasks.derive.windows import Inputs, due_windows, mark_derived
from tasks.overrides.stretches import covered_s, stretches_by_hand

NAME = "anomaly_score"
REDONE_H = 6
"""Hours that are judged again each time, for data that came late."""
CAUGHT_UP_H = 48
"""Hours that are judged after a standstill at most."""
LATE_S = 3 * DAY_S
"""How far back an hour is judged again that got data late: as far as miners remember what was not polled."""
PERIOD = "1h"
KNOWN = 0.5
"""Part of an hour that must be known."""
IDLE = 0.1
"""Part of the known hour that a miner may have been paused, stopped or starting. Beyond that the hour's means of power
and heat are of another thing than of a miner at work."""

_COLUMNS = (
    "hashrate_hs_integral", "hashrate_hs_seconds", "hashrate_hs_min", "hashrate_hs_max", "hashrate_hs_count",
    "hashrate_nominal_hs_last", "chip_temp_max_c_mean", "pcb_temp_max_c_mean", "power_w_mean", "power_limit_w_last",
    "boards_mining_mean", "boards_expected_mean", "fans_running_mean", "shares_accepted_inc", "shares_rejected_inc",
    "shares_stale_inc", "state_mining_seconds", "state_degraded_seconds", "state_failed_seconds",
    "state_paused_seconds", "state_stopped_seconds", "state_starting_seconds",
)  # fmt: skip
_READ_S = 7 * DAY_S


@dataclass(frozen=True, slots=True)
class AnomalyReport:
    """Hours judged, rows written (those that say something new), and how many of them are anomalous."""

    hours: int = 0
    rows: int = 0
    anomalous: int = 0


def score_hours(
    store: Store, miners: Sequence[str], now: int, *, sensitivity: Sensitivity = "medium", threshold: float = 0.8
) -> AnomalyReport:
    """Judge the hours that are over at ``now`` (Unix seconds) and not yet judged, and the last REDONE_H anew; where one
    of the last LATE_S was rolled up again since it was judged, all from there on.

    ``miners``: ids from the configuration; others are neither judged nor anybody's peers.

    Raises:
        TryAgain: the store does not answer.
    """
    stop = now // HOUR_S * HOUR_S
    first = max(min(_newest(store, stop) + HOUR_S, stop - REDONE_H * HOUR_S), stop - CAUGHT_UP_H * HOUR_S)
    inputs = Inputs(("miner_telemetry",), told=hours_by_hand(store, window_of(now - LATE_S, DAY_S), now))
    late = [one for one in due_windows(store, NAME, inputs, now, LATE_S) if one.tier is Tier.HOURLY]
    first = min([first, *(one.start for one in late)])
    start = first - (HISTORY_H + TREND_H) * HOUR_S
    names = sorted(miners)
    hours, heard = read_hours(store, names, start, stop)
    times: list[int] = []
    columns: dict[str, list[Any]] = defaultdict(list)
    for number, judged in judged_hours(hours, (first - start) // HOUR_S, sensitivity):
        rows = np.flatnonzero(heard[:, number]).tolist()
        times += [start + number * HOUR_S] * len(rows)
        for name, values in _columns(names, rows, judged, threshold).items():
            columns[name] += values
    written = write_changed(store, [build_frame(NAME, times, columns)])
    if late:
        mark_derived(store, NAME, late)
    return AnomalyReport((stop - first) // HOUR_S, written, sum(bool(odd) for odd in columns["anomalous"]))


def read_hours(store: Store, names: Sequence[str], start: int, stop: int) -> tuple[Hours, Bools]:
    """What is stored of the hours of ``[start, stop)``, and which hours have a row (miners x hours)."""
    number = (stop - start) // HOUR_S
    shape = (len(names), number)
    of: dict[str, Floats] = {name: np.full(shape, np.nan) for name in _COLUMNS}
    heard = np.zeros(shape, dtype=bool)
    flagged, stale = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
    kinds = np.zeros(shape, dtype=np.int64)
    seen: dict[str, int] = {}
    for begin in range(start, stop, _READ_S):
        table = store.read(
            MEASUREMENTS["miner_telemetry"],
            Tier.HOURLY,
            begin,
            min(begin + _READ_S, stop),
            columns=[*_COLUMNS, "quality_flags_last"],
        )
        codes = pc.index_in(table["miner_id"].combine_chunks(), value_set=pa.array(list(names), pa.string()))
        table = table.filter(pc.is_valid(codes))
        rows = np.asarray(pc.drop_null(codes)).astype(np.int64)
        hours = (unix_seconds(table) - start) // HOUR_S
        for name in _COLUMNS:
            of[name][rows, hours] = np.asarray(
                table[name].combine_chunks().cast(pa.float64()).fill_null(np.nan), dtype=np.float64
            )
        heard[rows, hours] = True
        flags = table["quality_flags_last"].combine_chunks().fill_null("")
        flagged[rows, hours] = _bools(pc.match_substring_regex(flags, "unit_suspect|implausible:hashrate_hs"))
        stale[rows, hours] = _bools(pc.match_substring_regex(flags, "(^|,)stale(,|$)"))
        kind = pc.binary_join_element_wise(table["model"].fill_null(""), table["site"].fill_null(""), "\n")
        kinds[rows, hours] = [seen.setdefault(word, len(seen)) for word in kind.to_pylist()]
    off = _off_by_hand(store, names, start, stop)
    for name in ("boards_expected_mean", "fans_running_mean", "shares_accepted_inc", "shares_rejected_inc"):
        of[name][off] = np.nan  # what somebody works on says nothing of what is usual
    judged = _hours(of, flagged, stale, kinds, _other_pool(store, names, start, stop))
    judged.working[off] = False
    judged.values[:, off] = np.nan
    return judged, heard


def _off_by_hand(store: Store, names: Sequence[str], start: int, stop: int) -> Bools:
    """Hours (miners x hours) in which a miner was off on purpose by hand, or had not settled since."""
    off = [replace(one, stop=one.stop + SETTLES_S) for one in stretches_by_hand(store, start - SETTLES_S, stop)]
    rows = {name: row for row, name in enumerate(names)}
    return covered_s(off, rows, np.arange(start, stop, HOUR_S, dtype=np.int64), HOUR_S) > 0


def _hours(of: dict[str, Floats], flagged: Bools, stale: Bools, kinds: Any, other_pool: Bools) -> Hours:
    seconds = of["hashrate_hs_seconds"]
    enough = seconds >= KNOWN * HOUR_S
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = np.where(enough, of["hashrate_hs_integral"] / seconds, np.nan)
    nominal = _reference(of["hashrate_nominal_hs_last"], rate)
    limit = _reference(of["power_limit_w_last"], of["power_w_mean"])
    heat = np.where(np.isnan(of["chip_temp_max_c_mean"]), of["pcb_temp_max_c_mean"], of["chip_temp_max_c_mean"])
    hashed = sum(np.nan_to_num(of[f"state_{state}_seconds"]) for state in ("mining", "degraded", "failed"))
    idle = sum(np.nan_to_num(of[f"state_{state}_seconds"]) for state in ("paused", "stopped", "starting"))
    working = np.asarray((hashed >= KNOWN * HOUR_S) & (idle <= IDLE * (hashed + idle)))
    same = (of["hashrate_hs_min"] == of["hashrate_hs_max"]) & (of["hashrate_hs_max"] > 0)
    still = np.where((same & (of["hashrate_hs_count"] >= LEAST_TICKS)) | stale, LEAST_TICKS, 0)
    values = np.stack([rate / nominal, heat, of["power_w_mean"] / limit])
    values[:, ~working] = np.nan
    return Hours(
        values=values,
        reference=np.stack([nominal[:, -1], limit[:, -1]]),
        working=working,
        boards_lost=np.round(of["boards_expected_mean"] - of["boards_mining_mean"]),
        fans=np.round(of["fans_running_mean"]),
        other_pool=other_pool,
        accepted=of["shares_accepted_inc"],
        refused=of["shares_rejected_inc"] + np.nan_to_num(of["shares_stale_inc"]),
        still=still,
        unit_wrong=flagged,
        group=preset_group(kinds, nominal),
    )


def _reference(told: Floats, seen: Floats) -> Floats:
    """What a value is a ratio to: what the preset of the hour promises, else the miner's median over all hours."""
    promised = np.where(told > 0, told, np.nan)
    ordered = np.sort(np.where(seen > 0, seen, np.nan), axis=1)  # NaN last
    known = (~np.isnan(ordered)).sum(axis=1)
    middle = ordered[np.arange(len(ordered)), np.maximum(known - 1, 0) // 2] if ordered.size else np.empty(0)
    return np.where(np.isnan(promised), middle[:, None], promised)


def _other_pool(store: Store, names: Sequence[str], start: int, stop: int) -> Bools:
    """Hours at whose end a miner mined at another pool than a day before."""
    other = np.zeros((len(names), (stop - start) // HOUR_S), dtype=bool)
    known = {name: row for row, name in enumerate(names)}
    table = store.read(
        MEASUREMENTS["miner_event"], Tier.RAW, start, stop, where={"kind": "pool_switched"}, columns=["old", "new"]
    )
    switches: dict[str, list[tuple[int, str, str]]] = {}
    for event in table.to_pylist():
        if event["miner_id"] in known:
            at = int(event["time"].timestamp())
            switches.setdefault(event["miner_id"], []).append((at, event["old"], event["new"]))
    for name, told in switches.items():
        told.sort()
        for number in range(other.shape[1]):
            end = start + (number + 1) * HOUR_S
            late = [one for one in told if end - 24 * HOUR_S <= one[0] < end]
            other[known[name], number] = bool(late) and late[-1][2] != late[0][1]
    return other


def _newest(store: Store, stop: int) -> int:
    """The newest hour that has scores, of the last CAUGHT_UP_H; else the hour before them."""
    oldest = stop - CAUGHT_UP_H * HOUR_S
    table = store.read(MEASUREMENTS[NAME], Tier.RAW, oldest, stop, where={"time_period": PERIOD}, columns=["reasons"])
    return int(unix_seconds(table).max()) if table.num_rows else oldest - HOUR_S


def _columns(names: Sequence[str], rows: Sequence[int], judged: Judgement, threshold: float) -> dict[str, list[Any]]:
    overall = plain(judged.overall[rows])
    return {
        "miner_id": [names[row] for row in rows],
        "time_period": [PERIOD] * len(rows),
        **{name: plain(judged.scores[number, rows]) for number, name in enumerate(SIGNALS)},
        "overall": overall,
        "anomalous": [None if score is None else score >= threshold for score in overall],
        "reasons": [judged.reasons(row) for row in rows],
    }


def _bools(column: Any) -> Bools:
    return np.asarray(pa.array(column).fill_null(False).to_numpy(zero_copy_only=False), dtype=np.bool_)
