"""Arithmetic of a coin's network: what a difficulty means in hashes, and what a hashrate earns by it.

Holds for SHA-256d and Scrypt coins alike, Litecoin and Dogecoin included: a block takes difficulty x 2^32 hashes on
average. Other algorithms count difficulty otherwise; asking for them gives None.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

HASHES_A_SHARE = 2.0**32
"""Hashes of a share of difficulty 1."""
SCRYPT_SHARE = 2.0**16
"""Hashes of a difficulty-1 share as Scrypt pools count shares: a share of theirs is easier by 65,536."""

DAY_S = 86_400
TERA = 1e12

_HALVINGS = {"bitcoin": (50.0, 210_000), "bitcoin-cash": (50.0, 210_000), "litecoin": (50.0, 840_000)}
"""First reward, and blocks until it halves; rules of the chains."""

_LIKE_BITCOIN = frozenset({"sha256d", "scrypt"})


@dataclass(frozen=True, slots=True)
class Chain:
    """What one coin's chain gives. ``reward`` is in coins a block, ``price_usd`` a coin; None: not known."""

    coin_id: str
    algorithm: str
    difficulty: float | None
    reward: float | None
    price_usd: float | None = None


def network_hashrate_hs(algorithm: str, difficulty: float | None, block_time_s: float | None) -> float | None:
    """The hashrate in H/s that finds a block every ``block_time_s`` at ``difficulty``."""
    if algorithm not in _LIKE_BITCOIN or not difficulty or not block_time_s or difficulty < 0 or block_time_s < 0:
        return None
    return difficulty * HASHES_A_SHARE / block_time_s


def subsidy(coin_id: str, height: int | None) -> float | None:
    """Coins that the block after ``height`` brings by the rules of its chain, without fees; None for chains whose rule
    is not known here."""
    if height is None or height < 0 or coin_id not in _HALVINGS:
        return None
    first, blocks = _HALVINGS[coin_id]
    return first / 2.0 ** ((height + 1) // blocks)


def coins_per_day(chain: Chain, hashrate_hs: float) -> float | None:
    """Coins that ``hashrate_hs`` finds in a day on average, before any fee.

    By difficulty, not by the network's hashrate: that is reported over an observed window, which on Dogecoin was found
    off by a third (reference/domain.md 2.3).
    """
    if chain.algorithm not in _LIKE_BITCOIN or chain.reward is None or chain.reward < 0:
        return None
    if not chain.difficulty or chain.difficulty < 0:
        return None
    return DAY_S * hashrate_hs * chain.reward / (chain.difficulty * HASHES_A_SHARE)


def usd_per_th_day(chain: Chain) -> float | None:
    """USD that a TH/s earns in a day on this chain alone, before any fee."""
    coins = coins_per_day(chain, TERA)
    return None if coins is None or chain.price_usd is None else coins * chain.price_usd


def merged_usd_per_th_day(chains: Iterable[Chain], fee_ratio: float = 0.0) -> float | None:
    """USD that a TH/s earns in a day on all ``chains`` with the same hashes, after a fee.

    None where one of them is not known: a sum that silently lacks a coin is wrong, not small.
    """
    parts = [usd_per_th_day(chain) for chain in chains]
    known = [part for part in parts if part is not None]
    if not parts or len(known) < len(parts):
        return None
    return sum(known) * (1.0 - fee_ratio)


def pps_per_share(algorithm: str, difficulty: float | None, reward: float | None, ratio: float = 1.0) -> float | None:
    """Coins that a pool pays for one difficulty-1 share (as it counts them) at a payment of ``ratio``."""
    if algorithm not in _LIKE_BITCOIN or reward is None or not difficulty or difficulty < 0:
        return None
    return ratio * reward / (difficulty * (HASHES_A_SHARE / SCRYPT_SHARE if algorithm == "scrypt" else 1.0))
