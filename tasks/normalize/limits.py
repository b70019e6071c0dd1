"""What no miner can report: negative counts, NaN, chips at 200 degrees. Such a field is dropped, whatever the model is.

Limits lie well beyond what exists, so that no machine of tomorrow is called impossible; what is merely unlikely for a
model is judged in tasks/normalize/plausible.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from operator import attrgetter
from typing import Any, TypeVar

import msgspec

from storage.records.miner import BoardReading, FanReading, MinerTelemetry, PoolReading

Limits = Mapping[str, tuple[float, float]]
Number = TypeVar("Number", int, float)
Part = TypeVar("Part", MinerTelemetry, BoardReading, FanReading, PoolReading)

_HASHRATE = (0.0, 1e18)  # all miners of Bitcoin together are below 2e21 H/s
_POWER = (0, 100_000)
_ELECTRONICS_C = (-50.0, 150.0)  # chips switch off near 100, solder melts at 180
_AIR_C = (-60.0, 80.0)
_MHZ = (0.0, 10_000.0)
_COUNT = (0, 2**53)
_PARTS = (0, 1_000)
_WORK = (0.0, 1e30)
_SECONDS = (0, 100 * 365 * 86_400)
_PERCENT = (0.0, 100.0)

MINER_LIMITS: Limits = {
    "hashrate_hs": _HASHRATE,
    "hashrate_average_hs": _HASHRATE,
    "hashrate_nominal_hs": _HASHRATE,
    "power_w": _POWER,
    "efficiency_j_th": (0.0, 1e12),
    "voltage_v": (0.0, 500.0),  # some firmwares tell the mains here
    "ambient_temp_c": _AIR_C,
    "chip_temp_avg_c": _ELECTRONICS_C,
    "chip_temp_max_c": _ELECTRONICS_C,
    "pcb_temp_max_c": _ELECTRONICS_C,
    "fan_duty_percent": _PERCENT,
    "frequency_mhz": _MHZ,
    "power_limit_w": _POWER,
    "shares_accepted": _COUNT,
    "shares_rejected": _COUNT,
    "shares_stale": _COUNT,
    "work_accepted_d1": _WORK,
    "last_share_age_s": _SECONDS,
    "hardware_errors": _COUNT,
    "uptime_s": _SECONDS,
    "devfee_percent": _PERCENT,
    "boards_mining": _PARTS,
    "boards_expected": _PARTS,
    "fans_running": _PARTS,
    "error_count": _PARTS,
    "poll_ms": (0.0, 86_400_000.0),
}
"""Lowest and highest possible value, both included, by field of ``miner_telemetry``."""

BOARD_LIMITS: Limits = {
    "hashrate_hs": _HASHRATE,
    "hashrate_nominal_hs": _HASHRATE,
    "pcb_temp_c": _ELECTRONICS_C,
    "chip_temp_c": _ELECTRONICS_C,
    "inlet_temp_c": _ELECTRONICS_C,
    "outlet_temp_c": _ELECTRONICS_C,
    "frequency_mhz": _MHZ,
    "voltage_v": (0.0, 100.0),
    "power_w": _POWER,
    "hardware_errors": _COUNT,
    "chips_bad": (0, 10_000),
}
FAN_LIMITS: Limits = {"speed_rpm": (0, 20_000), "speed_percent": (0.0, 200.0)}
POOL_LIMITS: Limits = {
    "shares_accepted": _COUNT,
    "shares_rejected": _COUNT,
    "shares_stale": _COUNT,
    "work_accepted_d1": _WORK,
    "difficulty": (0.0, 1e18),
    "last_share_age_s": _SECONDS,
    "ping_ms": (0.0, 600_000.0),
}

_WORKED_OUT_OF = {
    "boards.chip_temp_c": "chip_temp_avg_c",
    "boards.frequency_mhz": "frequency_mhz",
    "boards.voltage_v": "voltage_v",
    "fans.speed_percent": "fan_duty_percent",
    "pools.shares_accepted": "shares_accepted",
    "pools.shares_rejected": "shares_rejected",
    "pools.shares_stale": "shares_stale",
    "pools.work_accepted_d1": "work_accepted_d1",
    "pools.last_share_age_s": "last_share_age_s",
}
"""Fields of the miner that drivers work out of its parts: a part dropped takes them with it."""


class _Check:
    """The limits of one kind of part, read in one go since this runs for every part of every poll."""

    def __init__(self, prefix: str, limits: Limits) -> None:
        self._prefix = prefix
        self._values = attrgetter(*limits)
        self._limits = tuple((name, low, high) for name, (low, high) in limits.items())

    def cleaned(self, part: Part, flags: set[str]) -> Part:
        broken: dict[str, Any] | None = None
        for value, (name, low, high) in zip(self._values(part), self._limits, strict=True):
            if value is not None and not low <= value <= high:  # so that NaN is outside
                broken = {} if broken is None else broken
                broken[name] = None
                flags.add(f"impossible:{self._prefix}{name}")
        return msgspec.structs.replace(part, **broken) if broken else part

    def all_cleaned(self, parts: tuple[Part, ...], flags: set[str]) -> tuple[Part, ...]:
        return tuple([self.cleaned(part, flags) for part in parts])


_MINER = _Check("", MINER_LIMITS)
_BOARDS = _Check("boards.", BOARD_LIMITS)
_FANS = _Check("fans.", FAN_LIMITS)
_POOLS = _Check("pools.", POOL_LIMITS)


def possible_value(name: str, value: Number | None) -> Number | None:
    """``value`` unless it is impossible for field ``name`` of ``miner_telemetry``; for rows that are not judged."""
    low, high = MINER_LIMITS[name]
    return value if value is not None and low <= value <= high else None


def possible(record: MinerTelemetry, flags: set[str]) -> MinerTelemetry:
    """``record`` without impossible values; each adds ``impossible:<field>`` to ``flags``."""
    found: set[str] = set()
    boards = _BOARDS.all_cleaned(record.boards, found)
    fans = _FANS.all_cleaned(record.fans, found)
    pools = _POOLS.all_cleaned(record.pools, found)
    cleaned = _MINER.cleaned(record, found)
    if not found:
        return record
    flags |= found
    lost: dict[str, Any] = {field: None for part, field in _WORKED_OUT_OF.items() if f"impossible:{part}" in found}
    return msgspec.structs.replace(cleaned, boards=boards, fans=fans, pools=pools, **lost)
