"""Numbers as devices write them: padded strings, ``""``, ``N/A``, ``nan`` where a number belongs."""

from __future__ import annotations

import math

_EXACT = 2**53
"""Beyond it a float no longer holds every whole number; no counter of a miner gets there in its life."""


def number(value: object) -> float | None:
    """A finite float from a number or from text that holds one; None for everything else, booleans included."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def finite(value: float | None) -> float | None:
    """``value`` unless it is nan or infinite."""
    return value if value is not None and math.isfinite(value) else None


def count(value: float | None) -> int | None:
    """``value`` as a whole number: counters, rpm, watts. None where it is no number or none that is exact.

    A negative one passes: that it was read, and is impossible, is for judging to say (tasks/normalize/limits.py).
    """
    if value is None or not -_EXACT < value < _EXACT:  # also false for nan
        return None
    return round(value)
