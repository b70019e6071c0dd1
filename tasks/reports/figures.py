"""The figures of a report, from the store. Missing is None and says so on the page; nothing is made up."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from storage.declaration import MEASUREMENTS, Tier
from storage.downsample.rollup import DAY_S, HOUR_S
from storage.store import Store
from tasks.derive.fleet import Fleet
from tasks.derive.opportunities.latest import latest
from tasks.derive.profit import profit
from tasks.reports.period import Period

WORST = 10
"""Miners that are listed by the hashrate they lost."""
CAUSES = ("unreachable", "paused", "heat", "board", "pool", "unknown")
_OPERATIONAL = (
    "hashrate_expected_hs", "hashrate_lost_hs", "uptime_percentage", "hashing_uptime_percentage",
    "coverage_percentage", *(f"lost_{cause}_hs" for cause in CAUSES),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Worst:
    """A miner by the hashrate that it lost, mean of the period, and the cause that took most of it."""

    miner_id: str
    lost_hs: float
    cause: str
    uptime_percent: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All figures. Hashrates are means over the period in H/s, money is USD."""

    period: Period
    miners: int
    expected_hs: float | None = None
    lost_hs: float | None = None
    lost_by_cause: dict[str, float]
    uptime_percent: float | None = None
    hashing_percent: float | None = None
    coverage_percent: float | None = None
    money: list[dict[str, Any]]
    """Rows of tasks.derive.profit for the fleet and each site."""
    days: list[dict[str, Any]]
    """Profit of the fleet by day."""
    worst: list[Worst]
    alerts: dict[str, int]
    """How often each rule fired."""
    critical: list[str]
    pools: list[dict[str, Any]]
    """Rows of pool_reconciliation."""
    advice: list[dict[str, Any]]
    """Open opportunities, those that bring most first."""
    anomalous: int | None = None
    """Miner-hours above the threshold; None: nothing was scored."""


def gather(store: Store, fleet: Fleet, period: Period, now: float) -> Report:
    """Figures of ``period``, as they are known at ``now`` (Unix seconds).

    Raises:
        TryAgain: the store does not answer.
        NeedsHuman: days of the period's zone do not begin on an hour of UTC.
    """
    rows = _rows(store, "operational_metrics", period, where={"time_period": "1h"}, columns=_OPERATIONAL)
    hours = (period.stop - period.start) // HOUR_S
    expected, lost = _fleet_mean(rows, "hashrate_expected_hs", hours), _fleet_mean(rows, "hashrate_lost_hs", hours)
    money = [
        row
        for by in ("fleet", "site")
        for row in profit(
            store, fleet.miners, period.start, period.stop, by=by, every="period", zone=period.zone
        ).to_pylist()
    ]
    fired = _rows(store, "alert_event", period, where={"event": "fired"}, columns=("level", "message"))
    scores = _rows(store, "anomaly_score", period, where={"time_period": "1h"}, columns=("anomalous",))
    pools = _rows(
        store, "pool_reconciliation", period, columns=("predicted", "credited", "paid", "unexplained", "reason")
    )
    return Report(
        period=period,
        miners=len(fleet.miners),
        expected_hs=expected,
        lost_hs=lost,
        lost_by_cause={
            cause: value
            for cause in CAUSES
            if (value := _fleet_mean(rows, f"lost_{cause}_hs", hours)) is not None and value > 0
        },
        uptime_percent=_mean(rows["uptime_percentage"]),
        hashing_percent=_mean(rows["hashing_uptime_percentage"]),
        coverage_percent=_mean(rows["coverage_percentage"]),
        money=money,
        days=profit(
            store, fleet.miners, period.start, period.stop, by="fleet", every="day", zone=period.zone
        ).to_pylist(),
        worst=_worst(rows, hours),
        alerts=dict(Counter(map(str, fired["rule"])).most_common()),
        critical=[
            f"{row['rule']}: {row['subject']}: {row['message']}"
            for _, row in fired[fired["level"] == "critical"].iterrows()
        ][:WORST],
        pools=_plain(pools.sort_values(["pool_id", "coin_id", "at"])),
        advice=latest(store, int(now), None, ended=False, least_usd_day=0.0).to_pylist()[:WORST],
        anomalous=None if scores.empty else int(scores["anomalous"].eq(True).sum()),
    )


def _rows(
    store: Store,
    name: str,
    period: Period,
    *,
    columns: tuple[str, ...],
    where: dict[str, str] | None = None,
) -> pd.DataFrame:
    """Rows of the period by day of reading, so that memory does not grow with a week."""
    parts = []
    for first in range(period.start, period.stop, DAY_S):
        stop = min(first + DAY_S, period.stop)
        table = store.read(MEASUREMENTS[name], Tier.RAW, first, stop, where=where, columns=list(columns))
        part: pd.DataFrame = table.to_pandas()
        part["at"] = table["time"].cast("int64").to_numpy()
        parts.append(part)
    filled = [part for part in parts if len(part)]
    return pd.concat(filled, ignore_index=True) if filled else parts[0]


def _fleet_mean(rows: pd.DataFrame, column: str, hours: int) -> float | None:
    """Sum over the miners of their hours' means, over the period's ``hours``; None where none is known."""
    known = rows[column].dropna()
    return float(known.sum() / hours) if len(known) and hours else None


def _mean(column: pd.Series) -> float | None:
    known = column.dropna()
    return float(known.mean()) if len(known) else None


def _worst(rows: pd.DataFrame, hours: int) -> list[Worst]:
    if rows.empty:
        return []
    causes = [f"lost_{cause}_hs" for cause in CAUSES]
    sums = rows.groupby("miner_id")[["hashrate_lost_hs", *causes]].sum(min_count=1)
    uptime = rows.groupby("miner_id")["uptime_percentage"].mean()
    sums = sums[sums["hashrate_lost_hs"] > 0].sort_values("hashrate_lost_hs", ascending=False).head(WORST)
    found = []
    for miner, row in sums.iterrows():
        share = row[causes].astype("float64").fillna(0.0).to_numpy()
        up = uptime[miner]
        found.append(
            Worst(
                str(miner),
                float(row["hashrate_lost_hs"] / hours),
                CAUSES[int(np.argmax(share))],
                None if pd.isna(up) else float(up),
            )
        )
    return found


def _plain(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows with None for what is missing."""
    shown: list[dict[str, Any]] = (
        rows.drop(columns=["time"]).astype(object).where(rows.notna(), None).to_dict("records")
    )
    return shown
