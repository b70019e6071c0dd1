"""Days of settlement that pools may still tell of, reconciled from what is stored; and payouts valued in USD.

A payout is told up to a week late, so the last LATE_S of days are worked out anew each time, and further back after an
outage.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from storage.store import Store
from tasks.derive.changed import write_changed
from tasks.market.price_then import PricesThen
from tasks.pools.chains import chains_of
from tasks.pools.configured import PoolName
from tasks.pools.reconciling import Account, WorkHour, reconcile
from tasks.pools.settlement import KIND_ZONES, Day, days_of
from tasks.pools.stored import Row, frame_of_rows, stored_rows
from tasks.pools.summary import DAY_S, algorithm_mined

LATE_S = 8 * DAY_S
"""How late a payout may be told: pools are asked seven days back."""
REACH_S = 2 * DAY_S
"""How far before a day something may be that tells of it."""


def value_payouts(store: Store, start: int, stop: int) -> int:
    """Fill in what payouts were worth in USD when they came, where a price of that time is known. A value that is there
    stays as it is. Raises TryAgain."""
    columns = ["amount", "usd_at_receipt"]
    rows = [
        row
        for row in stored_rows(store, "pool_payout", start, stop, columns=columns)
        if row["amount"] is not None and row["usd_at_receipt"] is None
    ]
    if not rows:
        return 0
    coins = {row["coin_id"] for row in rows}
    times = [row["time"] for row in rows]
    prices = PricesThen.of(store, coins, min(times), max(times) + 1)
    priced: dict[int, float] = {}
    for coin_id in coins:
        numbers = [number for number, row in enumerate(rows) if row["coin_id"] == coin_id]
        found = prices.usd(coin_id, np.array([times[number] for number in numbers], dtype=np.int64))
        priced |= dict(zip(numbers, found.tolist(), strict=True))
    valued = [
        {**row, "usd_at_receipt": row["amount"] * priced[number]}
        for number, row in enumerate(rows)
        if not math.isnan(priced[number])
    ]
    return write_changed(store, [frame_of_rows("pool_payout", valued)])


def reconcile_days(store: Store, first: int, stop: int, pools: Sequence[PoolName]) -> int:
    """Write the days that have ended by ``stop`` and end after ``first`` (Unix seconds), where they changed.

    Raises:
        TryAgain: the store does not answer.
    """
    begin = first - REACH_S
    accounts = _accounts(store, begin, stop, pools)
    if not accounts:
        return 0
    coins = {account.coin_id for account in accounts}
    chains = chains_of(stored_rows(store, "network_data", begin, stop, where={"coin_id": sorted(coins)}))
    prices = PricesThen.of(store, coins, begin, stop)
    kinds = {pool.id: pool.kind for pool in pools}
    made = [
        reconcile(account, day, chains, prices.usd_at(account.coin_id, day.stop))
        for account in accounts
        for day in settlement_days(kinds[account.pool_id], account.payouts, first, stop)
        if account.says_anything(day)
    ]
    return write_changed(store, [frame_of_rows("pool_reconciliation", made)])


def settlement_days(kind: str, payouts: Sequence[Row], first: int, stop: int) -> list[Day]:
    """The days of the zone that the pool settles by, as it said last with a credit, else a payment, else its kind."""
    told = sorted(
        (row for row in payouts if row["settlement_zone"]),
        key=lambda row: (row["kind"] == "credited", row["time"]),
        reverse=True,
    )
    for zone in dict.fromkeys([*(row["settlement_zone"] for row in told), KIND_ZONES.get(kind, "UTC")]):
        try:
            return days_of(zone, first, stop)
        except ValueError:  # a zone that this host does not know
            continue
    return days_of("UTC", first, stop)


def _accounts(store: Store, begin: int, stop: int, pools: Sequence[PoolName]) -> list[Account]:
    payouts: dict[tuple[str, str], list[Row]] = defaultdict(list)
    totals: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in stored_rows(store, "pool_payout", begin, stop):
        payouts[row["pool_id"], row["coin_id"]].append(row)
    for row in stored_rows(store, "pool_account", begin, stop, columns=["credited_total", "paid_total"]):
        totals[row["pool_id"], row["coin_id"]].append(row)
    work, fees = _work(store, begin, stop), _fees(store, begin, stop)
    known = {pool.id for pool in pools}
    keys = sorted(key for key in payouts.keys() | totals.keys() if key[0] in known)
    accounts = []
    for pool_id, coin_id in keys:
        account = Account(
            pool_id, coin_id, payouts[pool_id, coin_id], sorted(totals[pool_id, coin_id], key=_time), None, None
        )
        algorithm = algorithm_mined(coin_id, [coin for pool, coin in keys if pool == pool_id])
        if algorithm is not None:
            at = (pool_id, algorithm)
            account = replace(account, work=work.get(at, {}), fee_ratio=fees.get(at))
        accounts.append(account)
    return accounts


def _time(row: Row) -> int:
    time: int = row["time"]
    return time


def _work(store: Store, start: int, stop: int) -> Mapping[tuple[str, str], dict[int, WorkHour]]:
    """Accepted hashrate by pool and algorithm, and hour."""
    found: dict[tuple[str, str], dict[int, WorkHour]] = defaultdict(dict)
    where = {"time_period": "1h", "dimension": "algorithm"}
    for row in stored_rows(store, "pool_summary", start, stop, where=where):
        if row["hashrate_effective_hs"] is not None:
            work = WorkHour(row["hashrate_effective_hs"], row["acceptance_ratio"])
            found[row["pool_id"], row["key"]][row["time"]] = work
    return found


def _fees(store: Store, start: int, stop: int) -> dict[tuple[str, str], float]:
    """The newest fee that each pool tells of each algorithm."""
    rows: list[dict[str, Any]] = stored_rows(store, "pool_profitability", start, stop, columns=["fee_ratio"])
    told = sorted((row for row in rows if row["fee_ratio"] is not None), key=_time)
    return {(row["pool_id"], row["algorithm"]): row["fee_ratio"] for row in told}
