"""Readings against what the machine is made for: its nameplate, or the hashrate its own preset promises.

Three mistakes look alike and are told apart:

- *A wrong unit.* Prefixes are a thousand apart; from a hundred on, the unit is the mistake (``unit_suspect``). The
  nominal hashrate of the preset decides, since it carries the same unit and does not vary: if that is wrong, every
  hashrate of the poll is.
- *A wrong value.* More than twice what the machine can do (``implausible:<field>``).
- *A wrong label.* The preset itself promises more than twice the nameplate: the readings agree with each other, it is
  the configured model that is wrong (``model_suspect``), and dropping good readings for it would help nobody.
"""

from __future__ import annotations

from typing import Any

import msgspec

from storage.records.miner import BoardReading, MinerTelemetry
from tasks.normalize.nameplates import Nameplate, nameplate

UNIT_RATIO = 100.0
MOST_RATIO = 2.0
_LEAST_EFFICIENCY = 0.25
"""Undervolted machines save a third of their J/TH; a quarter of it is a power in another unit or of one board alone."""
_SETTLED_S = 600
_RATES = ("hashrate_hs", "hashrate_average_hs", "hashrate_nominal_hs")
_NO_RATES: dict[str, Any] = dict.fromkeys(_RATES)
_NO_BOARD_RATES: dict[str, Any] = {"hashrate_hs": None, "hashrate_nominal_hs": None}


def settled(record: MinerTelemetry) -> bool:
    """Whether the miner hashes as it will for hours: just started, it hashes little, and its averages are nothing."""
    return record.state in ("mining", "degraded") and (record.uptime_s is None or record.uptime_s >= _SETTLED_S)


def plausible(record: MinerTelemetry, flags: set[str]) -> MinerTelemetry:
    """``record`` without implausible hashrates and power, and the reasons added to ``flags``.

    A model without a nameplate is measured by its preset; without either, nothing is known and nothing is dropped.
    """
    plate = nameplate(record.miner.model)
    nominal = record.hashrate_nominal_hs or None
    reference = plate.hashrate_hs if plate else nominal
    if reference is None:
        return record
    if nominal is not None and not 1 / UNIT_RATIO < nominal / reference < UNIT_RATIO:
        flags.add("unit_suspect")
        return msgspec.structs.replace(record, boards=without_rates(record.boards), **_NO_RATES)
    trusted = plate
    if nominal is not None and nominal > MOST_RATIO * reference:
        flags.add("model_suspect")
        reference, trusted = nominal, None
    lowest = 0.0 if nominal is not None or not settled(record) else reference / UNIT_RATIO
    lost: dict[str, Any] = {}
    for name in _RATES[:2]:
        if _too_far(getattr(record, name), name, lowest, reference, flags):
            lost[name] = None
    boards = tuple([_board(board, reference, trusted, flags) for board in record.boards])
    if any(board is not before for board, before in zip(boards, record.boards, strict=True)):
        lost["boards"] = boards
    if trusted is not None:
        rate = None if "hashrate_hs" in lost else record.hashrate_hs
        for name in ("power_w", "power_limit_w"):
            watts = getattr(record, name)
            if watts is None:
                continue
            if watts > MOST_RATIO * trusted.power_w or (name == "power_w" and _too_little(watts, rate, trusted)):
                flags.add(f"implausible:{name}")
                lost[name] = None
    return msgspec.structs.replace(record, **lost) if lost else record


def without_rates(boards: tuple[BoardReading, ...]) -> tuple[BoardReading, ...]:
    """``boards`` with their hashrates dropped."""
    return tuple([msgspec.structs.replace(board, **_NO_BOARD_RATES) for board in boards])


def _too_far(rate: float | None, name: str, lowest: float, reference: float, flags: set[str]) -> bool:
    if not rate or lowest < rate <= MOST_RATIO * reference:
        return False
    flags.add("unit_suspect" if rate <= lowest or rate >= UNIT_RATIO * reference else f"implausible:{name}")
    return True


def _board(board: BoardReading, reference: float, plate: Nameplate | None, flags: set[str]) -> BoardReading:
    """A board does no more than the machine; how little it may do is seen where boards and total are compared."""
    lost: dict[str, Any] = {}
    if _too_far(board.hashrate_hs, "boards.hashrate_hs", 0.0, reference, flags):
        lost["hashrate_hs"] = None
    if _too_far(board.hashrate_nominal_hs, "boards.hashrate_nominal_hs", 0.0, reference, flags):
        lost["hashrate_nominal_hs"] = None
    if plate is not None and board.power_w is not None and board.power_w > MOST_RATIO * plate.power_w:
        flags.add("implausible:boards.power_w")
        lost["power_w"] = None
    return msgspec.structs.replace(board, **lost) if lost else board


def _too_little(watts: int, rate: float | None, plate: Nameplate) -> bool:
    """Whether no machine makes ``rate`` with so few ``watts``: kilowatts, one board's share, or 0 for *not metered*."""
    return rate is not None and 0 <= watts < _LEAST_EFFICIENCY * plate.efficiency_j_th * rate / 1e12
