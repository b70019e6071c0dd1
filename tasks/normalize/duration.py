"""Durations as miners write them, in seconds."""

from __future__ import annotations

import re

_DAY, _HOUR, _MINUTE = 86_400, 3_600, 60
_LONGEST_DAYS = 36_500

_UPTIME = re.compile(
    r"\s*(?:up\s+)?(?:(?P<days>\d{1,6})\s+days?\s*,?\s*)?(?:(?P<hours>\d{1,2}):(?P<minutes>\d\d)|(?P<alone>\d{1,2})\s+min)?\s*"
)
_CLOCK = re.compile(
    r"\s*(?:(?P<days>\d{1,6})\s+days?\s*,?\s*)?(?P<hours>\d{1,6}):(?P<minutes>\d\d):(?P<seconds>\d\d)(?:\.\d+)?\s*"
)


def uptime_s(text: str | None) -> int | None:
    """Seconds from the text of ``uptime``: ``"1:55"`` is hours and minutes, ``"10 days, 18:00"``, ``"7 min"``."""
    found = _UPTIME.fullmatch(text) if text and text.strip() else None
    if found is None or not any(found.groupdict().values()):
        return None
    days, hours, minutes = (int(found[name] or 0) for name in ("days", "hours", "minutes"))
    if hours >= 24 or minutes >= 60 or days > _LONGEST_DAYS:
        return None
    return days * _DAY + hours * _HOUR + (minutes or int(found["alone"] or 0)) * _MINUTE


def clock_s(text: str | None) -> int | None:
    """Seconds from ``"0:00:04"`` (hours, minutes, seconds), also with days before it; None for all else, ``"0"`` too.

    A bare ``"0"`` as the time of the last share says that there was none yet.
    """
    found = _CLOCK.fullmatch(text) if text else None
    if found is None:
        return None
    days, hours, minutes, seconds = (int(found[name] or 0) for name in ("days", "hours", "minutes", "seconds"))
    if minutes >= 60 or seconds >= 60 or days > _LONGEST_DAYS:
        return None
    return days * _DAY + hours * _HOUR + minutes * _MINUTE + seconds
