"""Efficiency, computed from power and hashrate: what firmwares report changes its unit between versions."""

from __future__ import annotations

from tasks.normalize.number import finite


def efficiency_j_th(power_w: float | None, hashrate_hs: float | None) -> float | None:
    """W per TH/s, which is J/TH; J/MH is this number / 1e6. None without power, or while nothing is hashed."""
    terahashes = hashrate_hs / 1e12 if hashrate_hs else 0.0
    if power_w is None or not terahashes:
        return None
    return finite(power_w / terahashes)
