"""Temperatures in degrees Celsius, without the numbers that sensors give when they measure nothing."""

from __future__ import annotations

_LOWEST_C, _HIGHEST_C = -50.0, 200.0
"""What a chip sensor can measure; 255, -128, 65535 and the like are its way to say *no reading*."""

_MILLI_FROM, _NO_READING = 1_000.0, 65_535.0


def celsius(value: float | None) -> float | None:
    """``value`` in degrees Celsius, or None where it is outside what a sensor can measure."""
    return value if value is not None and _LOWEST_C < value < _HIGHEST_C else None


def celsius_or_milli(value: float | None) -> float | None:
    """Like :func:`celsius`, for makers that send degrees in one version and thousandths in another (ElphaPex).

    What is at least 1,000 is thousandths: no sensor survives 1,000 degrees, and no machine runs at one degree. A sensor
    that measures nothing says 65535 in both.
    """
    if value is not None and value >= _MILLI_FROM and value != _NO_READING:
        return celsius(value / 1000.0)
    return celsius(value)
