"""Voltages as Antminers are told them."""

from __future__ import annotations

_LOWEST, _HIGHEST = 500, 3_000


def set_voltage_v(hundredths: float | None) -> float | None:
    """Volts from ``bitmain-voltage`` (``"1400"``, ``"0706"``: hundredths of a volt); None where no board has it."""
    return hundredths / 100.0 if hundredths is not None and _LOWEST <= hundredths < _HIGHEST else None
