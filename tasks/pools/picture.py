"""What is known of pools now, as tables: accounts, workers against miners in the newest hour, days reconciled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa

from storage.arrow_schema import ANSWER_TIME
from storage.declaration import MEASUREMENTS
from storage.store import Store, credible
from tasks.pools.stored import stored_rows
from tasks.pools.summary import DAY_S

FRESH_S = 7 * DAY_S
"""What an account told earlier is not shown."""

_TEXT, _NUMBER, _WHOLE = pa.string(), pa.float64(), pa.int64()
ACCOUNTS = pa.schema(
    [("pool_id", _TEXT), ("coin_id", _TEXT), ("told", ANSWER_TIME), ("age_s", _NUMBER), ("status", _TEXT)]
    + [("workers_active", _WHOLE), ("workers_inactive", _WHOLE)]
    + [(name, _NUMBER) for name in ("hashrate_hs", "predicted_24h", "credited_24h", "unpaid", "paid_total")]
    + [("reason", _TEXT)]
)
_GAPS = tuple(name for name in MEASUREMENTS["worker_match"].field_by_name if name.startswith("gap_"))
WORKERS = pa.schema(
    [("hour", ANSWER_TIME), ("status", _TEXT), ("miner_id", _TEXT), ("pool_id", _TEXT), ("worker_id", _TEXT)]
    + [(name, _NUMBER) for name in ("hashrate_miner_hs", "hashrate_pool_hs", *_GAPS)]
    + [("reason", _TEXT)]
)
_MONEY = tuple(
    name
    for name, field in MEASUREMENTS["pool_reconciliation"].field_by_name.items()
    if field.unit in ("coins", "USD", "percent")
)
DAYS = pa.schema(
    [("day", _TEXT), ("settlement_zone", _TEXT), ("pool_id", _TEXT), ("coin_id", _TEXT)]
    + [(name, _NUMBER) for name in _MONEY]
    + [("reason", _TEXT)]
)


@dataclass(frozen=True, slots=True)
class PoolsPicture:
    """Tables with the schemas above. ``states``: how many rows of ``workers`` have which status.

    Workers are those of the newest hour that was worked out, those to look at first: not matched, then by the size of
    the gap that nothing explains. Days are the newest first.
    """

    accounts: pa.Table
    workers: pa.Table
    days: pa.Table
    states: Mapping[str, int]


def picture(store: Store, now: int, pool_ids: Sequence[str], days: int, *, everyone: bool) -> PoolsPicture:
    """Of ``pool_ids`` at ``now`` (Unix seconds); the ``days`` last days. ``everyone``: also miners of no pool.

    Raises:
        TryAgain: the store does not answer.
    """
    wanted = set(pool_ids)
    rows = [
        row
        for row in stored_rows(store, "worker_match", now - DAY_S, now)
        if row["status"] != "superseded" and (row["pool_id"] in wanted or (everyone and not row["pool_id"]))
    ]
    newest = max((row["time"] for row in rows), default=None)
    workers = sorted((row for row in rows if row["time"] == newest), key=_to_look_at)
    reconciled = stored_rows(
        store, "pool_reconciliation", now - (days + 2) * DAY_S, now, where={"pool_id": list(pool_ids) or [""]}
    )
    reconciled.sort(key=lambda row: (-row["time"], row["pool_id"], row["coin_id"]))
    return PoolsPicture(
        pa.Table.from_pylist(_accounts(store, now, pool_ids), ACCOUNTS),
        pa.Table.from_pylist([_of(WORKERS, row, hour=_clock(row["time"])) for row in workers], WORKERS),
        pa.Table.from_pylist([_of(DAYS, row, day=_day(row)) for row in _newest_days(reconciled, days)], DAYS),
        Counter(row["status"] for row in workers),
    )


def _accounts(store: Store, now: int, pool_ids: Sequence[str]) -> list[dict[str, Any]]:
    """The newest row of each coin of each pool; a pool that told nothing has a row that says so."""
    told = store.newest(MEASUREMENTS["pool_account"], now - FRESH_S, before=credible(now)).to_pylist()
    found = []
    for pool_id in sorted(pool_ids):
        own = [row for row in told if row["pool_id"] == pool_id]
        found += [
            _of(ACCOUNTS, row, told=row["time"], age_s=now - row["time"].timestamp())
            for row in sorted(own, key=lambda row: str(row["coin_id"]))
        ]
        if not own:
            found.append(_of(ACCOUNTS, {"pool_id": pool_id}, reason="told nothing of its account in seven days"))
    return found


def _newest_days(rows: Sequence[Mapping[str, Any]], days: int) -> list[Mapping[str, Any]]:
    """The newest ``days`` of each pool and coin; ``rows`` have the newest first."""
    seen: Counter[tuple[str, str]] = Counter()
    found = []
    for row in rows:
        key = (row["pool_id"], row["coin_id"])
        seen[key] += 1
        if seen[key] <= days:
            found.append(row)
    return found


def _to_look_at(row: Mapping[str, Any]) -> tuple[bool, float, str, str]:
    gap = row["gap_unexplained_ratio"]
    return row["status"] == "matched", -abs(gap or 0.0), row["miner_id"] or "", row["worker_id"] or ""


def _of(schema: pa.Schema, row: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """``row`` with the columns of ``schema``; an empty text is none."""
    return {name: None if (value := row.get(name)) == "" else value for name in schema.names} | more


def _clock(time: int) -> datetime:
    return datetime.fromtimestamp(time, UTC)


def _day(row: Mapping[str, Any]) -> str:
    return _clock(row["time"]).astimezone(ZoneInfo(row["settlement_zone"] or "UTC")).date().isoformat()
