"""The figures of a report, from the store. Missing is None and says so on the page; nothing is made up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from storage.store import Store
from tasks.derive.fleet import Fleet
from tasks.derive.operational import CAUSES
from tasks.derive.opportunities.latest import latest
from tasks.derive.profit import profit
from tasks.overrides.stretches import Stretch, pauses_of_sources
from tasks.reports.curves import Curves, curves_of
from tasks.reports.period import Kind, Period
from tasks.reports.summary import MinerSum, Summary, rows_by_days, summed_up

WORST = 10
"""Miners that are listed by the hashrate they lost."""


@dataclass(frozen=True, slots=True)
class Worst:
    """A miner by the hashrate that it lost, mean of the period, and the cause that took most of it."""

    miner_id: str
    lost_hs: float
    cause: str
    uptime_percent: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All figures. Hashrates are means over the hours of the period that are known, in H/s; money is USD."""

    period: Period
    miners: int
    this: Summary
    before: Summary
    """The period before."""
    money: Sequence[Mapping[str, Any]]
    """Rows of tasks.derive.profit for the fleet and each site."""
    curves: Curves
    worst: Sequence[Worst]
    critical: Sequence[str]
    """Critical alerts that fired, in words."""
    pools: Sequence[Mapping[str, Any]]
    """Rows of pool_reconciliation, each with ``day``."""
    paused: Sequence[Stretch]
    """When pools and providers were paused by hand, or by a response."""
    advice: Sequence[Mapping[str, Any]]
    """Open opportunities, those that bring most first."""


def gather(store: Store, fleet: Fleet, period: Period, now: float) -> Report:
    """Figures of ``period`` and of the one before, as they are known at ``now`` (Unix seconds).

    Raises:
        TryAgain: the store does not answer.
        NeedsHuman: days of the period's zone do not begin on an hour of UTC.
    """
    this, by_miner = summed_up(store, fleet, period)
    before, _ = summed_up(store, fleet, period.before)

    def money(by: Any, every: Any) -> list[dict[str, Any]]:
        found = profit(store, fleet.miners, period.start, period.stop, by=by, every=every, zone=period.zone)
        return found.to_pylist()  # type: ignore[no-any-return]

    every = "hour" if period.kind is Kind.DAILY else "day"
    return Report(
        period=period,
        miners=len(fleet.miners),
        this=this,
        before=before,
        money=[*money("fleet", "period"), *money("site", "period")],
        curves=curves_of(store, fleet, period, this, money("fleet", every)),
        worst=_worst(by_miner, this),
        critical=_critical(store, fleet, period),
        pools=_pools(store, fleet, period),
        paused=pauses_of_sources(store, period.start, period.stop),
        advice=latest(store, int(now), None, ended=False, least_usd_day=0.0).to_pylist()[:WORST],
    )


def _worst(by_miner: Mapping[str, MinerSum], this: Summary) -> list[Worst]:
    """Those that lost most of what their algorithm was to make: a hash of Scrypt is worth thousands of SHA-256."""
    expected = {work.algorithm: work.expected_hs for work in this.work}
    losing = sorted(
        ((one.lost, name) for name, one in by_miner.items() if one.lost > 0),
        key=lambda one: (-one[0] / (expected.get(by_miner[one[1]].algorithm) or 1.0), one[1]),
    )
    return [
        Worst(
            name,
            lost / max(this.hours_known, 1),
            CAUSES[int(np.argmax(by_miner[name].by_cause))],
            by_miner[name].uptime / by_miner[name].uptime_hours if by_miner[name].uptime_hours else None,
        )
        for lost, name in losing[:WORST]
    ]


def _critical(store: Store, fleet: Fleet, period: Period) -> list[str]:
    told: list[str] = []
    for rows in rows_by_days(store, "alert_event", fleet, period, {"event": "fired"}, columns=("level", "message")):
        critical = rows[rows["level"] == "critical"]
        told += (critical["rule"] + ": " + critical["subject"] + ": " + critical["message"].fillna("")).tolist()
    return told[:WORST]


def _pools(store: Store, fleet: Fleet, period: Period) -> list[dict[str, Any]]:
    names = ("predicted", "credited", "paid", "unexplained", "reason")
    parts = list(rows_by_days(store, "pool_reconciliation", fleet, period, None, columns=names))
    if not parts:
        return []
    rows = pd.concat(parts, ignore_index=True).sort_values(["pool_id", "coin_id", "at"])
    rows["day"] = pd.to_datetime(rows["at"], unit="s", utc=True).dt.strftime("%Y-%m-%d")
    found: list[dict[str, Any]] = (
        rows.drop(columns=["time"]).astype(object).where(rows.notna(), None).to_dict("records")
    )
    return found
