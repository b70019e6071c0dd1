"""Share difficulty as pools' labels write it."""

from __future__ import annotations

import re

_SCALES = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12, "p": 1e15, "e": 1e18}
_LABEL = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kmgtpe]?)\s*", re.IGNORECASE)
_LABEL_ERROR = 0.005
"""Labels have three digits, so a label is at most half a percent from what it stands for."""


def difficulty(label: str | None, exact: float | None = None) -> float | None:
    """Difficulty from a label such as ``"262K"`` (262,000) or ``"16.4K"``; None for ``""``.

    ``exact`` is a difficulty known in full, e.g. that of the last share: where the label stands for it, it is taken
    (262,144 for ``"262K"``), where the pool has since asked for another difficulty, the label is.
    """
    found = _LABEL.fullmatch(label) if label else None
    if found is None:
        return None
    rough = float(found[1]) * _SCALES[found[2].lower()]
    if exact is not None and abs(exact - rough) <= _LABEL_ERROR * rough:
        return exact
    return rough or None
