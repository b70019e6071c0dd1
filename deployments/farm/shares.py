"""Shares with luck: a Poisson process that can be asked for its count at any point, in any order, at once.

Operational time is *expected shares*: where a miner with perfectly even luck would have found ``x`` shares, this one
has found ``count(x)``. The axis is cut into blocks of 256 expected shares. How many each block holds is drawn from one
seeded stream, where within the block they fall from another; only the block last asked for is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLOCK = 256


class ShareStream:
    """One kind of share (accepted, rejected, stale) of one miner and pool, from one boot to the next."""

    __slots__ = ("_before", "_block", "_key", "_positions")

    def __init__(self, key: tuple[int, ...]) -> None:
        self._key = key
        self._block = -1
        self._before = 0
        self._positions: NDArray[np.float64] = np.empty(0)

    def count(self, expected: float) -> int:
        """Shares found once ``expected`` of them were due; never falls as ``expected`` rises."""
        return self.count_and_last(expected)[0]

    def count_and_last(self, expected: float) -> tuple[int, float | None]:
        """The count, and the operational time of the newest share, None before the first."""
        block, within = divmod(expected / BLOCK, 1.0)
        self._load(int(block))
        found = int(self._positions.searchsorted(within, side="right"))
        count = self._before + found
        if found:
            return count, (self._block + float(self._positions[found - 1])) * BLOCK
        if not count:
            return 0, None
        earlier = self._block - 1
        while not len(positions := self._draw(earlier)):
            earlier -= 1
        return count, (earlier + float(positions[-1])) * BLOCK

    def _load(self, block: int) -> None:
        if block != self._block:
            self._block = block
            self._before = int(self._counts(block).sum())
            self._positions = self._draw(block)

    def _counts(self, blocks: int) -> NDArray[np.int64]:
        return np.random.default_rng(self._key).poisson(BLOCK, blocks)

    def _draw(self, block: int) -> NDArray[np.float64]:
        positions = np.random.default_rng((*self._key, block + 1)).random(int(self._counts(block + 1)[block]))
        positions.sort()
        return positions
