"""What a pool paid for a TH/s and day against what the network would have: rows of scope ``pool``, by settlement day.

Both are of the work that the pool accepted: a day that it credits in full, less its fee, has a ratio of 1 - fee.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from storage.declaration import MEASUREMENTS, Tier
from storage.downsample.rollup import DAY_S, HOUR_S
from storage.downsample.windows import unix_seconds
from storage.frame import Frame, build_frame
from storage.store import Store
from tasks.derive.changed import write_changed
from tasks.derive.financial import CURRENCY, TH
from tasks.derive.hour_grid import Floats, floats

LATE_S = 10 * DAY_S
"""How far back days are worked out anew: pools may tell of the last eight (docs/pools.md)."""
KNOWN = 0.5
"""Part of a day's hours of which the work must be known for a price of it."""

_RECONCILED, _MATCH = MEASUREMENTS["pool_reconciliation"], MEASUREMENTS["worker_match"]
Row = Mapping[str, Any]


def derive_realised(store: Store, now: int) -> int:
    """Write what is new of the settlement days of the last ten days; returns how many rows.

    Raises:
        TryAgain: the store does not answer.
    """
    first = now - LATE_S
    rows = [
        {**row, "time": int(row["time"].timestamp())}
        for row in store.read(_RECONCILED, Tier.RAW, first, now).to_pylist()
    ]
    if not rows:
        return 0
    table = store.read(_MATCH, Tier.RAW, first, now, columns=["status", "hashrate_pool_hs"])
    return write_changed(store, [realised_frame(rows, Work.of(table))])


@dataclass(frozen=True)
class Work:
    """Hashrate that pools credited, by pool and hour (Unix seconds), in H/s."""

    hashrates: Mapping[str, Mapping[int, float]]

    @staticmethod
    def of(table: pa.Table) -> Work:
        """Of rows of ``worker_match``, without those that are superseded."""
        table = table.filter(pc.fill_null(pc.not_equal(table["status"], "superseded"), False))
        keyed = pa.table({"pool": table["pool_id"], "hour": unix_seconds(table), "hs": table["hashrate_pool_hs"]})
        summed = keyed.group_by(["pool", "hour"]).aggregate([("hs", "sum")])
        found: dict[str, dict[int, float]] = defaultdict(dict)
        hashrates: Floats = floats(summed["hs_sum"])
        for pool, hour, hashrate in zip(
            summed["pool"].to_pylist(), summed["hour"].to_pylist(), hashrates.tolist(), strict=True
        ):
            if pool is not None and not np.isnan(hashrate):
                found[pool][hour] = hashrate
        return Work(found)

    def mean(self, pool: str, start: int, stop: int) -> float | None:
        """Mean of the known hours that begin in ``[start, stop)``; None where too few are known."""
        hours = [hs for hour, hs in self.hashrates.get(pool, {}).items() if start <= hour < stop]
        return sum(hours) / len(hours) if len(hours) * HOUR_S >= KNOWN * (stop - start) else None


def realised_frame(reconciled: Iterable[Row], work: Work) -> Frame:
    """Rows of ``financial_summary`` of scope ``pool``. ``reconciled``: rows of ``pool_reconciliation``, with ``time``
    in Unix seconds; the coins of a pool's day are added up, and one that lacks something makes the sum null."""
    days: dict[tuple[str, int], list[Row]] = defaultdict(list)
    for row in reconciled:
        days[row["pool_id"], row["time"]].append(row)
    times: list[int] = []
    columns: dict[str, list[Any]] = defaultdict(list)
    for (pool, start), coins in sorted(days.items()):
        stop = _next_day(start, coins[0]["settlement_zone"] or "UTC")
        credited = _sum([row["credited_usd"] for row in coins])
        expected = _sum([_expected_usd(row) for row in coins])
        hashrate = work.mean(pool, start, stop)
        th_days = None if not hashrate else hashrate / TH * (stop - start) / DAY_S
        lacks = {
            "revenue:not_credited": credited is None,
            "hashprice_usd_th_day:nothing_predicted": expected is None,
            "hashrate_paid_hs:too_few_hours": hashrate is None,
        }
        times.append(start)
        for name, value in {
            "scope": "pool",
            "key": pool,
            "time_period": "1d",
            "revenue": credited,
            "hashrate_paid_hs": hashrate,
            "hashprice_usd_th_day": _ratio(expected, th_days),
            "hashprice_realised_usd_th_day": _ratio(credited, th_days),
            "realised_ratio": _ratio(credited, expected),
            "currency": CURRENCY,
            "reason": ",".join(word for word, is_so in lacks.items() if is_so),
        }.items():
            columns[name].append(value)
    return build_frame("financial_summary", times, columns)


def _expected_usd(row: Row) -> float | None:
    """What the accepted work of the whole day should have earned before fees, at the day's price."""
    predicted, usd = row["predicted"], row["predicted_usd"]
    if not predicted or usd is None or row["explained_missing"] is None:
        return None
    whole = predicted + row["explained_missing"] + (row["explained_stale"] or 0.0)
    return float(whole * usd / predicted)


def _sum(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None


def _ratio(above: float | None, below: float | None) -> float | None:
    return above / below if above is not None and below else None


def _next_day(start: int, zone: str) -> int:
    local = dt.datetime.fromtimestamp(start, ZoneInfo(zone))
    return int(dt.datetime.combine(local.date() + dt.timedelta(days=1), dt.time(), local.tzinfo).timestamp())
