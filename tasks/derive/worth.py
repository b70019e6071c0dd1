"""What a TH/s earned in each hour by algorithm: the row of ``mining_profitability`` that counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from storage.declaration import MEASUREMENTS, Tier
from storage.store import Store
from tasks.derive.hour_grid import Floats, HourGrid
from tasks.derive.settings import EconomicsSettings
from tasks.normalize.nameplates import algorithm_of

Row = Mapping[str, Any]
Worth = Mapping[tuple[int, str], Row]
"""Rows of ``mining_profitability`` by hour (Unix seconds) and algorithm."""

VALUE = MEASUREMENTS["mining_profitability"]
_CONFIGURATION = MEASUREMENTS["miner_configuration"]
TOLD_S = 40 * 86_400
"""How far back it is looked for what a miner said that it hashes: what is set is told every half hour."""


def worth(store: Store, economics: EconomicsSettings, start: int, stop: int) -> Worth:
    """Of each hour and algorithm the row of the coin configured for it; of several networks' sources one with a value,
    then the one with the least amiss, then the first by name.

    Raises:
        TryAgain: the store does not answer.
    """
    best: dict[tuple[int, str], tuple[tuple[bool, int, str], Row]] = {}
    for row in store.read(VALUE, Tier.RAW, start, stop).to_pylist():
        if row["coins"].partition("+")[0] != economics.coin_of(row["algorithm"]):
            continue
        rank = (row["usd_th_day"] is None, len(row["quality_flags"] or ""), row["source"])
        key = (int(row["time"].timestamp()), row["algorithm"])
        if key not in best or rank < best[key][0]:
            best[key] = (rank, row)
    return {key: row for key, (_, row) in best.items()}


def worth_matrix(found: Worth, grid: HourGrid, algorithms: Sequence[str | None], column: str) -> Floats:
    """``column`` of those rows for every miner and hour."""
    hours = grid.starts().tolist()
    by_algorithm = {
        name: [np.nan if (value := found.get((hour, name), {}).get(column)) is None else float(value) for hour in hours]
        for name in {one for one in algorithms if one is not None}
    }
    unknown = [np.nan] * len(hours)
    return np.array([by_algorithm[one] if one is not None else unknown for one in algorithms]).reshape(-1, len(hours))


def algorithms_of(store: Store, models: Mapping[str, str], start: int) -> dict[str, str | None]:
    """What each miner hashes: by its model, else as it last said before ``start`` or since."""
    found: dict[str, str | None] = {name: algorithm_of(model) for name, model in models.items()}
    unknown = sorted(name for name, algorithm in found.items() if algorithm is None)
    if unknown:
        for row in store.newest(_CONFIGURATION, start - TOLD_S, where={"miner_id": unknown}).to_pylist():
            if row["algorithm"] not in (None, "unknown"):
                found[row["miner_id"]] = row["algorithm"]
    return found
