"""Grafana's names of the declared units. Base units are stored; Grafana makes 95.2 TH/s of 95.2e12 H/s."""

from __future__ import annotations

GRAFANA_UNIT = {
    "": "none",
    "H/s": "Hs",
    "W": "watt",
    "degC": "celsius",
    "J/TH": "suffix: J/TH",
    "MHz": "suffix: MHz",
    "V": "volt",
    "s": "s",
    "ms": "ms",
    "rpm": "rotrpm",
    "percent": "percent",
    "ratio": "percentunit",
    "count": "short",
    "shares": "short",
    "d1_shares": "short",
}
"""Declared unit to the unit id of a panel. A unit that is not here has no panel yet."""
