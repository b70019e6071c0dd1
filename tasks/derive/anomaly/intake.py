"""A tick's readings, taken into what is remembered of their miners."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from storage.records.miner import MinerTelemetry
from tasks.derive.anomaly.flatline import LEAST_TICKS, run_step
from tasks.derive.anomaly.memory import DAY_S, HOUR_S, PARTS, Memory
from tasks.derive.anomaly.own_history import Floats
from tasks.derive.anomaly.readings import SETTLES_S, Bools
from tasks.miners.events import pool_in_use

OTHER_PRESET = 0.02
"""Relative change of what a preset promises from which it is another one, and its history begins anew."""

_HASHES = frozenset({"mining", "degraded", "failed"})
_IDLE = frozenset({"paused", "stopped", "starting"})
_UNIT_FLAGS = ("unit_suspect", "implausible:hashrate_hs")
_told = attrgetter(
    "hashrate_hs", "hashrate_nominal_hs", "chip_temp_max_c", "pcb_temp_max_c", "power_w", "power_limit_w",
    "boards_mining", "boards_expected", "fans_running", "shares_accepted", "shares_rejected", "shares_stale",
)  # fmt: skip


def set_off(memory: Memory, slot: int, miners: Iterable[str]) -> None:
    """``miners`` are off on purpose, by hand, at ``slot``: nothing of now says how they work, nor until they have
    settled after it."""
    of, rows = memory.of, np.array([memory.rows[name] for name in miners if name in memory.rows], dtype=np.int64)
    of["settled_at"][rows] = slot + SETTLES_S
    of["working"][rows] = False
    of["bits"][rows] = np.where(of["odd"][rows], of["bits"][rows], 0)
    _forget_window(memory, rows)


def _forget_window(memory: Memory, rows: NDArray[np.int64]) -> None:
    """What a miner was before it stopped says nothing of how it works now."""
    memory.of["sums"][:, :, rows] = 0.0
    memory.of["counts"][:, :, rows] = 0.0


def take(memory: Memory, slot: int, rows: NDArray[np.int64], records: Sequence[MinerTelemetry]) -> None:
    """Take ``records`` of the miners at ``rows`` in; ``slot`` is their time."""
    of = memory.of
    columns = [np.array(column, dtype=np.float64) for column in zip(*map(_told, records), strict=True)]
    rate, nominal, chip, pcb, power, limit, mining, boards, fans, accepted, rejected, stale = columns
    flags = [record.quality_flags or "" for record in records]
    working = np.array(
        [
            record.reachable and record.state in _HASHES and (record.uptime_s is None or record.uptime_s >= SETTLES_S)
            for record in records
        ],
        dtype=bool,
    )
    idle = np.array([record.reachable and record.state in _IDLE for record in records], dtype=bool)
    of["settled_at"][rows[idle]] = slot + SETTLES_S  # its chips are cold when it goes on, however long it has been up
    working &= slot >= of["settled_at"][rows]
    of["working"][rows] = working
    unbroken = (of["since"][rows] > 0) & (slot - of["heard_at"][rows] < HOUR_S)
    of["since"][rows] = np.where(working, np.where(unbroken, of["since"][rows], slot), 0)
    of["heard_at"][rows] = slot
    of["unit_wrong"][rows] = [any(word in flag for word in _UNIT_FLAGS) for flag in flags]
    _refer(memory, rows, (nominal, limit), (rate, power), working)
    heat = np.where(np.isnan(chip), pcb, chip)
    scaled = np.stack([rate / of["reference"][0, rows], heat, power / of["reference"][1, rows]])
    scaled[:, ~working] = np.nan
    _forget_window(memory, rows[~working])
    part = slot // memory.part_s % PARTS
    of["sums"][:, part, rows] += np.nan_to_num(scaled)
    of["counts"][:, part, rows] += ~np.isnan(scaled)
    rate[rate == 0.0] = np.nan  # nothing is not a reading that stands still
    run = run_step(of["still"][rows], of["last"][rows], rate)
    of["last"][rows] = rate
    of["still"][rows] = np.where(["stale" in flag.split(",") for flag in flags], LEAST_TICKS, run)
    _count(memory, slot, rows, accepted, rejected + np.nan_to_num(stale))
    of["boards_lost"][rows] = boards - mining
    of["fans"][rows] = fans
    told = rows[working]
    _settle(of, ("boards_lost", "usual_lost", "lost_since"), told, slot, better=-1)
    _settle(of, ("fans", "usual_fans", "fans_since"), told, slot, better=1)
    _pool(memory, slot, rows, records)


def _refer(
    memory: Memory,
    rows: NDArray[np.int64],
    promised: tuple[Floats, Floats],
    seen: tuple[Floats, Floats],
    working: Bools,
) -> None:
    """Set what hashrate and power are ratios to: what the preset promises, else what was seen first."""
    of = memory.of
    other = np.zeros(len(rows), dtype=bool)
    for kind, (said, read) in enumerate(zip(promised, seen, strict=True)):
        known = of["reference"][kind, rows]
        told = np.where(working & (said > 0), said, np.nan)
        other |= np.abs(told - known) > OTHER_PRESET * known
        first = np.where(working & (read > 0), read, np.nan)
        of["reference"][kind, rows] = np.where(~np.isnan(told), told, np.where(np.isnan(known), first, known))
    if other.any():
        anew = rows[other]
        for name in ("day", "room", "middle", "spread"):
            of[name][..., anew] = np.nan
        of["sums"][..., anew] = 0.0
        of["counts"][..., anew] = 0.0


def _count(memory: Memory, slot: int, rows: NDArray[np.int64], accepted: Floats, refused: Floats) -> None:
    of = memory.of
    column = slot // memory.window_s % of["growth"].shape[1]
    for kind, now in enumerate((accepted, refused)):
        before = of["counters"][kind, rows]
        grown = np.where(now >= before, now - before, now)
        of["growth"][kind, column, rows] += np.where(np.isnan(before), 0.0, np.nan_to_num(grown))
        of["counters"][kind, rows] = np.where(np.isnan(now), before, now)


def _pool(memory: Memory, slot: int, rows: NDArray[np.int64], records: Sequence[MinerTelemetry]) -> None:
    """What stands for a day is its usual pool."""
    of = memory.of
    for row, record in zip(rows.tolist(), records, strict=True):
        pool = pool_in_use(record)
        known = memory.pools[row]
        if pool is None or pool == known[1] == known[0]:
            continue
        if pool != known[1]:
            known[1] = pool
            of["pool_since"][row] = slot
        if known[0] is None or slot - of["pool_since"][row] >= DAY_S:
            known[0] = pool
        of["other_pool"][row] = known[0] != pool


def _settle(
    of: dict[str, NDArray[Any]], names: tuple[str, str, str], rows: NDArray[np.int64], slot: int, *, better: int
) -> None:
    """Take a better number for the usual one at once, a worse one when it has stood for a day. ``names``: of the
    present number, of the usual one, and of the time since when it is worse (0: it is not)."""
    value, known, began = (of[name][rows] for name in names)
    gain = better * (value - known)
    worse = gain < 0
    since = np.where(worse, np.where(began == 0, slot, began), np.where(np.isnan(value), began, 0))
    take = ~np.isnan(value) & (np.isnan(known) | (gain > 0) | (worse & (slot - since >= DAY_S)))
    of[names[1]][rows] = np.where(take, value, known)
    of[names[2]][rows] = np.where(take, 0, since)
