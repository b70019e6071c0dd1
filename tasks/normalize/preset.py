"""Overclocking presets, whose label is made for people."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tasks.normalize.hashrate import hashrate_factor

_POWER = re.compile(r"(\d{1,6})\s*w(?:att)?s?\b", re.IGNORECASE)
_HASHRATE = re.compile(r"~\s*(\d+(?:\.\d+)?)\s*([kmgtpe]?h)(?:/s)?\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Preset:
    """What a preset's name and label tell: ``power_w`` and ``hashrate_hs`` are None where they tell nothing."""

    label: str | None
    power_w: int | None
    hashrate_hs: float | None


def read_preset(name: str | int | None, pretty: str | None) -> Preset:
    """Read ``("2800", "2800 watt ~ 188 TH")``, ``(2800, None)``, ``("custom", None)``, ``("disabled", "Disabled")`` ...

    The name of a VNish preset is its power target in W. The label stays whole: its numbers are rounded.
    """
    name = str(name) if name is not None else None
    text = pretty or name or ""
    power = _POWER.search(text)
    hashrate = _HASHRATE.search(text)
    watt = name if name and name.isascii() and name.isdigit() and len(name) <= 6 else (power[1] if power else None)
    factor = hashrate_factor(hashrate[2]) if hashrate else None
    return Preset(
        label=text or None,
        power_w=int(watt) if watt else None,
        hashrate_hs=float(hashrate[1]) * factor if hashrate and factor else None,
    )
