"""Numbers as people read them: scaled, with unit, and a dash where there is none. Pure."""

from __future__ import annotations

from datetime import UTC, datetime

DASH = "\N{EN DASH}"
SHA256 = "sha256d"
SCRYPT = "scrypt"

_SCALE = {SHA256: (1e12, "TH/s"), SCRYPT: (1e9, "GH/s")}
_PREFIXES = ((1e18, "EH/s"), (1e15, "PH/s"), (1e12, "TH/s"), (1e9, "GH/s"), (1e6, "MH/s"), (1e3, "kH/s"))


def hashrate_scale(algorithm: str | None) -> tuple[float, str]:
    """Divisor and unit in which hashrates of ``algorithm`` are shown; H/s for one that is not known."""
    return _SCALE.get(algorithm or "", (1.0, "H/s"))


def algorithm_name(algorithm: str | None) -> str:
    """Name for people; ``algorithm unknown`` before the first configuration of a miner was read."""
    return {SHA256: "SHA-256", SCRYPT: "Scrypt"}.get(algorithm or "", "algorithm unknown")


def hashrate(value_hs: float | None, algorithm: str | None) -> str:
    """``95.2 TH/s`` for SHA-256, ``9.53 GH/s`` for Scrypt; of an unknown algorithm the prefix that fits."""
    if value_hs is None:
        return DASH
    divisor, unit = hashrate_scale(algorithm)
    if unit == "H/s":
        divisor, unit = hashrate_prefix(value_hs)
    return f"{digits(value_hs / divisor)} {unit}"


def hashrate_prefix(value_hs: float) -> tuple[float, str]:
    """Divisor and unit that fit a hashrate, whatever its algorithm."""
    return next(((d, u) for d, u in _PREFIXES if value_hs >= d), (1.0, "H/s"))


def power(value_w: float | None) -> str:
    """Watts, from 10 kW in kilowatts."""
    if value_w is None:
        return DASH
    return f"{digits(value_w / 1e3)} kW" if value_w >= 1e4 else f"{value_w:,.0f} W"


def efficiency(value_j_th: float | None, algorithm: str | None) -> str:
    """J/TH; for Scrypt J/MH, which is a millionth of it."""
    if value_j_th is None:
        return DASH
    return f"{value_j_th / 1e6:.3f} J/MH" if algorithm == SCRYPT else f"{digits(value_j_th)} J/TH"


def number(value: float | None, unit: str = "", decimals: int = 0) -> str:
    """A plain number with thousands separators and its unit: ``1,903 W``, ``60%``."""
    if value is None:
        return DASH
    return f"{value:,.{decimals}f}{'' if unit in ('', '%') else ' '}{unit}"


def digits(value: float) -> str:
    """Three significant digits and no fewer than the whole part has: 9.53, 95.2, 1,903."""
    size = abs(value)
    return f"{value:,.{2 if size < 9.995 else 1 if size < 99.95 else 0}f}"


def age(seconds: float | None) -> str:
    """``12 s``, ``4 min``, ``3 h``, ``2 d``; clocks that differ a little give ``0 s``, not a negative age."""
    if seconds is None:
        return DASH
    seconds = max(seconds, 0.0)
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 172800 else f"{seconds / 86400:.0f} d"


def clock(unix: float | None) -> str:
    """UTC time of day, with the date when that helps nobody to guess: ``2026-11-24 12:03:00 UTC``."""
    return DASH if unix is None else datetime.fromtimestamp(unix, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
