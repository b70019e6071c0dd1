"""What rules look at: one miner over its last day, and what the whole fleet and its pools know. Plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

TERA = 1e12
HOURS = 24
"""Hours that a rule looks back."""
RECENT = 6
"""Of these, the newest: what a fault must show in to be one of now."""


@dataclass(frozen=True, slots=True)
class PresetRecord:
    """What one preset of a model measurably does: means over ``hours`` hours of ``miners`` miners."""

    power_limit_w: int
    hashrate_hs: float
    power_w: float
    hours: int
    miners: int

    @property
    def efficiency_j_th(self) -> float:
        """J/TH."""
        return self.power_w / (self.hashrate_hs / TERA)


@dataclass(frozen=True, slots=True)
class PoolPay:
    """What a pool paid in the last day: mean USD/TH/day after its fee, in ``hours`` hours with an estimate."""

    usd_th_day: float
    hours: int


@dataclass(frozen=True, slots=True)
class CoinPay:
    """What coins earned on the same hashes in the last day by their networks: mean USD/TH/day of ``hours`` hours."""

    usd_th_day: float
    hours: int
    by_coin: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """One miner. None: not known. Means are over the hours of the last day that are known; ``hours`` counts them.

    ``lost_fans`` and ``lost_boards``: number of the part, and in how many of the RECENT hours it was lost most of the
    time; only parts that are lost in the newest hour known. ``parts_known``: hours with any reading of fans or boards.
    ``usd_th_day``: what a TH/s of this miner earns, after devfee and the fee of its pool. ``tariff``: USD/kWh of the
    next 24 hours, None without a tariff.
    """

    miner_id: str
    model: str = ""
    algorithm: str | None = None
    hours: int = 0
    hashrate_hs: float | None = None
    nominal_hs: float | None = None
    plate_hs: float | None = None
    """Hashrate on the model's nameplate, for what no preset tells."""
    power_w: float | None = None
    chip_max_c: float | None = None
    fan_duty_percent: float | None = None
    ambient_c: float | None = None
    idle_hours: int = 0
    boards_expected: int | None = None
    lost_fans: Mapping[str, int] = field(default_factory=dict)
    lost_boards: Mapping[str, int] = field(default_factory=dict)
    fan_hours: int = 0
    board_hours: int = 0
    power_limit_w: int | None = None
    presets: tuple[PresetRecord, ...] = ()
    usd_th_day: float | None = None
    tariff: tuple[float, ...] | None = None
    kept: float = 1.0
    """Part of the hash power that is left after the devfee."""
    coins: str | None = None
    """Coins that it is taken to mine, as tag ``coins`` of mining_profitability."""
    coin_pays: Mapping[str, CoinPay] = field(default_factory=dict)
    pool_id: str | None = None
    pool_pays: Mapping[str, PoolPay] = field(default_factory=dict)
    credited_coins: frozenset[str] = frozenset()
    """Coins that its pool credited in the last week; empty where the pool tells none."""
    worker_status: str | None = None
    """How its worker fits in the newest hour known, and in how many of the last day's hours it was so."""
    worker_hours: int = 0
    worker_reason: str | None = None

    @property
    def usd_per_kwh(self) -> float | None:
        """Mean price of power of the next 24 hours."""
        return None if not self.tariff else sum(self.tariff) / len(self.tariff)

    @property
    def shortfall_hs(self) -> float | None:
        """What is missing to the hashrate that the present preset should bring; never negative."""
        if self.hashrate_hs is None or self.nominal_hs is None:
            return None
        return max(0.0, self.nominal_hs - self.hashrate_hs)

    def worth_usd_day(self, hashrate_hs: float | None) -> float | None:
        """What ``hashrate_hs`` earns in a day."""
        if hashrate_hs is None or self.usd_th_day is None:
            return None
        return hashrate_hs / TERA * self.usd_th_day

    def cost_usd_day(self, power_w: float | None) -> float | None:
        """What ``power_w`` costs in a day."""
        if power_w is None or self.usd_per_kwh is None:
            return None
        return power_w / 1_000 * 24 * self.usd_per_kwh
