"""What miners tell of an hour: their hashrate, weighed by time, split by the pool and user they mined for. Pure.

A row of telemetry holds until the next of its miner, but for ``stands_s`` of its declaration at most, and the edges of
hours cut it. What a miner mines for is the first of its own slots that is active, else one that works; a firmware
maker's slots are not its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd
import pyarrow as pa

from storage.declaration import MEASUREMENTS
from tasks.pools.due import HOUR_S
from tasks.pools.workers.hours import frame_of, growth

TELEMETRY_COLUMNS = ("state", "hashrate_hs", "devfee_percent", "shares_accepted", "shares_rejected", "shares_stale")
POOL_COLUMNS = ("status", "is_fee", "url", "user")

STANDS_S = MEASUREMENTS["miner_telemetry"].stands_s
"""How far before the first hour rows must be read: they may stand into it."""
_RANKS = {"active": 0, "working": 1, "rejecting": 2, "unknown": 3}
"""Of a slot's states, which one is mined for first; offline and disabled ones are not."""
_SHARES = ("shares_accepted", "shares_rejected", "shares_stale")
_HOUR = ["miner_id", "hour"]


@dataclass(frozen=True, slots=True)
class MinerHour:
    """A miner in the hour that starts at ``hour``, as far as it mined for ``user`` at ``url``.

    ``hashrate_hs`` is its part of the mean over the seconds in which the miner's hashrate is known, ``known_s``; parts
    of one miner add up to its mean. None: the miner did not tell. ``user`` None: it did not tell that.
    ``rejected_ratio``: rejected and stale / all of its own shares. ``fee_only``: only the maker's slots were mined for.
    ``state`` is the last that it was in.
    """

    hour: int
    miner_id: str
    user: str | None
    url: str | None
    hashrate_hs: float | None
    known_s: float
    devfee_ratio: float | None
    rejected_ratio: float | None
    fee_only: bool = False
    state: str | None = None


def miner_hours(telemetry: pa.Table, pools: pa.Table, start: int, stop: int) -> list[MinerHour]:
    """Miners of the hours ``start <= hour < stop``; rows of ``miner_telemetry`` and ``miner_pool`` from STANDS_S before
    ``start`` up to ``stop``."""
    if not telemetry.num_rows:
        return []
    rows = frame_of(telemetry).sort_values(["miner_id", "time"], kind="stable").reset_index(drop=True)
    own, fee_only = _mined_for(frame_of(pools)) if pools.num_rows else (_NONE, _NO_FEES)
    rows = rows.merge(own, on=["miner_id", "time"], how="left")
    for column in ("user", "url"):  # a poll that lost its pools lies between two that have them
        filled = rows.groupby(_HOUR, sort=False)[column].ffill()
        rows[column] = filled
        filled = filled.where(filled.notna(), rows.groupby(_HOUR, sort=False)[column].bfill())
        rows[column] = filled.where(filled.notna(), None)
    for column in _SHARES:
        rows[f"{column}_grown"], _ = growth(rows, ("miner_id",), column)
    grown = [f"{column}_grown" for column in _SHARES]
    rows = _cut_by_hours(rows, grown)
    rows = rows[(rows["hour"] >= start) & (rows["hour"] < stop)]
    folds: dict[str, Any] = {"seconds": "sum", "devfee_percent": "mean", "state": "last", **dict.fromkeys(grown, _sum)}
    whole = rows.groupby(_HOUR, sort=True).agg(folds)
    known = rows[rows["seconds"] > 0]
    parts = known.groupby([*_HOUR, "user", "url"], dropna=False, sort=True)["hashes"].sum()
    hashed: dict[tuple[str, int], list[tuple[Any, Any, float]]] = {}
    for (miner_id, hour, user, url), hashes in parts.items():
        hashed.setdefault((miner_id, hour), []).append((user, url, float(hashes)))
    found: list[MinerHour] = []
    for (miner_id, hour), row in zip(whole.index, whole.to_dict("records"), strict=True):
        seconds = float(row["seconds"])
        devfee = None if pd.isna(row["devfee_percent"]) else float(row["devfee_percent"]) / 100.0
        for user, url, hashes in hashed.get((miner_id, hour), [(None, None, None)]):
            found.append(
                MinerHour(
                    int(hour), miner_id, _text(user), _text(url), None if hashes is None else hashes / seconds,
                    seconds, devfee, _rejected(row, grown), (miner_id, hour) in fee_only and _text(user) is None,
                    _text(row["state"]),
                )
            )  # fmt: skip
    return found


_NONE = pd.DataFrame({"miner_id": pd.Series(dtype=object), "time": pd.Series(dtype="int64"),
                      "user": pd.Series(dtype=object), "url": pd.Series(dtype=object)})  # fmt: skip
_NO_FEES: frozenset[tuple[str, int]] = frozenset()


def _cut_by_hours(rows: pd.DataFrame, grown: list[str]) -> pd.DataFrame:
    """``rows`` with the ``seconds`` that each stands and the ``hashes`` of them; one that stands beyond its hour's end
    is there again in the next hour if its miner told something in it, with nothing but that and the user of there."""
    until = rows.groupby("miner_id", sort=False)["time"].shift(-1)
    latest = rows["time"] + STANDS_S
    until = until.where(until.notna(), latest).clip(upper=latest)
    edge = rows["hour"] + HOUR_S
    known = rows["hashrate_hs"].notna()
    rows["seconds"] = (until.clip(upper=edge) - rows["time"]).where(known, 0.0)
    over = known & (until > edge)
    carried = rows.loc[over, ["miner_id", "hashrate_hs"]]
    carried["hour"] = carried["time"] = edge[over]
    carried["seconds"] = until[over] - edge[over]
    carried = carried.merge(rows.groupby(_HOUR, sort=False)[["user", "url"]].first(), on=_HOUR)
    for column in ("devfee_percent", *grown):
        carried[column] = float("nan")
    carried["state"] = None
    found = pd.concat([carried, rows[list(carried)]], ignore_index=True) if len(carried) else rows
    found["hashes"] = found["hashrate_hs"] * found["seconds"]
    return found


def _mined_for(rows: pd.DataFrame) -> tuple[pd.DataFrame, frozenset[tuple[str, int]]]:
    """User and URL of each poll, and the hours of miners in which only fee slots were mined for."""
    fee = rows["is_fee"].eq(True)
    own = rows[~fee & rows["user"].notna()].copy()
    own["rank"] = own["status"].map(_RANKS).where(own["status"].notna(), _RANKS["unknown"])
    own = own[own["rank"].notna()]
    own["place"] = pd.to_numeric(own["slot"], errors="coerce")
    own = own.sort_values(["miner_id", "time", "rank", "place"], kind="stable").drop_duplicates(["miner_id", "time"])
    mined = set(zip(own["miner_id"], own["hour"], strict=True))
    paid = rows[fee & rows["status"].isin(["active", "working"])]
    fees = frozenset(set(zip(paid["miner_id"], paid["hour"], strict=True)) - mined)
    return own[["miner_id", "time", "user", "url"]], fees


def _sum(values: pd.Series) -> float:
    return float(values.sum(min_count=1))


def _rejected(row: dict[str, Any], grown: list[str]) -> float | None:
    accepted, *lost = (row[name] for name in grown)
    told = [float(value) for value in lost if not pd.isna(value)]
    if pd.isna(accepted) or not told or accepted + sum(told) <= 0:
        return None
    return sum(told) / (float(accepted) + sum(told))


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value.strip() else None
