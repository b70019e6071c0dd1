"""What is to be done before a disk is full, in order. Pure, and never a deletion."""

from __future__ import annotations

from enum import StrEnum

from storage.settings import DiskSettings


class Action(StrEnum):
    """A step of the guard, the mildest first."""

    COMPACT = "compact"
    ARCHIVE = "archive"
    WARN = "warn"


def due(days: float | None, free_percent: float, limits: DiskSettings) -> tuple[Action, ...]:
    """Steps that are due on a volume with ``free_percent`` left, full in ``days`` (None: never, or not known)."""
    bounds = {
        Action.COMPACT: (limits.compact_below_days, limits.compact_below_percent),
        Action.ARCHIVE: (limits.archive_below_days, limits.archive_below_percent),
        Action.WARN: (limits.warn_below_days, limits.warn_below_percent),
    }
    return tuple(
        action
        for action, (below_days, below_percent) in bounds.items()
        if free_percent < below_percent or (days is not None and days < below_days)
    )
