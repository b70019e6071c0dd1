"""Grafana's names of the declared units. Base units are stored; Grafana makes 95.2 TH/s of 95.2e12 H/s."""

from __future__ import annotations

GRAFANA_UNIT = {
    "": "none",
    "H/s": "Hs",
    "W": "watt",
    "degC": "celsius",
    "J/TH": "suffix: J/TH",
    "J/MH": "suffix: J/MH",
    "MHz": "suffix: MHz",
    "V": "volt",
    "s": "s",
    "ms": "ms",
    "rpm": "rotrpm",
    "percent": "percent",
    "ratio": "percentunit",
    "count": "short",
    "count/s": "cps",
    "shares": "short",
    "d1_shares": "short",
    "hashes": "short",
    "coins": "suffix: coins",
    "USD": "currencyUSD",
    "BTC": "currencyBTC",
    "kWh": "kwatth",
    "USD/kWh": "suffix: USD/kWh",
    "USD/TH/day": "suffix: USD/TH/day",
    "USD/day": "suffix: USD/day",
    "days": "d",
    "bytes": "bytes",
}
"""Declared unit to the unit id of a panel."""
