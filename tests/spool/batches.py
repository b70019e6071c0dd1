"""Small batches whose every point can be told from every other by its miner_id."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from storage.frame import build_frame
from storage.spool.record import Batch, SpoolRecord

SLOT = 1_795_478_400


def batch(batch_id: str, points: Sequence[str], slot: int = SLOT) -> Batch:
    """A batch with one row of ``miner_telemetry`` per name in ``points``."""
    frame = build_frame(
        "miner_telemetry",
        [slot] * len(points),
        {"miner_id": list(points), "hashrate_hs": [1.5] * len(points)},
    )
    return Batch(batch_id, slot, "run", [frame])


def numbered(number: int, size: int = 3) -> Batch:
    """Batch ``b<number>`` with ``size`` points of its own."""
    return batch(f"b{number}", [f"p{number}.{row}" for row in range(size)])


def points_in(records: Iterable[SpoolRecord]) -> list[str]:
    """Names of all points in ``records``, in order."""
    return [
        name for record in records for frame in record.batch.frames if len(frame) for name in frame.columns["miner_id"]
    ]
