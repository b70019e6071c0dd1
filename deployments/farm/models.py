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

ANTMINER_S9 = Nameplate(
    "ANTMINER_S9", "s9", "Antminer S9", "sha256d", "GH/s",
    hashrate_hs=13.5e12, power_w=1323, boards=3, chips_per_board=63, fans=2, fan_max_rpm=6000, difficulty=16_384,
    presets=_presets(1e12, (1100, 12, 575, 8800), (1323, 13.5, 650, 8900)),
)  # fmt: skip

ANTMINER_L3_PLUS = Nameplate(
    "ANTMINER_L3+", "l3+", "Antminer L3+", "scrypt", "MH/s",
    hashrate_hs=504e6, power_w=800, boards=4, chips_per_board=72, fans=2, fan_max_rpm=4500, difficulty=65_536,
    presets=_presets(1e6, (700, 465, 354, 9800), (800, 504, 384, 10_000)),
)  # fmt: skip

ELPHAPEX_DG1_PLUS = Nameplate(
    "ELPHAPEX_DG1+", "dg1+", "DG1+", "scrypt", "MH/s",
    hashrate_hs=14e9, power_w=3920, boards=4, chips_per_board=204, fans=4, fan_max_rpm=6000, difficulty=1_048_576,
    presets=_presets(1e6, (3500, 13_000, 1750, 14_200), (3920, 14_000, 1850, 14_700)),
)  # fmt: skip

MODELS = {
    model.name: model
    for model in (
        ANTMINER_S19, ANTMINER_S21_PRO, ANTMINER_L7, ANTMINER_S9, ANTMINER_L3_PLUS, ELPHAPEX_DG1_PLUS,
    )
}  # fmt: skip

Dialect = Literal["vnish-rest", "vnish-cgi", "antminer-stock", "antminer-legacy", "cgminer-socket"]


@dataclass(frozen=True, slots=True)
class Variant:
    """A model with its firmware: ``dialect`` is the name of the driver that reads it."""

    model: Nameplate
    dialect: Dialect
    firmware: str

    @property
    def is_vnish(self) -> bool:
        """Whether it has VNish, which takes a fee and tells the power; the makers' own firmware does neither."""
        return self.dialect in ("vnish-rest", "vnish-cgi") or self.firmware == "1.2.7"


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

ALL_VARIANTS = (
    *DEFAULT_MIX,
    Variant(ANTMINER_S19, "antminer-stock", "49.0.1.3"),
    Variant(ELPHAPEX_DG1_PLUS, "antminer-stock", "DG1+_V1.0.5"),
    Variant(ANTMINER_S9, "antminer-legacy", "2.0.0"),
    Variant(ANTMINER_L3_PLUS, "antminer-legacy", "2.0.0"),
    Variant(ANTMINER_S19, "cgminer-socket", "49.0.1.3"),
    Variant(ANTMINER_L7, "cgminer-socket", "49.0.1.3"),
    Variant(ANTMINER_S21_PRO, "cgminer-socket", "1.2.7"),
)
"""The default mix, and what is only there where it is asked for: makers' own firmware, miners polled by socket."""
