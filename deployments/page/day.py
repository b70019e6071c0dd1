"""The last 24 hours by hour: delivered against expected hashrate, what was lost to which cause, and the pools' line.

Of ``operational_metrics`` and ``pool_summary``, which flows derive every hour; sums over miners, never over algorithms.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from deployments.page.configured import Configured
from deployments.page.history import Points
from storage.declaration import MEASUREMENTS, Tier
from storage.downsample.rollup import HOUR_S
from storage.downsample.windows import unix_seconds
from storage.store import Store
from tasks.derive.operational import CAUSES
from tasks.derive.worth import algorithms_of

HOURS = 24
_LOST = tuple(f"lost_{cause}_hs" for cause in CAUSES)
_SUMMED = ("hashrate_expected_hs", "hashrate_lost_hs", *_LOST)
_READ = (*_SUMMED, "coverage_percentage")


@dataclass(frozen=True, slots=True)
class AlgorithmDay:
    """One algorithm: H/s by hour, null where the hour is not derived. ``expected = delivered + sum of lost``, of
    ``counted`` of ``miners`` that said what to expect. ``pools``: what all pools together saw of it, null unless each
    of them told. ``dark``: hours in which none of the miners was read."""

    algorithm: str | None
    miners: int
    counted: int
    expected: Points
    delivered: Points
    lost: Mapping[str, Points]
    pools: Points
    dark: int

    @property
    def lost_shares(self) -> dict[str, float]:
        """Part of what was expected in the hours that are known that was lost to each cause, most first."""
        expected = _sum(self.expected)
        shares = {cause: _sum(points) / expected for cause, points in self.lost.items()} if expected else {}
        return dict(sorted(((c, s) for c, s in shares.items() if s > 0), key=lambda one: -one[1]))

    @property
    def pools_ratio(self) -> tuple[float, int] | None:
        """What pools saw of what miners delivered, and of how many hours that is: those in which both are known."""
        both = [(d, p) for d, p in zip(self.delivered, self.pools, strict=True) if d is not None and p is not None]
        delivered = sum(d for d, _ in both)
        return (sum(p for _, p in both) / delivered, len(both)) if delivered else None


@dataclass(frozen=True, slots=True)
class Day:
    """``start``: of the first of the HOURS; ``known_until``: end of the newest hour that is derived. ``mostly``: the
    cause that took most of what each miner lost in that newest hour."""

    start: int
    algorithms: tuple[AlgorithmDay, ...]
    known_until: int | None
    mostly: Mapping[str, str]

    @property
    def hours(self) -> range:
        """Start of each hour, Unix seconds."""
        return range(self.start, self.start + HOURS * HOUR_S, HOUR_S)


def read_day(store: Store, configured: Configured, now: float) -> Day:
    """The last 24 whole hours at ``now`` (Unix seconds).

    Raises:
        TryAgain: the store does not answer.
    """
    stop = int(now) // HOUR_S * HOUR_S
    start = stop - HOURS * HOUR_S
    table = store.read(
        MEASUREMENTS["operational_metrics"], Tier.RAW, start, stop, where={"time_period": "1h"}, columns=list(_READ)
    )
    rows: pd.DataFrame = table.select(["miner_id", *_READ]).to_pandas()
    rows["hour"] = (unix_seconds(table) - start) // HOUR_S
    models = {miner: model for miner, (model, _) in configured.economy.miners.items()}
    models |= {miner: "" for miner in set(rows["miner_id"]) - set(models)}
    algorithms = algorithms_of(store, models, start)
    rows["algorithm"] = rows["miner_id"].map(lambda miner: algorithms.get(miner) or "")
    pools = _pools(store, start, stop)
    found = [
        _of_algorithm(str(name) or None, part, pools.get(str(name), (None,) * HOURS))
        for name, part in rows.groupby("algorithm")
    ]
    newest = None if rows.empty else int(rows["hour"].max())
    return Day(
        start,
        tuple(sorted(found, key=lambda one: (one.algorithm is None, one.algorithm != "sha256d", one.algorithm))),
        None if newest is None else start + (newest + 1) * HOUR_S,
        {} if newest is None else _mostly(rows[rows["hour"] == newest]),
    )


def _of_algorithm(algorithm: str | None, rows: pd.DataFrame, pools: Points) -> AlgorithmDay:
    known = rows[rows["hashrate_expected_hs"].notna() & rows["hashrate_lost_hs"].notna()]
    sums = known.groupby("hour")[list(_SUMMED)].sum()

    def points(values: pd.Series) -> Points:
        return tuple(float(values[hour]) if hour in values.index else None for hour in range(HOURS))

    return AlgorithmDay(
        algorithm,
        rows["miner_id"].nunique(),
        known["miner_id"].nunique(),
        points(sums["hashrate_expected_hs"]),
        points(sums["hashrate_expected_hs"] - sums["hashrate_lost_hs"]),
        {cause: points(sums[f"lost_{cause}_hs"]) for cause in CAUSES},
        pools,
        int((rows.groupby("hour")["coverage_percentage"].max() == 0).sum()),
    )


def _pools(store: Store, start: int, stop: int) -> dict[str, Points]:
    """What pools saw by algorithm; an hour of which one of them told nothing is null, or it would look like a loss."""
    table = store.read(
        MEASUREMENTS["pool_summary"],
        Tier.RAW,
        start,
        stop,
        where={"dimension": "algorithm", "time_period": "1h"},
        columns=["hashrate_effective_hs"],
    )
    rows: pd.DataFrame = table.select(["pool_id", "key", "hashrate_effective_hs"]).to_pandas()
    rows["hour"] = (unix_seconds(table) - start) // HOUR_S
    found: dict[str, Points] = {}
    for algorithm, part in rows.groupby("key"):
        wide = part.pivot_table(index="hour", columns="pool_id", values="hashrate_effective_hs", aggfunc="last")
        wide = wide.reindex(index=range(HOURS))
        total = wide.sum(axis=1, min_count=1).where(wide.notna().all(axis=1))
        found[str(algorithm)] = tuple(None if pd.isna(one) else float(one) for one in total)
    return found


def _mostly(rows: pd.DataFrame) -> dict[str, str]:
    lost = rows[rows["hashrate_lost_hs"] > 0].set_index("miner_id")[list(_LOST)].fillna(0.0)
    if lost.empty:
        return {}
    causes = lost.idxmax(axis=1)
    return {str(miner): str(name).removeprefix("lost_").removesuffix("_hs") for miner, name in causes.items()}


def _sum(points: Points) -> float:
    return sum(value for value in points if value is not None)
