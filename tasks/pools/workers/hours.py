"""What a pool tells of its workers, hour by hour: hashrate and what was rejected. Pure; pandas, no loop over rows.

The hashrate of an hour is, by what the pool tells: growth of accepted work over the seconds in which it grew; else the
mean of a mean over two hours at most; else the mean of the hashrate it reports; else its mean over a day, which says
little of an hour and is called so. Bases are never mixed: an hour in which the pool changed between two has no ratio.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa

from storage.downsample.windows import unix_seconds
from tasks.derive.network import HASHES_A_SHARE, SCRYPT_SHARE
from tasks.pools.due import HOUR_S, REACH_S

SHORT_S = 2 * HOUR_S
"""Means over at most this long tell something of an hour."""

HASHES = {"scrypt": SCRYPT_SHARE, "sha256d": HASHES_A_SHARE}
"""Hashes of a difficulty-1 share as pools count them."""

COLUMNS = (
    "status", "hashrate_reported_hs", "hashrate_effective_hs", "work_accepted_d1", "work_stale_d1", "work_invalid_d1",
    "reject_ratio", "reject_basis", "time_window",
)  # fmt: skip
"""Fields of ``pool_performance`` that are read."""

ANEW = 0.5
"""A counter that falls below this part of what it was has begun anew."""

Way = Literal["work", "rate", "long"]
WORK = ("work_accepted_d1", "work_stale_d1", "work_invalid_d1")
"""Counters of work."""
LEAST_RECENT_S = 1_800
"""So long a worker's work must have been followed for its recent ratio: in less, few shares decide."""

_KEYS = ["pool_id", "worker_id", "algorithm", "hour"]
_SERIES = ["pool_id", "worker_id", "algorithm"]
_SPAN = re.compile(r"(\d+)\s*(min|m|h|d)")
_UNITS_S = {"min": 60, "m": 60, "h": HOUR_S, "d": 24 * HOUR_S}


@dataclass(frozen=True, slots=True)
class WorkerHour:
    """A worker in the hour that starts at ``hour`` (Unix seconds). Work is in difficulty-1 shares.

    ``way``: how ``hashrate_hs`` was found; ``long``: it is a mean over a day. ``accepted`` and ``lost`` are what work
    grew by, None where the pool tells none. ``seen``: the pool saw it online at least once; None where it says nothing.
    """

    hour: int
    pool_id: str
    worker_id: str
    algorithm: str
    hashrate_hs: float | None
    way: Way | None
    accepted: float | None
    lost: float | None
    reject_ratio: float | None
    reject_basis: str | None
    seen: bool | None


def frame_of(table: pa.Table) -> pd.DataFrame:
    """``table`` of a Store with ``time`` in Unix seconds, and the ``hour`` of each row."""
    rows = table.drop_columns(["time"]).to_pandas()
    rows["time"] = unix_seconds(table)
    rows["hour"] = rows["time"] // HOUR_S * HOUR_S
    return rows


def growth(rows: pd.DataFrame, series: Sequence[str], column: str) -> tuple[pd.Series, pd.Series]:
    """By how much a counter grew up to each row of its series (sorted by time), and in how many seconds.

    One that fell below ANEW of itself has begun anew: all of it is growth. One that fell by less was corrected: taken
    for growth, what a worker did in a year would be that of minutes. NaN there, at the first row, and over a hole of
    more than REACH_S.
    """
    known = rows[rows[column].notna()]
    grouped = known.groupby(list(series), dropna=False, sort=False)
    delta, seconds = grouped[column].diff(), grouped["time"].diff()
    value = known[column]
    anew = value.where(value < ANEW * (value - delta))
    grown = delta.where(delta >= 0, anew).where(delta.notna() & (seconds <= REACH_S))
    return grown.reindex(rows.index), seconds.where(grown.notna()).reindex(rows.index)


def worker_hours(table: pa.Table, start: int) -> list[WorkerHour]:
    """Workers of every hour from ``start`` on. ``table``: rows of ``pool_performance`` from REACH_S before it."""
    if not table.num_rows:
        return []
    rows = frame_of(table).sort_values([*_SERIES, "time"], kind="stable").reset_index(drop=True)
    for column in ("accepted", "stale", "invalid"):
        rows[column], seconds = growth(rows, _SERIES, f"work_{column}_d1")
        if column == "accepted":
            rows["seconds"] = seconds
    rows["lost"] = rows[["stale", "invalid"]].sum(axis=1, min_count=1)
    spans = {window: _span_s(window) for window in rows["time_window"].dropna().unique()}
    short = rows["time_window"].map(spans).astype(float) <= SHORT_S
    rows["short"] = rows["hashrate_effective_hs"].where(short)
    rows["online"] = (
        rows["status"].eq("online").astype(float).where(rows["status"].isin(["online", "offline", "expired"]))
    )
    rows = rows[rows["hour"] >= start]
    if rows.empty:
        return []
    grouped = rows.groupby(_KEYS, sort=True)
    means = grouped[["short", "hashrate_reported_hs", "hashrate_effective_hs", "reject_ratio"]].mean()
    sums = grouped[["accepted", "lost", "seconds"]].sum(min_count=1)
    told = rows[rows["reject_ratio"].notna()].groupby(_KEYS)["reject_basis"].agg(["nunique", "first"])
    made = means.join(sums).join(grouped[["online"]].max()).join(told)
    scale = made.index.get_level_values("algorithm").map(lambda name: HASHES.get(name, np.nan)).astype(float)
    made["work"] = made["accepted"] * scale / made["seconds"].where(made["seconds"] > 0)
    return [_worker_hour(key, row) for key, row in zip(made.index, made.to_dict("records"), strict=True)]


def recent_rejects(table: pa.Table) -> pd.DataFrame:
    """What was rejected of the work of each worker within ``table``, rows of ``pool_performance`` with :data:`WORK`.

    Rows by ``pool_id``, ``worker_id``, ``algorithm``: ``recent_reject_ratio`` and ``recent_s``, the seconds it is of. A
    worker without work, without what was lost of it, or followed for less than LEAST_RECENT_S has none.
    """
    rows = frame_of(table).sort_values([*_SERIES, "time"], kind="stable").reset_index(drop=True)
    accepted, rows["recent_s"] = growth(rows, _SERIES, WORK[0])
    lost = pd.concat([growth(rows, _SERIES, name)[0] for name in WORK[1:]], axis=1).sum(axis=1, min_count=1)
    followed = accepted.notna() & lost.notna()
    rows["lost"] = lost.where(followed)
    rows["all"] = (accepted + lost).where(followed)
    rows["recent_s"] = rows["recent_s"].where(followed)
    sums = rows.groupby(_SERIES, as_index=False)[["lost", "all", "recent_s"]].sum(min_count=1)
    sums = sums[(sums["recent_s"] >= LEAST_RECENT_S) & (sums["all"] > 0)]
    return sums.assign(recent_reject_ratio=sums["lost"] / sums["all"])[[*_SERIES, "recent_reject_ratio", "recent_s"]]


def _worker_hour(key: tuple[str, str, str, int], row: dict[str, Any]) -> WorkerHour:
    ways: tuple[tuple[Way, str], ...] = (
        ("work", "work"), ("rate", "short"), ("rate", "hashrate_reported_hs"), ("long", "hashrate_effective_hs"),
    )  # fmt: skip
    way, hashrate = next(((way, value) for way, name in ways if (value := _known(row[name])) is not None), (None, None))
    accepted, lost = _known(row["accepted"]), _known(row["lost"])
    ratio, basis = None, None
    if accepted is not None and lost is not None:
        if accepted + lost > 0:
            ratio, basis = lost / (accepted + lost), "work"
    elif row["nunique"] == 1:
        ratio, basis = _known(row["reject_ratio"]), row["first"]
    online = _known(row["online"])
    pool_id, worker_id, algorithm, hour = key
    return WorkerHour(
        int(hour), pool_id, worker_id, algorithm, hashrate, way, accepted, lost, ratio,
        basis if ratio is not None else None, None if online is None else online > 0,
    )  # fmt: skip


def _known(value: Any) -> float | None:
    return None if value is None or pd.isna(value) else float(value)


def _span_s(window: str) -> float:
    found = _SPAN.fullmatch(window.strip())
    return float("inf") if found is None else float(found[1]) * _UNITS_S[found[2]]
