"""Hashrate to H/s. The unit is what the source says (``hr_measure``, ``rate_unit``), never what a field's name says.

Fields called GHS hold MH/s on Scrypt machines (bitmaintech/bmminer#11), which is why no function here has a default
unit.
"""

from __future__ import annotations

import math

_PREFIXES = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12, "p": 1e15, "e": 1e18}
_SUSPECT_RATIO = 100.0


def hashrate_factor(unit: str | None) -> float | None:
    """H/s in one ``unit``: ``"GH/s"``, ``"TH"``, ``"kH/s"`` ... None when the unit is not one (``"N/A"``, ``""``).

    Case does not matter: nobody reports in millihashes, and makers write ``Mh/s`` and ``MH/s`` alike.
    """
    if unit is None:
        return None
    text = unit.strip().lower().removesuffix("/s")
    if not text.endswith("h"):
        return None
    return _PREFIXES.get(text[:-1])


def hashrate_hs(value: float | None, factor: float | None) -> float | None:
    """``value`` times ``factor`` in H/s; None when either is unknown, or when the value is negative or not finite."""
    if value is None or factor is None:
        return None
    found = value * factor
    return found if 0.0 <= found < math.inf else None


def unit_is_suspect(hashrate: float | None, reference: float | None) -> bool:
    """Whether ``hashrate`` is so far from an independent ``reference`` (both H/s) that the unit must be wrong.

    Prefixes are a thousand apart and no preset is a hundred times another, so a ratio beyond 100 is a unit.
    """
    if not hashrate or not reference:
        return False
    return not 1 / _SUSPECT_RATIO < hashrate / reference < _SUSPECT_RATIO
