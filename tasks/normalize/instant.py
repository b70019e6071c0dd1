"""Instants in UTC."""

from __future__ import annotations

from datetime import UTC, datetime


def unix_s(text: str | None) -> float | None:
    """Unix seconds of an ISO 8601 instant. One without an offset is taken for UTC; what is not one gives None."""
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text.strip())
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def age_s(then: str | None, now: str | None) -> float | None:
    """Seconds from ``then`` to ``now``, both from the same clock, so that its error cancels; None when not known.

    ``then`` after ``now`` is a clock that was set in between: None.
    """
    start, end = unix_s(then), unix_s(now)
    if start is None or end is None or end < start:
        return None
    return end - start
