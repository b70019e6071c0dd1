"""What the networks of an algorithm's coins pay for a hashrate, from what explorers and price providers told last."""

from __future__ import annotations

from pathlib import Path

from tasks.derive.network import Chain, usd_per_th_day
from tasks.market.coins import COINS, merge_mined_with
from tasks.market.network.memory import NetworkMemory
from tasks.market.prices import PriceMemory

_LEADING = {"sha256d": "bitcoin", "scrypt": "litecoin"}
AGE_S = 2 * 86_400
"""A difficulty of two days ago is good enough to tell a wrong unit."""
GOOD_FOR_S = 300


class NetworkWorth:
    """Arithmetic of networks over the files in ``folder`` (``<data>/state``); looked at every five minutes."""

    def __init__(self, folder: Path) -> None:
        self._networks = NetworkMemory(folder)
        self._prices = PriceMemory(folder)
        self._known: dict[str, tuple[int, float | None]] = {}

    def __call__(self, algorithm: str, time: int) -> float | None:
        """USD per TH/s and day; None where difficulty, reward or price of the leading coin is not known."""
        at, found = self._known.get(algorithm, (-GOOD_FOR_S, None))
        if not 0 <= time - at < GOOD_FOR_S:
            found = self._worked_out(algorithm, time)
            self._known[algorithm] = (time, found)
        return found

    def _worked_out(self, algorithm: str, time: int) -> float | None:
        leading = _LEADING.get(algorithm)
        own = None if leading is None else self._of(leading, time)
        if leading is None or own is None:
            return None
        return own + sum(self._of(coin.id, time) or 0.0 for coin in merge_mined_with(leading))

    def _of(self, coin_id: str, time: int) -> float | None:
        samples = [
            one
            for one in self._networks.samples(coin_id)
            if time - AGE_S < one.time and not one.implausible and one.network_difficulty and one.block_reward
        ]
        price = self._prices.best(coin_id, time)
        if not samples or price is None:
            return None
        newest = max(samples, key=lambda one: one.time)
        chain = Chain(
            coin_id, COINS[coin_id].algorithm or "", newest.network_difficulty, newest.block_reward, price.price_usd
        )
        return usd_per_th_day(chain)
