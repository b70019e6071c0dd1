"""What a coin was worth in USD at a time past: the newest price told by then, an hour old at most, else nothing.

Of several providers the first of tasks.market.reconciliation.PRIORITY counts that was fresh at the time, else the one
that told last: the rule of now, for many times at once.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from storage.declaration import MEASUREMENTS, Tier
from storage.downsample.windows import unix_seconds
from storage.store import Store
from tasks.market.reconciliation import FRESH_S, PRIORITY

LONGEST_AGE_S = 3_600
"""A price older than this at the time asked for is not one of that time."""

Numbers = npt.NDArray[np.float64]


class PricesThen:
    """Prices of some coins over some time."""

    def __init__(self, table: pa.Table) -> None:
        """``table``: rows of ``market_data`` with ``price_usd`` and ``age_s``."""
        usable: dict[tuple[str, str], list[tuple[float, int, float]]] = {}
        columns = (table[name].to_pylist() for name in ("source", "coin_id", "price_usd", "age_s"))
        for time, source, coin_id, price, age in zip(unix_seconds(table).tolist(), *columns, strict=True):
            if price is not None and price > 0:
                usable.setdefault((coin_id, source), []).append((time - (age or 0.0), time, price))
        self._told: dict[str, list[tuple[str, Numbers, Numbers, Numbers]]] = {}
        for (coin_id, source), rows in usable.items():
            rows.sort(key=lambda row: row[1])
            told = np.array(rows, dtype=np.float64)
            self._told.setdefault(coin_id, []).append((source, told[:, 0], told[:, 1], told[:, 2]))
        for providers in self._told.values():
            providers.sort(key=lambda one: (PRIORITY.index(one[0]) if one[0] in PRIORITY else len(PRIORITY), one[0]))

    @staticmethod
    def of(store: Store, coin_ids: Iterable[str], start: int, stop: int) -> PricesThen:
        """Prices that may count at ``start <= time < stop``. Raises TryAgain where the store does not answer."""
        wanted = sorted(set(coin_ids))
        declared = MEASUREMENTS["market_data"]
        where = {"coin_id": wanted or [""]}
        columns = ("price_usd", "age_s")
        return PricesThen(store.read(declared, Tier.RAW, start - LONGEST_AGE_S, stop + 1, where=where, columns=columns))

    def usd(self, coin_id: str, times: npt.NDArray[np.int64]) -> Numbers:
        """USD a coin at each of ``times`` (Unix seconds); NaN where nobody told one within LONGEST_AGE_S before."""
        found = np.full(len(times), np.nan)
        told_at = np.full(len(times), -np.inf)
        fresh_found = np.zeros(len(times), dtype=np.bool_)
        for _, true_at, came_at, prices in self._told.get(coin_id, ()):
            rows = np.searchsorted(came_at, times, side="right") - 1
            there = rows >= 0
            at, price = true_at[np.maximum(rows, 0)], prices[np.maximum(rows, 0)]
            usable = there & (times - at <= LONGEST_AGE_S) & ~fresh_found
            fresh = usable & (times - at <= FRESH_S)
            better = fresh | (usable & (at > told_at))
            found = np.where(better, price, found)
            told_at = np.where(better, at, told_at)
            fresh_found |= fresh
        return found

    def usd_at(self, coin_id: str, time: int) -> float | None:
        """USD a coin at one time; None where that is not known."""
        found = float(self.usd(coin_id, np.array([time], dtype=np.int64))[0])
        return None if np.isnan(found) else found
