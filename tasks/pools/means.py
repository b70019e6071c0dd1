"""What the source of a pool is given besides its settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from pydantic import SecretStr

from tasks.pools.price_guard import PriceGuard
from tasks.resilience.http import Pace

BtcUsd = Callable[[], float | None]
"""Price of a bitcoin in USD now; None where it is not known."""


def unknown_price() -> float | None:
    """For where nobody tells the price."""
    return None


class Means(NamedTuple):
    """The account's key, the pace of its pool, a price for what pools tell in bitcoin, and who judges what they say
    that they pay; None: nobody does."""

    key: SecretStr
    pace: Pace
    btc_usd: BtcUsd = unknown_price
    guard: PriceGuard | None = None
