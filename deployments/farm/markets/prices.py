"""What coins cost in the simulated world: a pure function of coin and time, which each provider tells in its way."""

from __future__ import annotations

import math
from dataclasses import dataclass
from zlib import crc32

from tasks.market.coins import COINS

_USD = {
    "bitcoin": (64_000.0, 19.8e6),
    "ethereum": (3_100.0, 120e6),
    "litecoin": (82.0, 76e6),
    "dogecoin": (0.16, 148e9),
}
"""Price about which it swings, and coins in circulation."""
_ELSE = (1.0, 50e6)
_YEAR_S, _WEEK_S, _HOUR_S = 31_557_600.0, 604_800.0, 3_600.0


@dataclass(frozen=True, slots=True)
class Quote:
    """True values of one coin at one time."""

    price_usd: float
    supply: float

    @property
    def market_cap_usd(self) -> float:
        """Price times supply."""
        return self.price_usd * self.supply

    @property
    def volume_24h_usd(self) -> float:
        """A twentieth of the capitalisation changes hands."""
        return self.market_cap_usd / 20


def quote(coin_id: str, at: float) -> Quote:
    """What ``coin_id`` costs at ``at`` (Unix seconds): a yearly tide, a weekly wave, an hourly ripple."""
    level, supply = _USD.get(coin_id, _ELSE)
    phase = crc32(coin_id.encode()) / 2**32 * math.tau
    swing = sum(
        height * math.sin(math.tau * at / period + phase * (number + 1))
        for number, (height, period) in enumerate(((0.3, _YEAR_S), (0.05, _WEEK_S), (0.004, _HOUR_S)))
    )
    return Quote(level * math.exp(swing), supply)


def change_percent(coin_id: str, at: float, over_s: float) -> float:
    """By how much the price has changed in ``over_s``."""
    return (quote(coin_id, at).price_usd / quote(coin_id, at - over_s).price_usd - 1.0) * 100.0


def all_market_cap_usd(at: float) -> float:
    """Of all coins of Lodeline's table, which are all there are here."""
    return sum(quote(coin_id, at).market_cap_usd for coin_id in COINS)
