"""Efficiency, computed from power and hashrate: what firmwares report changes its unit between versions."""

from __future__ import annotations


def efficiency_j_th(power_w: float | None, hashrate_hs: float | None) -> float | None:
    """W per TH/s, which is J/TH; J/MH is this number / 1e6. None without power, or while nothing is hashed."""
    if power_w is None or not hashrate_hs:
        return None
    return power_w / (hashrate_hs / 1e12)
