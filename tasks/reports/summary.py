"""What a period comes to: hashrate by algorithm, what the lost part was worth, money, alerts. A period and the one
before it are summed up alike, so that they can be compared.

Rows are read some days at a time and added up, so memory grows with the fleet and not with the period.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from storage.declaration import MEASUREMENTS, Tier
from storage.downsample.rollup import DAY_S, HOUR_S
from storage.downsample.windows import unix_seconds
from storage.store import Store
from tasks.derive.fleet import Fleet
from tasks.derive.hour_grid import Floats
from tasks.derive.operational import CAUSES
from tasks.derive.profit import profit
from tasks.derive.uptimes import wanted_hours
from tasks.derive.worth import Worth, algorithms_of, worth
from tasks.reports.period import Period

ROWS_AT_ONCE = 200_000
"""Rows of miners and hours that are read at a time, a day of all miners at least."""

_LOST = [f"lost_{cause}_hs" for cause in CAUSES]
_SHARES = ("uptime_percentage", "hashing_uptime_percentage", "coverage_percentage")
_OPERATIONAL = ("hashrate_expected_hs", "hashrate_lost_hs", *_LOST, *_SHARES, "planned_off_percentage")


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """Hashrate of the miners of one algorithm, H/s: means over the hours that are known, of the sums over the miners of
    which expected and lost are known in them. ``expected`` and ``lost`` by hour are NaN where nothing is known.

    ``lost_usd``: what the lost hashrate would have brought before fees, at each hour's difficulty and price; None where
    no such hour has a price, and ``lost_usd_is_whole`` is false where only some have.
    """

    algorithm: str | None
    miners: int
    hours_known: int
    expected_hs: float
    lost_hs: float
    lost_by_cause: Mapping[str, float]
    lost_usd: float | None
    lost_usd_is_whole: bool
    expected: Floats
    lost: Floats

    @property
    def made_hs(self) -> float:
        """Mean of what was made and counted."""
        return self.expected_hs - self.lost_hs

    @property
    def made_ratio(self) -> float | None:
        """Made of expected."""
        return self.made_hs / self.expected_hs if self.expected_hs > 0 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A period in figures. Money is USD; None is not known."""

    hours: int
    hours_known: int
    """Hours of which anything is known of the hashrate."""
    work: Sequence[Work]
    """By algorithm, the one with most miners first."""
    uptime_percent: float | None
    hashing_percent: float | None
    coverage_percent: float | None
    money: Mapping[str, Any] | None
    """Row of tasks.derive.profit of the fleet."""
    alerts: Mapping[str, int]
    """How often each rule fired."""
    anomalous: int | None
    """Miner-hours above the threshold; None: nothing was scored."""
    anomalous_by_hour: Floats

    @property
    def lost_usd(self) -> float | None:
        """Worth of the lost hashrate of all algorithms; None where none is known."""
        known = [one.lost_usd for one in self.work if one.lost_usd is not None]
        return sum(known) if known else None

    @property
    def lost_usd_is_whole(self) -> bool:
        """Whether prices of all hours are in it."""
        return all(one.lost_usd_is_whole for one in self.work)


@dataclass(slots=True)
class MinerSum:
    """Of one miner over the period: hashrate lost, H/s x hours, by cause too; its uptime added up, percent x hours in
    which it was asked and not paused."""

    algorithm: str | None
    lost: float = 0.0
    by_cause: Floats = field(default_factory=lambda: np.zeros(len(CAUSES)))
    uptime: float = 0.0
    uptime_hours: float = 0.0


@dataclass(slots=True)
class _Tally:
    """Sums by hour of one algorithm."""

    expected: Floats
    lost: Floats
    by_cause: Floats
    miners: set[str] = field(default_factory=set)


def summed_up(store: Store, fleet: Fleet, period: Period) -> tuple[Summary, Mapping[str, MinerSum]]:
    """``period`` in figures, and each miner's part.

    Raises:
        TryAgain: the store does not answer.
    """
    hours = (period.stop - period.start) // HOUR_S
    known_algorithms = algorithms_of(store, {name: model for name, (model, _) in fleet.miners.items()}, period.start)
    tallies: dict[str | None, _Tally] = {}
    by_miner: dict[str, MinerSum] = {}
    shares = {name: [0.0, 0.0] for name in _SHARES}
    for rows in rows_by_days(store, "operational_metrics", fleet, period, {"time_period": "1h"}, columns=_OPERATIONAL):
        at = (rows.pop("at") - period.start) // HOUR_S
        rows["wanted"] = wanted_hours(rows)
        for name in _SHARES:
            hours_of = rows["wanted"] if name != "coverage_percentage" else pd.Series(1.0, rows.index)
            shares[name][0] += float((rows[name] * hours_of).sum())
            shares[name][1] += float(hours_of[rows[name].notna()].sum())
        algorithms = rows["miner_id"].map(lambda name: known_algorithms.get(name) or "")
        told = rows["hashrate_expected_hs"].notna() & rows["hashrate_lost_hs"].notna()
        for algorithm, part in rows[told].groupby(algorithms[told], sort=False):
            places = at[part.index].to_numpy()
            tally = tallies.setdefault(str(algorithm) or None, _tally(hours))
            tally.miners.update(part["miner_id"].unique())
            _add(tally.expected, places, part["hashrate_expected_hs"])
            _add(tally.lost, places, part["hashrate_lost_hs"])
            for place, cause in enumerate(_LOST):
                _add(tally.by_cause[place], places, part[cause].fillna(0.0))
        _add_to_miners(by_miner, rows, known_algorithms)
    values = worth(store, fleet.economics, period.start, period.stop)
    work = [_work(algorithm, tally, values, period) for algorithm, tally in tallies.items()]
    anomalous, anomalous_by_hour = _anomalous(store, fleet, period, hours)
    money = profit(store, fleet.miners, period.start, period.stop, by="fleet", every="period", zone=period.zone)
    fired: Counter[str] = Counter()
    for rows in rows_by_days(store, "alert_event", fleet, period, {"event": "fired"}, columns=("level",)):
        fired.update(map(str, rows["rule"]))
    uptime, hashing, coverage = (total / number if number else None for total, number in shares.values())
    return Summary(
        hours=hours,
        hours_known=int(np.any([~np.isnan(one.expected) for one in work], axis=0).sum()) if work else 0,
        work=sorted(work, key=lambda one: (-one.miners, one.algorithm or "~")),
        uptime_percent=uptime,
        hashing_percent=hashing,
        coverage_percent=coverage,
        money=money.to_pylist()[0] if money.num_rows else None,
        alerts=dict(fired.most_common()),
        anomalous=anomalous,
        anomalous_by_hour=anomalous_by_hour,
    ), by_miner


def days_at_once(fleet: Fleet, period: Period) -> Iterator[tuple[int, int]]:
    """``period`` in stretches of whole days, as long as a row for each miner and hour of them is ROWS_AT_ONCE."""
    step = max(1, ROWS_AT_ONCE // (24 * max(len(fleet.miners), 1))) * DAY_S
    for first in range(period.start, period.stop, step):
        yield first, min(first + step, period.stop)


def rows_by_days(
    store: Store,
    name: str,
    fleet: Fleet,
    period: Period,
    where: Mapping[str, str] | None,
    *,
    columns: Sequence[str],
) -> Iterator[pd.DataFrame]:
    """Rows of ``period`` by stretches that have some, with ``at``, their time in Unix seconds."""
    for first, stop in days_at_once(fleet, period):
        table = store.read(MEASUREMENTS[name], Tier.RAW, first, stop, where=where, columns=list(columns))
        if table.num_rows:
            rows: pd.DataFrame = table.to_pandas()
            rows["at"] = unix_seconds(table)
            yield rows


def _tally(hours: int) -> _Tally:
    return _Tally(np.full(hours, np.nan), np.full(hours, np.nan), np.full((len(CAUSES), hours), np.nan))


def _add(sums: Floats, places: np.typing.NDArray[np.int64], values: pd.Series) -> None:
    """Add ``values`` to the hours at ``places``; an hour that gets one is no longer unknown."""
    here = np.unique(places)
    sums[here] = np.nan_to_num(sums[here])
    np.add.at(sums, places, values.to_numpy(dtype=np.float64))


def _add_to_miners(by_miner: dict[str, MinerSum], rows: pd.DataFrame, algorithms: Mapping[str, str | None]) -> None:
    hours_of = rows["wanted"].where(rows["uptime_percentage"].notna(), 0.0)
    rows = rows.assign(uptime_hours=hours_of, uptime=rows["uptime_percentage"] * hours_of)
    names = ["hashrate_lost_hs", *_LOST, "uptime", "uptime_hours"]
    for miner, lost, *by_cause, uptime, hours in rows.groupby("miner_id")[names].sum().itertuples():
        one = by_miner.setdefault(str(miner), MinerSum(algorithms.get(str(miner))))
        one.lost += float(lost)
        one.by_cause += np.array(by_cause, dtype=np.float64)
        one.uptime += float(uptime)
        one.uptime_hours += float(hours)


def _work(algorithm: str | None, tally: _Tally, values: Worth, period: Period) -> Work:
    known = ~np.isnan(tally.expected)
    starts = np.arange(period.start, period.stop, HOUR_S).tolist()
    prices = np.array(
        [
            np.nan if (value := values.get((start, algorithm or ""), {}).get("usd_th_day")) is None else float(value)
            for start in starts
        ]
    )
    losing = known & (tally.lost > 0)
    priced = losing & ~np.isnan(prices)
    lost_usd = float((tally.lost[priced] / 1e12 * prices[priced] / 24).sum()) if priced.any() else None
    if not losing.any():
        lost_usd = 0.0
    means = {cause: float(np.nanmean(tally.by_cause[place])) for place, cause in enumerate(CAUSES)}
    return Work(
        algorithm=algorithm,
        miners=len(tally.miners),
        hours_known=int(known.sum()),
        expected_hs=float(np.nanmean(tally.expected)),
        lost_hs=float(np.nanmean(tally.lost)),
        lost_by_cause={cause: mean for cause, mean in means.items() if mean > 0},
        lost_usd=lost_usd,
        lost_usd_is_whole=bool(np.array_equal(priced, losing)),
        expected=tally.expected,
        lost=tally.lost,
    )


def _anomalous(store: Store, fleet: Fleet, period: Period, hours: int) -> tuple[int | None, Floats]:
    by_hour = np.full(hours, np.nan)
    for rows in rows_by_days(store, "anomaly_score", fleet, period, {"time_period": "1h"}, columns=("anomalous",)):
        scored = rows[rows["anomalous"].notna()]
        places = ((scored["at"] - period.start) // HOUR_S).to_numpy()
        _add(by_hour, places, scored["anomalous"].astype("float64"))
    return (None if np.isnan(by_hour).all() else int(np.nansum(by_hour))), by_hour
