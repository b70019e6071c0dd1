"""Rounding of float telemetry to 16 significant bits, which halves the disk (reference/influx-portable.md 5.2)."""

from __future__ import annotations

import numpy as np

SIGNIFICANT_BITS = 16


def rounded(values: list[float | None]) -> list[float | None]:
    """``values`` rounded to 16 significant bits, relative error below 2**-16; nulls stay null. Idempotent."""
    if not values:
        return []
    numbers = np.array(values, dtype=np.float64)  # None becomes NaN
    mantissa, exponent = np.frexp(numbers)
    with np.errstate(over="ignore"):
        short = np.ldexp(np.rint(mantissa * (1 << SIGNIFICANT_BITS)) / (1 << SIGNIFICANT_BITS), exponent)
    short = np.where(np.isinf(short), numbers, short)  # rounding up at the top of the range would leave it
    return [None if value is None else number for value, number in zip(values, short.tolist(), strict=True)]
