"""Readings against each other: boards against their total, efficiency against power and hashrate."""

from __future__ import annotations

from typing import Any

import msgspec

from storage.records.miner import MinerTelemetry
from tasks.normalize.efficiency import efficiency_j_th
from tasks.normalize.limits import MINER_LIMITS
from tasks.normalize.nameplates import nameplate
from tasks.normalize.plausible import UNIT_RATIO, settled, without_rates

BOARDS_TOLERANCE = 0.2
"""Boards and total are averaged over different times by some firmwares; the noise of five seconds is below a tenth."""
EFFICIENCY_TOLERANCE = 0.05
_HIGHEST_EFFICIENCY = MINER_LIMITS["efficiency_j_th"][1]


def consistent(record: MinerTelemetry, read: MinerTelemetry, flags: set[str]) -> MinerTelemetry:
    """``record`` with contradictions flagged, and without the values that a contradiction shows to be wrong.

    ``read`` is the record as the driver read it: what was worked out of a value that has been dropped since goes too.
    """
    return _efficiency(_boards(record, flags), read, flags)


def _boards(record: MinerTelemetry, flags: set[str]) -> MinerTelemetry:
    """Which of the two is wrong is not known, so both stay with ``conflicting:hashrate_hs``; but not a wrong unit."""
    total = record.hashrate_hs
    if total is None or not record.boards or not settled(record):
        return record
    parts = 0.0
    for board in record.boards:
        if board.hashrate_hs is None:
            if board.status in ("mining", "unknown", None):
                return record  # a board that works and does not say how much
        else:
            parts += board.hashrate_hs
    if abs(parts - total) <= BOARDS_TOLERANCE * max(parts, total):
        return record
    if not parts or not total or 1 / UNIT_RATIO < parts / total < UNIT_RATIO:
        flags.add("conflicting:hashrate_hs")
        return record
    flags.add("unit_suspect")
    lost: dict[str, Any] = {} if nameplate(record.miner.model) else {"hashrate_hs": None}
    return msgspec.structs.replace(record, boards=without_rates(record.boards), **lost)


def _efficiency(record: MinerTelemetry, read: MinerTelemetry, flags: set[str]) -> MinerTelemetry:
    """The quotient is what is stored; a firmware's own figure changes its unit between versions."""
    found, said = efficiency_j_th(record.power_w, record.hashrate_hs), record.efficiency_j_th
    if found is None or found > _HIGHEST_EFFICIENCY:
        lost = (record.power_w is None) > (read.power_w is None) or (record.hashrate_hs is None) > (
            read.hashrate_hs is None
        )
        return msgspec.structs.replace(record, efficiency_j_th=None) if lost and said is not None else record
    if found == said:
        return record
    if said is not None and abs(found - said) > EFFICIENCY_TOLERANCE * found:
        flags.add("conflicting:efficiency_j_th")
    return msgspec.structs.replace(record, efficiency_j_th=found)
