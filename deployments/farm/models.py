"""Nameplates and presets of the simulated miners.

Boards, chips, hashrate and power are the makers' public figures. Presets pair watts with the hashrate they bring; those
of the S21 Pro are ones VNish 1.2.7 offers, the others are made up: the harder a chip is driven, the worse its J/TH.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Algorithm = Literal["sha256d", "scrypt"]

HASHES_PER_D1: dict[Algorithm, int] = {"sha256d": 2**32, "scrypt": 2**16}
"""Hashes expected for one share of difficulty 1, as pools of the algorithm count difficulty."""


@dataclass(frozen=True, slots=True)
class Preset:
    """A power target and what it brings: watts, H/s, chip clock in MHz, board voltage in mV."""

    power_w: int
    hashrate_hs: float
    frequency_mhz: int
    voltage_mv: int


@dataclass(frozen=True, slots=True)
class Nameplate:
    """One model: ``name`` as in a configuration, ``code`` and ``full_name`` as its firmware says it.

    ``hr_measure`` is the unit VNish counts in (GH/s for SHA-256d, MH/s for Scrypt) and ``difficulty`` what a pool asks
    of a miner of this size, so that a share comes every five to ten seconds.
    """

    name: str
    code: str
    full_name: str
    algorithm: Algorithm
    hr_measure: Literal["GH/s", "MH/s"]
    hashrate_hs: float
    power_w: int
    boards: int
    chips_per_board: int
    fans: int
    fan_max_rpm: int
    difficulty: int
    presets: tuple[Preset, ...]

    def preset_label(self, preset: Preset) -> str:
        """As VNish words it: ``2800 watt ~ 188 TH``, on Scrypt machines ``3250 watt ~ 9300 MH``."""
        if self.algorithm == "sha256d":
            return f"{preset.power_w} watt ~ {preset.hashrate_hs / 1e12:.0f} TH"
        return f"{preset.power_w} watt ~ {preset.hashrate_hs / 1e6:.0f} MH"


def _presets(unit_hs: float, *rows: tuple[int, float, int, int]) -> tuple[Preset, ...]:
    return tuple(Preset(watts, rate * unit_hs, mhz, mv) for watts, rate, mhz, mv in rows)


ANTMINER_S19 = Nameplate(
    "ANTMINER_S19", "s19", "Antminer S19", "sha256d", "GH/s",
    hashrate_hs=95e12, power_w=3250, boards=3, chips_per_board=76, fans=4, fan_max_rpm=6000, difficulty=131_072,
    presets=_presets(
        1e12, (2150, 72, 410, 12_600), (2480, 80, 455, 12_800), (2830, 88, 505, 13_000), (3250, 96, 545, 13_200),
        (3600, 102, 580, 13_500),
    ),
)  # fmt: skip

ANTMINER_S21_PRO = Nameplate(
    "ANTMINER_S21_PRO", "s21pro", "Antminer S21 Pro", "sha256d", "GH/s",
    hashrate_hs=234e12, power_w=3510, boards=3, chips_per_board=65, fans=4, fan_max_rpm=6500, difficulty=262_144,
    presets=_presets(
        1e12, (2550, 170, 450, 12_700), (2800, 188, 495, 13_000), (3250, 218, 575, 13_200), (3520, 236, 620, 13_400),
        (3970, 266, 700, 13_800),
    ),
)  # fmt: skip

ANTMINER_L7 = Nameplate(
    "ANTMINER_L7", "l7", "Antminer L7", "scrypt", "MH/s",
    hashrate_hs=9.5e9, power_w=3425, boards=4, chips_per_board=120, fans=4, fan_max_rpm=6150, difficulty=1_048_576,
    presets=_presets(
        1e6, (2650, 8000, 560, 13_400), (3000, 8800, 615, 13_700), (3250, 9300, 650, 13_900), (3425, 9500, 665, 14_000),
        (3700, 9900, 695, 14_200),
    ),
)  # fmt: skip

MODELS = {model.name: model for model in (ANTMINER_S19, ANTMINER_S21_PRO, ANTMINER_L7)}


@dataclass(frozen=True, slots=True)
class Variant:
    """A model with its firmware: ``dialect`` is the name of the driver that reads it."""

    model: Nameplate
    dialect: Literal["vnish-rest", "vnish-cgi"]
    firmware: str


DEFAULT_MIX = (
    Variant(ANTMINER_S19, "vnish-rest", "1.2.7"),
    Variant(ANTMINER_S21_PRO, "vnish-rest", "1.3.4"),
    Variant(ANTMINER_L7, "vnish-rest", "1.2.7"),
    Variant(ANTMINER_S19, "vnish-cgi", "3.9.0"),
    Variant(ANTMINER_S21_PRO, "vnish-rest", "1.2.7"),
    Variant(ANTMINER_L7, "vnish-rest", "1.3.4"),
    Variant(ANTMINER_S19, "vnish-rest", "1.3.4"),
    Variant(ANTMINER_L7, "vnish-cgi", "3.9.0"),
)
"""Dealt out in this order, over and over, so that even four miners show both dialects and both algorithms."""
