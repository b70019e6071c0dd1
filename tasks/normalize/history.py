"""What one poll of a miner must know of the polls before it: repeats that are too exact, counters that fell.

The history of a miner is small plain data that is kept over restarts; it holds no more than the judging needs.
"""

from __future__ import annotations

from operator import attrgetter
from typing import Any

import msgspec

from storage.records.miner import MinerTelemetry

STALE_POLLS = 3
STALE_S = 120
"""Uptimes of some firmwares have whole minutes, and nothing else of a paused miner moves: two of them must pass."""
RESTART_SLACK_S = 180

COUNTERS = ("uptime_s", "shares_accepted", "shares_rejected", "shares_stale", "work_accepted_d1", "hardware_errors")
GAUGES = (
    "hashrate_hs", "hashrate_average_hs", "power_w", "efficiency_j_th", "voltage_v", "ambient_temp_c",
    "chip_temp_avg_c", "chip_temp_max_c", "pcb_temp_max_c", "fan_duty_percent", "last_share_age_s",
)  # fmt: skip
"""Readings that are measured anew at every poll; of a miner that repeats itself they are dropped."""

_counters = attrgetter(*COUNTERS)
_gauges = attrgetter(*GAUGES)
_NO_GAUGES: dict[str, Any] = dict.fromkeys(GAUGES)
_NO_BOARD_GAUGES: dict[str, Any] = dict.fromkeys(
    ("hashrate_hs", "pcb_temp_c", "chip_temp_c", "inlet_temp_c", "outlet_temp_c", "voltage_v", "power_w")
)
_NO_FAN_GAUGES: dict[str, Any] = dict.fromkeys(("speed_rpm", "speed_percent"))


class History(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of one miner. ``time`` is the slot of its last answer, 0 before the first.

    ``counters`` holds the last known value of each, ``moving`` all that moves, ``same_since`` and ``same_polls`` since
    when and for how many polls that has been the same. ``verdicts`` are the flags that the history gave to the poll of
    ``time``, for a second answer in the same slot; ``noticed`` is the model that a notice was given about.
    """

    time: int = 0
    counters: dict[str, float] = {}
    moving: tuple[float | None, ...] = ()
    same_since: int = 0
    same_polls: int = 0
    verdicts: tuple[str, ...] = ()
    noticed: str | None = None


def compared(record: MinerTelemetry, history: History, flags: set[str]) -> tuple[MinerTelemetry, History]:
    """``record`` in the light of ``history``, and the history with it; may add the flags of a history.

    A second answer in the same slot replaces the first in the stores, so it inherits what the first was found to be,
    and does not count as a repeat.
    """
    counters, moving = _counters(record), (*_counters(record), *_gauges(record))
    same = moving == history.moving
    if record.time == history.time:
        verdicts = tuple([word for word in history.verdicts if word != "stale" or same])
        flags.add("duplicate")
        since, polls = (history.same_since, history.same_polls) if same else (record.time, 1)
    else:
        since, polls = (history.same_since, history.same_polls + 1) if same else (record.time, 1)
        found = []
        if polls >= STALE_POLLS and record.time - since >= STALE_S and _must_move(record):
            found.append("stale")
        if _was_reset(record, counters, history):
            found.append("counter_reset")
        verdicts = tuple(found)
    flags.update(verdicts)
    known = {name: value for name, value in zip(COUNTERS, counters, strict=True) if value is not None}
    kept = History(
        time=record.time,
        counters=history.counters | known if len(known) < len(COUNTERS) else known,
        moving=moving,
        same_since=since,
        same_polls=polls,
        verdicts=verdicts,
        noticed=history.noticed,
    )
    return (_without_gauges(record) if "stale" in verdicts else record), kept


def _must_move(record: MinerTelemetry) -> bool:
    """Whether the record holds anything that cannot stand still: an uptime, or the noise of a hashrate with shares."""
    return record.uptime_s is not None or bool(record.hashrate_hs and record.shares_accepted is not None)


def _was_reset(record: MinerTelemetry, counters: tuple[float | None, ...], history: History) -> bool:
    """Whether a counter fell, or the miner has been up for less time than has passed since it was last read.

    The second sees a restart during an outage, after which counters may well have overtaken their old values.
    """
    before = history.counters
    if not before:
        return False
    for name, value in zip(COUNTERS, counters, strict=True):
        if value is not None and value < before.get(name, 0):
            return True
    return (
        record.uptime_s is not None
        and "uptime_s" in before
        and record.uptime_s + RESTART_SLACK_S < record.time - history.time
    )


def _without_gauges(record: MinerTelemetry) -> MinerTelemetry:
    """Never the last value for a present one: what a hung firmware repeats is not a reading."""
    replace = msgspec.structs.replace
    return replace(
        record,
        boards=tuple([replace(board, **_NO_BOARD_GAUGES) for board in record.boards]),
        fans=tuple([replace(fan, **_NO_FAN_GAUGES) for fan in record.fans]),
        **_NO_GAUGES,
    )
