"""Hourly series of miners and of the fleet from the store, as matrices: miner x hour, NaN where nothing is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from storage.declaration import MEASUREMENTS, Tier
from storage.downsample.windows import unix_seconds
from storage.store import Store
from tasks.derive.forecast.models import Floats

HOUR_S, DAY_S = 3_600, 86_400
FLEET = "fleet"
KNOWN = 0.5
"""Part of an hour (of the fleet: of the miners that are usually heard) below which an hour is not known."""

_READ_S = 7 * DAY_S


@dataclass(frozen=True, slots=True)
class Quantity:
    """One thing that is forecast: totals over ``horizon`` hours, or the mean where ``mean``."""

    name: str
    horizon: int
    unit: str
    mean: bool
    field: str


QUANTITIES = (
    Quantity("next_24h_hashrate", 24, "H/s", mean=True, field="hashrate"),
    Quantity("next_24h_revenue", 24, "USD", mean=False, field="revenue"),
    Quantity("next_7d_profitability", 168, "USD", mean=False, field="profit"),
)
"""What is forecast. Profitability is the profit: revenue less cost."""


def miner_series(store: Store, field: str, miners: Sequence[str], start: int, stop: int) -> Floats:
    """``hashrate`` (H/s, mean over the known part of each hour), ``revenue`` or ``profit`` (USD an hour) of ``miners``
    in the hours of ``[start, stop)``.

    Raises:
        TryAgain: the store does not answer.
    """
    found = np.full((len(miners), (stop - start) // HOUR_S), np.nan)
    for first in range(start, stop, _READ_S):
        end = min(first + _READ_S, stop)
        if field == "hashrate":
            table = store.read(
                MEASUREMENTS["miner_telemetry"],
                Tier.HOURLY,
                first,
                end,
                columns=["hashrate_hs_integral", "hashrate_hs_seconds"],
            )
            seconds = _floats(table["hashrate_hs_seconds"])
            values = np.full(len(seconds), np.nan)
            enough = seconds >= KNOWN * HOUR_S
            values[enough] = _floats(table["hashrate_hs_integral"])[enough] / seconds[enough]
        else:
            table = store.read(
                MEASUREMENTS["financial_metrics"], Tier.RAW, first, end, where={"time_period": "1h"}, columns=[field]
            )
            values = _floats(table[field])
        _put(found, table, values, miners, start)
    return found


def fleet_series(miners: Floats) -> Floats:
    """The sum over ``miners``, NaN in hours of which less than half of those usually heard is known: then it is the
    collector or a price that is missing. A single miner that is silent delivers nothing that anybody knows of."""
    heard = np.sum(~np.isnan(miners), axis=0)
    usual = np.median(heard[heard > 0]) if heard.any() else 0.0
    sums = np.nansum(miners, axis=0) if len(miners) else np.zeros(miners.shape[1])
    return np.where((heard >= KNOWN * usual) & (heard > 0), sums, np.nan)[None]


def _put(found: Floats, table: pa.Table, values: Floats, miners: Sequence[str], start: int) -> None:
    if not table.num_rows or not len(miners):
        return
    codes = pc.index_in(table["miner_id"].combine_chunks(), value_set=pa.array(list(miners), pa.string()))
    rows: npt.NDArray[np.int64] = np.asarray(codes.fill_null(-1)).astype(np.int64)
    hours = (unix_seconds(table) - start) // HOUR_S
    ours = (rows >= 0) & ~np.isnan(values)
    found[rows[ours], hours[ours]] = values[ours]


def _floats(column: pa.ChunkedArray) -> Floats:
    return np.asarray(column.combine_chunks().cast(pa.float64()).fill_null(np.nan), dtype=np.float64)
