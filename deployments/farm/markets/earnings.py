"""What hashes earn in the simulated world, by the same networks and prices that all others tell: before any fee."""

from __future__ import annotations

from deployments.farm.markets.networks import HASHES_A_SHARE, network
from deployments.farm.markets.prices import quote

MINED = {"sha256d": ("bitcoin",), "scrypt": ("litecoin", "dogecoin"), "x11": ("dash",)}
"""Coins that hashes of an algorithm find together."""


def coins_per_hash(coin_id: str, at: float) -> float:
    """Coins that a hash finds on average at ``at`` (Unix seconds)."""
    chain = network(coin_id, at)
    return chain.reward / (chain.difficulty * HASHES_A_SHARE)


def usd_per_hash(algorithm: str, at: float) -> float:
    """USD that a hash earns on average, in all coins that it is mined for."""
    return sum(coins_per_hash(coin_id, at) * quote(coin_id, at).price_usd for coin_id in MINED[algorithm])
