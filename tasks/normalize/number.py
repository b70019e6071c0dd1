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


def whole(value: float | None) -> int | None:
    """``value`` rounded to a whole number; None where there is none or it is too large to be exact."""
    if value is None or not -_EXACT < value < _EXACT:  # also false for nan
        return None
    return round(value)


def finite(value: float | None) -> float | None:
    """``value`` unless it is nan or infinite."""
    return value if value is not None and math.isfinite(value) else None


def count(value: float | None) -> int | None:
    """``value`` as a whole number from zero up: counters, rpm, watts. None where it is negative or no number."""
    return round(value) if value is not None and 0 <= value < _EXACT else None
