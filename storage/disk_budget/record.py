"""Keeping a budget: its rows go through the spool like all data."""

from __future__ import annotations

from pathlib import Path

from storage.audit.trail import file_name
from storage.disk_budget.budget import Budget
from storage.disk_budget.rows import rows_of
from storage.spool.lane import Lane
from storage.spool.record import Batch

LANE_CAP_BYTES = 64 * 2**20


def record(budget: Budget, spool: Path, host: str, now: int, run_id: str) -> int:
    """Spool ``budget`` in lane ``disk-<host>``; the same second again is spooled once. Rows spooled.

    Raises:
        NeedsHuman: the disk is full already.
    """
    with Lane.open(spool, f"disk-{file_name(host)}", cap_bytes=LANE_CAP_BYTES) as lane:
        return lane.append(Batch(f"disk/{host}/{now}", now, run_id, rows_of(budget, host, now))).batch.points
