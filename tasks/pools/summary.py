"""Hours and days of a pool by worker, algorithm and coin: rows of ``pool_summary``. Pure.

What a coin brought is the growth of what the pool has credited in all; a total that fell tells nothing. A ratio is
only made of ratios on one basis. Of a day: means over the hours that are known, sums of amounts; ``workers`` is the
most that took part in an hour. Days are days of UTC.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from tasks.market.coins import COINS
from tasks.market.price_then import PricesThen
from tasks.pools.due import HOUR_S
from tasks.pools.workers.hours import WorkerHour, frame_of, growth

DAY_S = 86_400
MEANS = {"hashrate_ma_24h_hs": 24, "hashrate_ma_7d_hs": 168}
"""Hours that moving averages are made of; all of them must be there."""

TAGS = ("pool_id", "dimension", "key", "time_period")
_SERIES = TAGS[:3]

Row = dict[str, Any]


def hourly_rows(workers: Sequence[WorkerHour], accounts: pa.Table, start: int) -> list[Row]:
    """Rows of every hour from ``start`` on. ``accounts``: rows of ``pool_account`` from REACH_S before it."""
    by_worker: dict[tuple[int, str, str], list[WorkerHour]] = defaultdict(list)
    by_algorithm: dict[tuple[int, str, str], list[WorkerHour]] = defaultdict(list)
    for one in workers:
        if one.hour >= start:
            by_worker[one.hour, one.pool_id, one.worker_id].append(one)
            by_algorithm[one.hour, one.pool_id, one.algorithm].append(one)
    rows = [_row(key, "worker", _together(group)) for key, group in by_worker.items()]
    algorithms = {key: _together(group) for key, group in by_algorithm.items()}
    rows += [_row(key, "algorithm", fields) for key, fields in algorithms.items()]
    earned = credited(accounts, start)
    coins_of: dict[str, set[str]] = defaultdict(set)
    for _, pool_id, coin_id in earned:
        coins_of[pool_id].add(coin_id)
    for (hour, pool_id, coin_id), amount in earned.items():
        algorithm = algorithm_mined(coin_id, coins_of[pool_id])
        fields = algorithms.get((hour, pool_id, algorithm or ""), {})
        rows.append(_row((hour, pool_id, coin_id), "coin", {**fields, "amount": amount}))
    return rows


def algorithm_mined(coin_id: str, coin_ids: Iterable[str]) -> str | None:
    """The algorithm whose hashes at a pool all count for ``coin_id``; None where another of ``coin_ids`` has its part
    of them, or the coin is not mined."""
    coin = COINS.get(coin_id)
    if coin is None or coin.algorithm is None:
        return None
    alone = [
        other
        for other in coin_ids
        if other in COINS and COINS[other].algorithm == coin.algorithm and COINS[other].parent is None
    ]
    return coin.algorithm if len(alone) <= 1 else None


def credited(accounts: pa.Table, start: int) -> dict[tuple[int, str, str], float | None]:
    """By how much the total credited grew in each hour, pool and coin; None where it cannot be told."""
    if not accounts.num_rows:
        return {}
    rows = frame_of(accounts).sort_values(["pool_id", "coin_id", "time"], kind="stable").reset_index(drop=True)
    grown, _ = growth(rows, ("pool_id", "coin_id"), "credited_total")
    fell = rows.groupby(["pool_id", "coin_id"])["credited_total"].diff() < 0  # taken back: no counter's reset
    rows["grown"] = grown.where(~fell)
    rows["fell"] = fell
    rows = rows[rows["hour"] >= start]
    grouped = rows.groupby(["hour", "pool_id", "coin_id"], sort=True)
    sums = grouped["grown"].sum(min_count=1).where(~grouped["fell"].any())
    return {
        (int(hour), pool_id, coin_id): None if math.isnan(value) else float(value)
        for (hour, pool_id, coin_id), value in sums.items()
    }


def valued(hourly: Iterable[Mapping[str, Any]], prices: PricesThen) -> list[Row]:
    """``earnings_usd`` of the hours of coins: the amount at the price of the hour's end, where that is known."""
    return [
        {name: row[name] for name in ("time", *TAGS)} | {"earnings_usd": row["amount"] * price}
        for row in hourly
        if row["amount"] is not None and (price := prices.usd_at(row["key"], row["time"] + HOUR_S)) is not None
    ]


def moving_averages(hourly: pa.Table, first: int, stop: int) -> list[Row]:
    """Moving averages of the hours ``first <= hour < stop``, null ones left out. ``hourly``: rows of time_period 1h
    with ``hashrate_effective_hs``, from a week before ``first``."""
    if not hourly.num_rows:
        return []
    wide = frame_of(hourly).pivot_table(
        index="time", columns=list(_SERIES), values="hashrate_effective_hs", dropna=True
    )
    wide = wide.reindex(np.arange(first - (max(MEANS.values()) - 1) * HOUR_S, stop, HOUR_S))
    found: dict[tuple[int, tuple[str, str, str]], Row] = {}
    for field, hours in MEANS.items():
        means = wide.rolling(hours, min_periods=hours).mean().loc[first:]
        places = np.argwhere(means.notna().to_numpy())
        values = means.to_numpy()
        for at, series in places.tolist():
            key = (int(means.index[at]), tuple(means.columns[series]))
            row = found.setdefault(
                key, {"time": key[0], **dict(zip(_SERIES, key[1], strict=True)), "time_period": "1h"}
            )
            row[field] = float(values[at, series])
    return list(found.values())


def daily_rows(hourly: Iterable[Mapping[str, Any]]) -> list[Row]:
    """Rows of time_period 1d from those of 1h of the same whole days."""
    grouped: dict[tuple[int, str, str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for row in hourly:
        grouped[row["time"] // DAY_S * DAY_S, row["pool_id"], row["dimension"], row["key"]].append(row)
    return [_day(key, sorted(rows, key=lambda row: row["time"])) for key, rows in grouped.items()]


def _day(key: tuple[int, str, str, str], rows: Sequence[Mapping[str, Any]]) -> Row:
    day, pool_id, dimension, name = key
    hashrates = [row["hashrate_effective_hs"] for row in rows if row["hashrate_effective_hs"] is not None]
    amounts = [row["amount"] for row in rows if row["amount"] is not None]
    priced = [row["earnings_usd"] for row in rows if row["amount"] is not None]
    counts = [row["workers"] for row in rows if row["workers"] is not None]
    ratio, basis = _weighed(
        [
            (row["acceptance_ratio"], row["acceptance_basis"], row["hashrate_effective_hs"])
            for row in rows
            if row["acceptance_ratio"] is not None
        ]
    )
    last = rows[-1] if rows[-1]["time"] == day + DAY_S - HOUR_S else {}
    return {
        "time": day, "pool_id": pool_id, "dimension": dimension, "key": name, "time_period": "1d",
        "hashrate_effective_hs": math.fsum(hashrates) / len(hashrates) if hashrates else None,
        **{field: last.get(field) for field in MEANS},
        "acceptance_ratio": ratio, "acceptance_basis": basis,
        "amount": math.fsum(amounts) if amounts else None,
        "earnings_usd": math.fsum(priced) if priced and None not in priced else None,
        "workers": max(counts, default=None),
    }  # fmt: skip


def _row(key: tuple[int, str, str], dimension: str, fields: Mapping[str, Any]) -> Row:
    hour, pool_id, name = key
    return {"time": hour, "pool_id": pool_id, "dimension": dimension, "key": name, "time_period": "1h", **fields}


def _together(group: Sequence[WorkerHour]) -> Row:
    """What workers amount to: sums, and one ratio where all of them have it on one basis."""
    hashrates = [one.hashrate_hs for one in group if one.hashrate_hs is not None]
    told = [one for one in group if one.reject_ratio is not None]
    ratio, basis = None, None
    if told and all(one.reject_basis == "work" for one in told):
        accepted, lost = (math.fsum(getattr(one, name) or 0.0 for one in told) for name in ("accepted", "lost"))
        if accepted + lost > 0:
            ratio, basis = accepted / (accepted + lost), "work"
    else:
        ratio, basis = _weighed([(1.0 - (one.reject_ratio or 0.0), one.reject_basis, one.hashrate_hs) for one in told])
    names = {one.worker_id for one in group if one.seen or (one.hashrate_hs or 0.0) > 0.0}
    return {
        "hashrate_effective_hs": math.fsum(hashrates) if hashrates else None,
        "acceptance_ratio": ratio, "acceptance_basis": basis, "workers": len(names),
    }  # fmt: skip


def _weighed(told: Sequence[tuple[float, str | None, float | None]]) -> tuple[float | None, str | None]:
    """The mean of ratios, weighed by hashrate, and their basis; None where they have not the same."""
    bases = {basis for _, basis, _ in told}
    if len(bases) != 1:
        return None, None
    weights = [weight or 0.0 for _, _, weight in told]
    if sum(weights) <= 0.0:
        weights = [1.0] * len(told)
    mean = math.fsum(ratio * weight for (ratio, _, _), weight in zip(told, weights, strict=True)) / math.fsum(weights)
    return mean, bases.pop()
