"""What a report draws over time: hashrate, profit, prices, temperatures, anomalies, by hour or local day.

A value is NaN where nothing is known: pictures leave it out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from storage.declaration import MEASUREMENTS, Tier
from storage.downsample.rollup import HOUR_S
from storage.downsample.windows import unix_seconds
from storage.store import Store
from tasks.derive.fleet import Fleet
from tasks.derive.hour_grid import Floats
from tasks.market.coins import COINS
from tasks.market.reconciliation import PRIORITY
from tasks.reports.period import Kind, Period
from tasks.reports.summary import Summary, days_at_once

PRICES = 3
"""Coins whose price is drawn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Curves:
    """``edges``: borders of the stretches that values are of, Unix seconds, one more than values.

    Stretches are hours of a day or week, and local days of a month; profit and anomalies are of local days in a week
    too (``day_edges``). Hashrates by algorithm are in H/s, in the order of Summary.work; prices by coin are the last of
    each stretch, in USD; temperatures in degC: the hottest chip of all miners, mean chip, mean air.
    """

    edges: Sequence[int]
    day_edges: Sequence[int]
    expected: Sequence[Floats]
    made: Sequence[Floats]
    prices: Mapping[str, Floats]
    hottest_c: Floats
    chip_c: Floats
    air_c: Floats
    profit: Floats
    anomalous: Floats


def curves_of(store: Store, fleet: Fleet, period: Period, this: Summary, money: Sequence[Mapping[str, Any]]) -> Curves:
    """Curves of ``period``; ``money``: rows of tasks.derive.profit, by hour for a day, else by local day.

    Raises:
        TryAgain: the store does not answer.
    """
    hours = np.arange(period.start, period.stop, HOUR_S)
    days = _of_local_days(hours, period.zone)
    fine = days if period.kind is Kind.MONTHLY else hours
    coarse = hours if period.kind is Kind.DAILY else days
    hottest, chip, air = _temperatures(store, fleet, period, len(hours))
    starts = pd.Series({int(pd.Timestamp(row["from"]).timestamp()): row["profit"] for row in money}, dtype="float64")
    return Curves(
        edges=[*np.unique(fine).tolist(), period.stop],
        day_edges=[*np.unique(coarse).tolist(), period.stop],
        expected=[_folded(one.expected, fine, "mean") for one in this.work],
        made=[_folded(one.expected - one.lost, fine, "mean") for one in this.work],
        prices={
            coin: _folded(one, fine, "last")
            for coin, one in _prices(store, _mined(fleet, this), period, len(hours)).items()
        },
        hottest_c=_folded(hottest, fine, "max"),
        chip_c=_folded(chip, fine, "mean"),
        air_c=_folded(air, fine, "mean"),
        profit=starts.reindex(np.unique(coarse)).to_numpy(),
        anomalous=_folded(this.anomalous_by_hour, coarse, "sum"),
    )


def _of_local_days(hours: np.typing.NDArray[np.int64], zone: str) -> np.typing.NDArray[np.int64]:
    """Start of the local day of each hour."""
    days = pd.to_datetime(pd.Series(hours), unit="s", utc=True).dt.tz_convert(zone).dt.normalize()
    return np.array([int(day.timestamp()) for day in days], dtype=np.int64)


def _folded(
    by_hour: Floats, stretches: np.typing.NDArray[np.int64], how: Literal["mean", "max", "sum", "last"]
) -> Floats:
    groups = pd.Series(by_hour).groupby(stretches)
    folded = groups.sum(min_count=1) if how == "sum" else groups.agg(how)
    values: Floats = folded.to_numpy(dtype=np.float64)
    return values


def _temperatures(store: Store, fleet: Fleet, period: Period, hours: int) -> tuple[Floats, Floats, Floats]:
    """By hour over all miners: hottest chip, mean of their mean chips, mean of their air."""
    hottest, chip, air = (np.full(hours, np.nan) for _ in range(3))
    columns = ["chip_temp_max_c_max", "chip_temp_avg_c_mean", "ambient_temp_c_mean"]
    for first, stop in days_at_once(fleet, period):
        table = store.read(MEASUREMENTS["miner_telemetry"], Tier.HOURLY, first, stop, columns=columns)
        if not table.num_rows:
            continue
        rows = table.select(columns).to_pandas()
        by_hour = rows.groupby((unix_seconds(table) - period.start) // HOUR_S)
        for name, how, values in zip(columns, ("max", "mean", "mean"), (hottest, chip, air), strict=True):
            found = by_hour[name].agg(how)
            values[found.index.to_numpy()] = found.to_numpy(dtype=np.float64)
    return hottest, chip, air


def _mined(fleet: Fleet, this: Summary) -> list[str]:
    """Coins that the work of the period earned, and those merge-mined with them; at most PRICES."""
    algorithms = {one.algorithm for one in this.work}
    alone = [coin for coin in fleet.economics.coins if COINS[coin].algorithm in algorithms or algorithms <= {None}]
    return [*alone, *(coin.id for coin in COINS.values() if coin.parent in alone)][:PRICES]


def _prices(store: Store, coins: Sequence[str], period: Period, hours: int) -> dict[str, Floats]:
    """Last price of each hour of ``coins``, from the provider whose prices count."""
    table = store.read(
        MEASUREMENTS["market_data"],
        Tier.HOURLY,
        period.start,
        period.stop,
        where={"coin_id": list(coins)},
        columns=["price_usd_last"],
    )
    rows = table.select(["coin_id", "source", "price_usd_last"]).to_pandas()
    rows["hour"] = (unix_seconds(table) - period.start) // HOUR_S
    rows["rank"] = [PRIORITY.index(one) if one in PRIORITY else len(PRIORITY) for one in rows["source"]]
    rows = rows.dropna(subset="price_usd_last").sort_values(["rank", "source"], kind="stable")
    rows = rows.drop_duplicates(["coin_id", "hour"])
    prices = {}
    for coin in coins:
        of_coin = rows[rows["coin_id"] == coin]
        if len(of_coin):
            prices[coin] = np.full(hours, np.nan)
            prices[coin][of_coin["hour"].to_numpy()] = of_coin["price_usd_last"].to_numpy()
    return prices
