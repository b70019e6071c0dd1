"""What the networks of coins do in the simulated world: a pure function of coin and time, which explorers tell."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tasks.market.coins import COINS

HASHES_A_SHARE = 2**32

_OF = {
    "bitcoin": (1.05e14, 3.125, 904_000, 2_016 * 600),
    "litecoin": (8.4e7, 6.25, 2_900_000, 2_016 * 150),
    "dogecoin": (3.6e7, 10_000.0, 5_700_000, 60),
}
"""Difficulty about which it swings, reward, height at the epoch below, and seconds between changes of difficulty."""
_ELSE = (1e6, 10.0, 1_000_000, 60)
_EPOCH, _WAVE_S, _HEIGHT_OF_WAVE = 1_760_000_000, 5_184_000.0, 0.06


@dataclass(frozen=True, slots=True)
class Network:
    """True values of one coin's network at one time. ``blocks_left``: until the difficulty changes."""

    difficulty: float
    reward: float
    block_time_s: float
    height: int
    blocks_left: int

    @property
    def hashrate_hs(self) -> float:
        """What finds blocks so often at that difficulty, in H/s."""
        return self.difficulty * HASHES_A_SHARE / self.block_time_s


def network(coin_id: str, at: float) -> Network:
    """The network of ``coin_id`` at ``at`` (Unix seconds), its blocks found exactly on time."""
    level, reward, first, change_s = _OF.get(coin_id, _ELSE)
    block_time = COINS[coin_id].block_time_s or 60.0
    since = max(0.0, at - _EPOCH)
    changed = since // change_s * change_s
    difficulty = level * math.exp(_HEIGHT_OF_WAVE * math.sin(math.tau * changed / _WAVE_S))
    left = max(1, math.ceil((changed + change_s - since) / block_time))
    return Network(difficulty, reward, block_time, first + int(since // block_time), left)
