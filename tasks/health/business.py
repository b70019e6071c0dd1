"""The figures of ``fleet_health`` out of what is stored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from storage.declaration.bucket import Tier
from storage.declaration.derived import FINANCIAL_SUMMARY, OPERATIONAL_METRICS
from storage.declaration.market import MARKET_DATA
from storage.declaration.measurement import Measurement
from storage.declaration.miner import MINER_TELEMETRY
from storage.declaration.pipeline import SOURCE_QUALITY
from storage.declaration.pool import POOL_RECONCILIATION
from storage.downsample.rollup import DAY_S, HOUR_S, window_of
from storage.downsample.windows import unix_seconds
from storage.store import Store, credible
from tasks.alerts.facts import STALE_INTERVALS, judged, roster_of
from tasks.derive.uptimes import wanted_hours
from tasks.health.fleet import FleetHealth, QualityOfSource
from tasks.miners.settings import MinerSettings

_DAYS = 7
_SETTLED_S = 10 * DAY_S
"""How long after its end a pool may still tell of a day (docs/pools.md)."""


_QUALITY = ("score", "completeness", "timeliness", "accuracy", "consistency")
_QUALITY_S = 4 * DAY_S
"""A day is worked out once it is over; in this time an outage of that work is told by its age."""


def look_at_fleet(store: Store, miners: Sequence[MinerSettings], now: int) -> FleetHealth:
    """The figures at ``now`` (Unix seconds) of the configured ``miners``.

    Raises:
        TryAgain: the store does not answer.
    """
    reasons: dict[str, str] = {}
    roster = roster_of(miners)
    told: dict[str, Any] = {"miners_known": 0, "miners_answering": 0}
    if roster.empty:
        reasons["known_ratio"] = "no_miners"
    else:
        look_back_s = int(STALE_INTERVALS * roster["interval_s"].max()) + 1
        standing = judged(roster, _newest(store, MINER_TELEMETRY, now - look_back_s, now))
        told["miners_known"], told["miners_answering"] = int(standing["fresh"].sum()), int(standing["answers"].sum())
        told["known_ratio"] = told["miners_known"] / len(roster)
    told |= _work(store, now, reasons)
    told |= _credited(store, now, reasons)
    told |= _profit(store, now, reasons)
    told |= _price(store, now, reasons)
    reason = ",".join(f"{name}:{why}" for name, why in sorted(reasons.items())) or None
    return FleetHealth(time=now, miners=len(roster), reason=reason, sources=_qualities(store, now), **told)


def _work(store: Store, now: int, reasons: dict[str, str]) -> dict[str, float]:
    stop = window_of(now, HOUR_S)
    names = (
        "hashrate_expected_hs", "hashrate_lost_hs", "hashing_uptime_percentage", "coverage_percentage",
        "planned_off_percentage",
    )  # fmt: skip
    rows = _read(store, OPERATIONAL_METRICS, stop - DAY_S, stop, {"time_period": "1h"}, *names)
    told: dict[str, float] = {}
    known = rows.dropna(subset=["hashrate_expected_hs", "hashrate_lost_hs"])
    hours = known["at"].nunique()
    if hours:
        expected = float(known["hashrate_expected_hs"].sum()) / hours
        told["hashrate_expected_hs"] = expected
        told["hashrate_delivered_hs"] = expected - float(known["hashrate_lost_hs"].sum()) / hours
        if expected > 0:
            told["delivered_ratio"] = told["hashrate_delivered_hs"] / expected
    if "delivered_ratio" not in told:
        reasons["delivered_ratio"] = "no_operational_metrics" if not hours else "nothing_expected"
    uptime, coverage = rows["hashing_uptime_percentage"], rows["coverage_percentage"].dropna()
    hours_of = wanted_hours(rows).where(uptime.notna(), 0.0)
    if hours_of.sum() > 0:
        told["hashing_uptime_percent"] = float((uptime * hours_of).sum() / hours_of.sum())
    else:
        reasons["hashing_uptime_percent"] = "no_operational_metrics"
    if len(coverage):
        told["coverage_percent"] = float(coverage.mean())
    else:
        reasons["coverage_percent"] = "no_operational_metrics"
    return told


def _credited(store: Store, now: int, reasons: dict[str, str]) -> dict[str, float]:
    """Of each pool and coin the newest day of which both are known."""
    rows = _read(store, POOL_RECONCILIATION, now - _SETTLED_S, now, None, "predicted_usd", "credited_usd")
    rows = rows.dropna(subset=["predicted_usd", "credited_usd"]).sort_values("at")
    newest = rows.drop_duplicates(["pool_id", "coin_id"], keep="last")
    if newest.empty:
        reasons["credited_ratio"] = "nothing_reconciled"
        return {}
    predicted, credited = float(newest["predicted_usd"].sum()), float(newest["credited_usd"].sum())
    told = {"predicted_usd": predicted, "credited_usd": credited}
    if predicted > 0:
        return {**told, "credited_ratio": credited / predicted}
    reasons["credited_ratio"] = "nothing_predicted"
    return told


def _profit(store: Store, now: int, reasons: dict[str, str]) -> dict[str, float]:
    where = {"scope": "fleet", "time_period": "1d"}
    days = _read(store, FINANCIAL_SUMMARY, now - (_DAYS + 3) * DAY_S, now, where, "profit")
    days = days.dropna(subset=["profit"]).sort_values("at")
    if days.empty:
        reasons["profit_day_usd"] = reasons["profit_mean_usd"] = "no_financial_metrics"
        return {}
    newest = days.iloc[-1]
    told = {"profit_day_usd": float(newest["profit"])}
    before = days[(days["at"] < newest["at"]) & (days["at"] >= newest["at"] - _DAYS * DAY_S)]
    if before.empty:
        reasons["profit_mean_usd"] = "one_day_only"
        return told
    mean = float(before["profit"].mean())
    return {**told, "profit_mean_usd": mean, "profit_change_usd": told["profit_day_usd"] - mean}


def _price(store: Store, now: int, reasons: dict[str, str]) -> dict[str, float]:
    prices = _newest(store, MARKET_DATA, now - DAY_S, now)
    ages = prices[prices["price_usd"].notna()].groupby("coin_id")["age_s"].min()
    if ages.empty:
        reasons["price_age_s"] = "no_price_for_a_day"
        return {}
    return {"price_age_s": float(ages.max())}


def _qualities(store: Store, now: int) -> tuple[QualityOfSource, ...]:
    rows = _read(store, SOURCE_QUALITY, now - _QUALITY_S, now, None, *_QUALITY)
    rows.loc[rows["kind"] == "miner", "source"] = "miners"
    newest = rows[rows["at"] == rows.groupby(["kind", "source"])["at"].transform("max")]
    means = newest.groupby(["kind", "source", "at"])[list(_QUALITY)].mean()
    return tuple(
        QualityOfSource(
            kind=str(kind), source=str(source), day=int(day),
            **{name: None if pd.isna(value) else float(value) for name, value in zip(_QUALITY, values, strict=True)},
        )
        for (kind, source, day), values in zip(means.index, means.itertuples(index=False), strict=True)
    )  # fmt: skip


def _newest(store: Store, measurement: Measurement, since: int, now: int) -> pd.DataFrame:
    table = store.newest(measurement, since, before=credible(now))
    rows: pd.DataFrame = table.to_pandas()
    rows["age_s"] = float(now) - unix_seconds(table)
    return rows


def _read(
    store: Store, measurement: Measurement, start: int, stop: int, where: dict[str, str] | None, *columns: str
) -> pd.DataFrame:
    """Rows of ``[start, stop)`` with ``at``, Unix seconds."""
    table = store.read(measurement, Tier.RAW, start, stop, where=where, columns=list(columns))
    rows: pd.DataFrame = table.to_pandas()
    rows["at"] = unix_seconds(table)
    return rows
