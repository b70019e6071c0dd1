"""Temperatures in degrees Celsius, without the numbers that sensors give when they measure nothing."""

from __future__ import annotations

import math

_NO_READING = frozenset({-32_768.0, -273.0, -128.0, 255.0, 32_767.0, 65_535.0})
_MILLI_FROM = 1_000.0


def celsius(value: float | None) -> float | None:
    """``value`` in degrees Celsius; None where it is no number or a sensor's way to say *no reading*.

    A chip at 200 degrees passes: that it was read, and is impossible, is for judging to say.
    """
    return value if value is not None and math.isfinite(value) and value not in _NO_READING else None


def celsius_or_milli(value: float | None) -> float | None:
    """Like :func:`celsius`, for makers that send degrees in one version and thousandths in another (ElphaPex).

    What is at least 1,000 is thousandths: no sensor survives 1,000 degrees, and no machine runs at one degree. A sensor
    that measures nothing says 65535 in both.
    """
    found = celsius(value)
    return found / 1000.0 if found is not None and found >= _MILLI_FROM else found
