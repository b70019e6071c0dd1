"""Hashrate to H/s. The unit is what the source says (``hr_measure``, ``rate_unit``), never what a field's name says.

Fields called GHS hold MH/s on Scrypt machines (bitmaintech/bmminer#11), which is why no function here has a default
unit: where a source names none, the algorithm tells (:func:`ghs_factor`), and without it the hashrate is not known.
"""

from __future__ import annotations

import math
import re

_PREFIXES = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12, "p": 1e15, "e": 1e18}
_SUSPECT_RATIO = 100.0
_GHS = {"sha256d": 1e9, "scrypt": 1e6}
_WRITTEN = re.compile(
    r"\s*(?P<value>\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d*\.?\d+(?:e[+-]?\d+)?)\s*(?P<unit>[kmgtpe]?h(?:/s)?)\s*",
    re.IGNORECASE,
)


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


def ghs_factor(algorithm: str | None) -> float | None:
    """H/s in one *GHS* of a CGMiner-like miner without a field for its unit: GH/s for ``sha256d``, MH/s for ``scrypt``.

    None for any other algorithm: a hashrate that may be a thousand times wrong is not known. Of a miner that does not
    tell its algorithm the model does (``nameplate(model).algorithm``).
    """
    return _GHS.get(algorithm or "")


def hashrate_hs(value: float | None, factor: float | None) -> float | None:
    """``value`` times ``factor`` in H/s; None when either is unknown, or the product not finite.

    A negative one passes: that it was read, and is impossible, is for judging to say (tasks/normalize/limits.py).
    """
    if value is None or factor is None:
        return None
    found = value * factor
    return found if math.isfinite(found) else None


def written_hashrate_hs(text: str | None) -> float | None:
    """H/s of a hashrate that carries its unit: ``"95.3 TH/s"``, ``"1,250.5 GH/s"``, ``"504MH"``; else None."""
    found = _WRITTEN.fullmatch(text) if text and len(text) <= 64 else None
    if found is None:
        return None
    return hashrate_hs(float(found["value"].replace(",", "")), hashrate_factor(found["unit"]))


def unit_is_suspect(hashrate: float | None, reference: float | None) -> bool:
    """Whether ``hashrate`` is so far from an independent ``reference`` (both H/s) that the unit must be wrong.

    Prefixes are a thousand apart and no preset is a hundred times another, so a ratio beyond 100 is a unit.
    """
    if not hashrate or not reference:
        return False
    return not 1 / _SUSPECT_RATIO < hashrate / reference < _SUSPECT_RATIO
