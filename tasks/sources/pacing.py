"""When a request is due: spread over its interval by its name, later after failures, never before it is allowed."""

from __future__ import annotations

import math
from random import Random
from zlib import crc32

import msgspec

from tasks.resilience.backoff import Backoff
from tasks.sources.failure import Noticed, SourceFailure, SourceFailureKind
from tasks.sources.source import Request
from tasks.sources.standing import RequestStanding

_FIRST_BACKOFF_S = 15.0
_LONGEST_BACKOFF_S = 3_600.0
_HOUR_S = 3_600.0
_DAY_S = 86_400.0

AGAIN_S, _GROWTH = 120.0, 6
"""A proxy or a page of maintenance may say 401 or 410 for a minute: what seems to be for good is asked again soon, and
believed the more the more often it is said."""
_FOR_GOOD = {
    SourceFailureKind.REFUSED: _HOUR_S,  # somebody must act; then it is noticed within the hour
    SourceFailureKind.GONE: _DAY_S,
}
"""The longest pause after failures that are for good."""
_PAUSES = {
    SourceFailureKind.QUOTA_EXHAUSTED: _HOUR_S,
    SourceFailureKind.RATE_LIMITED: 60.0,
}


def as_of(standing: RequestStanding, slot: int) -> RequestStanding:
    """``standing`` as it counts at ``slot``: a clock that ran ahead and was set back has noted times to come, by which
    nothing would be asked until they are there. Such a request stands as one that was never asked."""
    if max(standing.asked_slot or 0, standing.success_slot or 0) <= slot:
        return standing
    return msgspec.structs.replace(standing, asked_slot=None, success_slot=None, not_before=0.0)


def is_due(source: str, request: Request, standing: RequestStanding | None, slot: int) -> bool:
    """Whether ``request`` is to be asked at ``slot``.

    Each has its own phase in its interval, the same on every host and after every restart, so that many requests of one
    interval do not go out together. What was never answered, or is no longer covered, is due at once.
    """
    if request.covered_by is not None:
        return False
    if standing is None:
        return True
    if slot < standing.not_before:
        return False
    if standing.covered_by is not None:
        return True
    if standing.success_slot is None:
        return standing.asked_slot is None or slot > standing.asked_slot
    phase = crc32(f"{source}/{request.name}".encode()) % request.every_s
    last = _counted_from(standing, standing.success_slot)
    return (slot - phase) // request.every_s > (last - phase) // request.every_s


def next_due(
    source: str, request: Request, standing: RequestStanding | None, slot: int, *, grid_s: int, held_until: float = 0.0
) -> int | None:
    """The first slot after ``slot``, of those ``grid_s`` apart, at which ``request`` will be due if nothing happens.

    ``held_until``: nothing is asked of its source before that (Unix seconds). None: while something covers it.
    """
    if request.covered_by is not None:
        return None
    earliest = max(slot + grid_s, held_until)
    if standing is not None:
        earliest = max(earliest, standing.not_before)
        if standing.covered_by is None and standing.success_slot is not None:
            phase = crc32(f"{source}/{request.name}".encode()) % request.every_s
            last = _counted_from(standing, standing.success_slot)
            earliest = max(earliest, ((last - phase) // request.every_s + 1) * request.every_s + phase)
    return math.ceil(earliest / grid_s) * grid_s


def _counted_from(standing: RequestStanding, success_slot: int) -> int:
    """The slot whose interval is the one that was served last."""
    return max(success_slot, standing.asked_slot or 0) if standing.failure is None else success_slot


def wait_after(failure: SourceFailure, failures_in_a_row: int, every_s: int, random: Random) -> float:
    """Seconds to leave a request alone after a failure: what the source asked for, at least what its kind needs."""
    if isinstance(failure, Noticed):
        return 0.9 * every_s
    asked = failure.retry_after_s or 0.0
    if failure.kind is SourceFailureKind.BUDGET:
        return asked
    pause = _PAUSES.get(failure.kind)
    if failure.kind in _FOR_GOOD:
        pause = min(_FOR_GOOD[failure.kind], AGAIN_S * _GROWTH ** min(failures_in_a_row - 1, 6))
    elif pause is None:
        longest = max(_FIRST_BACKOFF_S, min(_LONGEST_BACKOFF_S, 4.0 * every_s))
        pause = Backoff(min(_FIRST_BACKOFF_S, longest), longest).wait_s(failures_in_a_row, random)
    return max(asked + 1.0 if asked else 0.0, pause)
