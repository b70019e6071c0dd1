"""What makers print on their machines: algorithm, hashrate and power, by model.

One model is sold in several bins that differ by a fifth, so a row holds a usual one. That is enough for what the table
is for: readings are compared with it within a factor of two, units within a factor of a hundred, and the algorithm
tells what a miner means by *GHS* (tasks/normalize/hashrate.py). Figures are the makers' public ones; those of the L11,
out since September 2025, are as public price lists repeat them (asicminervalue.com), the maker's page was not at hand.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

Algorithm = Literal["sha256d", "scrypt"]


@dataclass(frozen=True, slots=True)
class Nameplate:
    """One model; ``hashrate_hs`` in H/s and ``power_w`` at the wall, in the maker's normal mode."""

    model: str
    algorithm: Algorithm
    hashrate_hs: float
    power_w: int

    @property
    def efficiency_j_th(self) -> float:
        """J/TH, on Scrypt machines too."""
        return self.power_w / (self.hashrate_hs / 1e12)


_SHA256D_TH = (
    # Bitmain
    ("S9", 13.5, 1323), ("S9i", 14, 1320), ("S9j", 14.5, 1350), ("S9k", 13.5, 1148), ("S9 SE", 16, 1280),
    ("T9", 11.5, 1576), ("T9+", 10.5, 1432), ("S11", 20.5, 1530), ("S15", 28, 1596), ("T15", 23, 1541),
    ("S17", 56, 2520), ("S17e", 64, 2880), ("S17 Pro", 53, 2094), ("S17+", 73, 2920), ("T17", 40, 2200),
    ("T17e", 53, 2915), ("T17+", 64, 3200), ("S19", 95, 3250), ("S19 Pro", 110, 3250), ("S19+", 80, 3250),
    ("S19 Pro+", 120, 3250), ("S19i", 90, 3250), ("S19a", 96, 3250), ("S19a Pro", 110, 3250), ("S19j", 90, 3250),
    ("S19j L", 86, 3100), ("S19j Pro", 100, 3050), ("S19j Pro+", 122, 3355), ("S19j XP", 151, 3247),
    ("S19k Pro", 120, 2760), ("S19 XP", 140, 3010), ("S19 Hyd", 158, 5451), ("S19 Pro Hyd", 177, 5221),
    ("S19 Pro+ Hyd", 198, 5445), ("S19 XP Hyd", 255, 5304), ("S19 XP+ Hyd", 279, 5301), ("T19", 84, 3150),
    ("T19 Hyd", 145, 5438), ("T21", 190, 3610), ("S21", 200, 3500), ("S21+", 216, 3564), ("S21 Pro", 234, 3510),
    ("S21 XP", 270, 3645), ("S21 Hyd", 335, 5360), ("S21+ Hyd", 319, 4785), ("S21 XP Hyd", 473, 5676),
    ("S21 Immersion", 301, 5569), ("S21 XP Immersion", 300, 4050),
    # MicroBT
    ("M20S", 68, 3360), ("M21S", 56, 3360), ("M30S", 88, 3344), ("M30S+", 100, 3400), ("M30S++", 112, 3472),
    ("M31S", 76, 3220), ("M31S+", 80, 3360), ("M50", 118, 3306), ("M50S", 126, 3276), ("M50S+", 140, 3360),
    ("M50S++", 150, 3300), ("M53", 230, 6670), ("M53S", 260, 6760), ("M56", 194, 5550), ("M56S", 212, 5550),
    ("M60", 172, 3422), ("M60S", 186, 3441), ("M60S+", 200, 3400), ("M63", 334, 6646), ("M63S", 390, 7215),
    ("M66", 276, 5492), ("M66S", 298, 5513),
    # Canaan
    ("Avalon 1166 Pro", 81, 3400), ("Avalon 1246", 90, 3420), ("Avalon 1346", 110, 3300), ("Avalon 1366", 130, 3250),
    ("Avalon 1466", 150, 3230), ("Avalon 1566", 185, 3420), ("Avalon Nano 3", 4, 140),
)  # fmt: skip

_SCRYPT_MH = (
    # Bitmain
    ("L3", 250, 400), ("L3+", 504, 800), ("L3++", 580, 942), ("L7", 9_500, 3425), ("L9", 16_000, 3360),
    ("L11", 20_000, 3680), ("L11 Pro", 21_000, 3612), ("L11 Hyd", 33_000, 5676), ("L11 Hyd 6U", 33_000, 5676),
    ("L11 Hyd 2U", 35_000, 5775),
    # ElphaPex
    ("DG1", 11_000, 3420), ("DG1+", 14_000, 3920), ("DG Home1", 2_100, 630),
    # Goldshell
    ("LT5", 2_050, 2080), ("LT5 Pro", 2_450, 3100), ("LT6", 3_350, 3200), ("Mini DOGE", 185, 233),
)  # fmt: skip

_MAKERS = frozenset({"antminer", "bitmain", "whatsminer", "microbt", "canaan", "avalonminer", "avalon", "elphapex",
                     "goldshell"})  # fmt: skip
_SAME = {"plus": "+", "hydro": "hyd", "imm": "immersion"}
_WORD = re.compile(r"[a-z0-9]+|\+")
_REMARK = re.compile(r"\([^)]*\)")
_BIN = re.compile(r"\d+(?:\.\d+)?[mgt]h?s?|v[a-z]?\d{1,3}[a-z]?")
"""Words that tell the bin or the board inside, not the model: ``95T``, ``VH40``."""


def _key(model: str) -> str:
    words = [_SAME.get(word, word) for word in _WORD.findall(_REMARK.sub(" ", model.lower()))]
    named = "".join(word for word in words if word not in _MAKERS and not _BIN.fullmatch(word))
    return re.sub(r"^a(?=1\d{3})", "", named)  # an Avalon is called 1246 or A1246


NAMEPLATES = tuple(
    [Nameplate(model, "sha256d", rate * 1e12, watts) for model, rate, watts in _SHA256D_TH]
    + [Nameplate(model, "scrypt", rate * 1e6, watts) for model, rate, watts in _SCRYPT_MH]
)
_BY_KEY = {_key(plate.model): plate for plate in NAMEPLATES}


@lru_cache(maxsize=1_024)
def nameplate(model: str) -> Nameplate | None:
    """The nameplate of ``"ANTMINER_S19"``, ``"Antminer S21 Pro (Vnish 1.2.7)"``, ``"WhatsMiner M30S++ VH40"`` ...

    None for a model that is not in the table, a further variant of one that is included: an S19 with a word more may
    be another machine.
    """
    return _BY_KEY.get(_key(model))


def algorithm_of(model: str | None) -> Algorithm | None:
    """What a model hashes; None for one that is not in the table."""
    plate = nameplate(model) if model else None
    return plate.algorithm if plate else None
