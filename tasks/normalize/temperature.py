"""Temperatures in degrees Celsius, without the numbers that sensors give when they measure nothing."""

from __future__ import annotations

_LOWEST_C, _HIGHEST_C = -50.0, 200.0
"""What a chip sensor can measure; 255, -128, 65535 and the like are its way to say *no reading*."""


def celsius(value: float | None) -> float | None:
    """``value`` in degrees Celsius, or None where it is outside what a sensor can measure."""
    return value if value is not None and _LOWEST_C < value < _HIGHEST_C else None
