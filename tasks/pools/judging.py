"""Judging what a pool tells of its workers, before it is stored: what cannot be is dropped with its reason. Pure.

A pool is not blamed for what it never tells; only a worker that it calls online and gives no hashrate lacks something.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec

from storage.frame import Frame
from storage.records.pool import PoolRecords, WorkerPerformance, pool_frames
from tasks.normalize.quality import Rule

MOST_HS = 1e24
"""Above any network there is: a hashrate beyond it is a mistake."""
UNIT_RATIO = 100.0
SILENT_S = 6 * 3_600
"""No share for longer than this, and online at the same time, is a contradiction."""

IMPOSSIBLE, UNIT_SUSPECT, CONFLICTING, NO_HASHRATE = "impossible", "unit_suspect", "conflicting", "missing:hashrate"
RULES = (
    Rule(f"{IMPOSSIBLE}:*", 0.8, "no worker can have this: negative, not finite, more than all shares", "dropped"),
    Rule(
        UNIT_SUSPECT,
        0.5,
        f"reported and effective hashrate differ {UNIT_RATIO:.0f} times or more: a unit is wrong",
        "kept",
    ),
    Rule(CONFLICTING, 0.7, f"online, and its last share is more than {SILENT_S // 3600} h old", "kept"),
    Rule(NO_HASHRATE, 0.5, "online, and no hashrate was told", "null"),
)
WEIGHTS = {rule.word.partition(":*")[0]: rule.weight for rule in RULES}
"""What each word takes of a row's quality."""

_LIMITS: dict[str, tuple[float, float]] = {
    "hashrate_reported_hs": (0.0, MOST_HS),
    "hashrate_effective_hs": (0.0, MOST_HS),
    "shares_accepted": (0, 2**62),
    "shares_rejected": (0, 2**62),
    "shares_stale": (0, 2**62),
    "shares_invalid": (0, 2**62),
    "work_accepted_d1": (0.0, 1e30),
    "work_stale_d1": (0.0, 1e30),
    "work_invalid_d1": (0.0, 1e30),
    "reject_ratio": (0.0, 1.0),
    "difficulty": (0.0, 1e18),
    "last_share_age_s": (0.0, 1e10),
    "earnings_usd": (0.0, 1e12),
}


def judged_frames(records: PoolRecords) -> list[Frame]:
    """Frames of ``records`` with the quality of each worker's row."""
    return pool_frames(msgspec.structs.replace(records, workers=tuple(map(judged, records.workers))))


def judged(worker: WorkerPerformance) -> WorkerPerformance:
    """``worker`` without impossible values, with ``quality`` (0 to 1, the product of its words' weights) and flags.

    A word that the driver put there stays, and counts as none of ours.
    """
    dropped: dict[str, Any] = {}
    for name, (low, high) in _LIMITS.items():
        value = getattr(worker, name)
        if value is not None and not (math.isfinite(value) and low <= value <= high):
            dropped[name] = None
    kept = msgspec.structs.replace(worker, **dropped) if dropped else worker
    words = [f"{IMPOSSIBLE}:{name}" for name in dropped]
    reported, effective = kept.hashrate_reported_hs, kept.hashrate_effective_hs
    if reported and effective and not 1 / UNIT_RATIO < reported / effective < UNIT_RATIO:
        words.append(UNIT_SUSPECT)
    if kept.status == "online":
        if kept.last_share_age_s is not None and kept.last_share_age_s > SILENT_S:
            words.append(CONFLICTING)
        if reported is None and effective is None:
            words.append(NO_HASHRATE)
    quality = math.prod(WEIGHTS[IMPOSSIBLE if word.startswith(IMPOSSIBLE) else word] for word in set(words))
    told = [word for word in (worker.quality_flags or "").split(",") if word]
    return msgspec.structs.replace(kept, quality=quality, quality_flags=",".join([*told, *words]) or None)
