"""Money of a stretch of time, added up from the stored hours: fleet, models, sites or miners, by hour, day or as one.

Days are those of any zone whose days begin on an hour of UTC, 23 or 25 hours long where its clocks change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from storage.declaration import MEASUREMENTS, Tier
from storage.downsample.rollup import DAY_S, HOUR_S
from storage.downsample.windows import unix_seconds
from storage.errors import NeedsHuman
from storage.store import Store
from tasks.derive.labels import key_of

By = Literal["fleet", "model", "site", "miner"]
Every = Literal["hour", "day", "period"]

_SUMS = ("revenue", "fees", "electricity_cost", "cost", "profit", "energy_kwh")
_RETURNS = ("roi_percent", "break_even_days")
_READ_S = 7 * DAY_S


@dataclass(frozen=True, slots=True)
class _Cut:
    """How time is cut into periods."""

    start: int
    every: Every
    zone: str

    def periods(self, times: npt.NDArray[np.int64]) -> pd.Series:
        """The start of the period of each time, Unix seconds."""
        if self.every == "day":
            return _local_days(times, self.zone)
        return pd.Series(times if self.every == "hour" else np.full(len(times), self.start))


def profit(
    store: Store,
    labels: Mapping[str, tuple[str, str]],
    start: int,
    stop: int,
    *,
    by: By = "fleet",
    every: Every = "day",
    zone: str = "UTC",
    miners: Sequence[str] | None = None,
) -> pa.Table:
    """Sums of ``financial_metrics`` of the hours of ``[start, stop)`` (Unix seconds, whole hours), sorted by period.

    Columns: ``from`` (start of the period in ``zone``, ISO 8601), ``of``, revenue, fees, electricity_cost, cost, profit
    (USD), energy_kwh, ``break_even_usd_kwh`` (revenue / energy of the hours in which both are known), ``hours_known``
    of ``hours`` (miners x hours that have a row) of which the profit is known, ``roi_percent`` and ``break_even_days``
    as of the newest day of UTC that begins in the period. Null: not known, or returns of a part of a group.
    ``labels``: model and site by miner, from the configuration; a miner that is not in it is of '' each.

    Raises:
        NeedsHuman: a day of ``zone`` does not begin on an hour of UTC.
        TryAgain: the store does not answer.
    """
    where = {"time_period": "1h"} if miners is None else {"time_period": "1h", "miner_id": list(miners)}
    cut = _Cut(start, every, zone)
    parts = []
    for first in range(start, stop, _READ_S):
        end = min(first + _READ_S, stop)
        table = store.read(MEASUREMENTS["financial_metrics"], Tier.RAW, first, end, where=where, columns=list(_SUMS))
        if table.num_rows:
            parts.append(_of_part(table, labels, by, cut))
    if not parts:
        return _schema().empty_table()
    sums = pd.concat(parts).groupby(["at", "of"], sort=True).sum(min_count=1).reset_index()
    sums["break_even_usd_kwh"] = sums.pop("paired_revenue") / sums["paired_energy"].where(sums.pop("paired_energy") > 0)
    if miners is None or by == "miner":
        sums = sums.merge(_returns(store, stop, by, cut), on=["at", "of"], how="left")
    else:
        sums[list(_RETURNS)] = np.nan
    sums["from"] = [pd.Timestamp(at, unit="s", tz=ZoneInfo(zone)).isoformat() for at in sums.pop("at")]
    found = sums[[field.name for field in _schema()]]
    return pa.Table.from_pandas(found, schema=_schema(), preserve_index=False)


def _of_part(table: pa.Table, labels: Mapping[str, tuple[str, str]], by: By, cut: _Cut) -> pd.DataFrame:
    rows = table.select(["miner_id", *_SUMS]).to_pandas()
    times = unix_seconds(table)
    rows["at"] = cut.periods(times)
    if by == "fleet":
        rows["of"] = "fleet"
    elif by == "miner":
        rows["of"] = rows["miner_id"]
    else:
        place = ("model", "site").index(by)
        rows["of"] = rows["miner_id"].map(lambda name: labels.get(name, ("", ""))[place])
    both = rows["revenue"].notna() & rows["energy_kwh"].notna()
    rows["paired_revenue"], rows["paired_energy"] = rows["revenue"].where(both), rows["energy_kwh"].where(both)
    rows["hours"], rows["hours_known"] = 1, rows["profit"].notna().astype("int64")
    return rows.drop(columns="miner_id").groupby(["at", "of"], sort=False).sum(min_count=1).reset_index()


def _local_days(times: npt.NDArray[np.int64], zone: str) -> pd.Series:
    """Start of the local day of each time, Unix seconds."""
    hours = pd.Series(times)
    distinct = pd.Series(hours.unique())
    days = pd.to_datetime(distinct, unit="s", utc=True).dt.tz_convert(zone).dt.normalize()
    starts = pd.Series([int(day.timestamp()) for day in days], dtype="int64")  # of no day too
    if (starts % HOUR_S).any():
        raise NeedsHuman(
            f"days of {zone} do not begin on an hour of UTC, and what is stored are hours of UTC",
            remedy="Ask by hour, or for days of another zone",
        )
    return hours.map(dict(zip(distinct, starts, strict=True)))


def _schema() -> pa.Schema:
    numbers = [(name, pa.float64()) for name in (*_SUMS, "break_even_usd_kwh")]
    return pa.schema(
        [
            *(("from", pa.string()), ("of", pa.string()), *numbers, ("hours_known", pa.int64()), ("hours", pa.int64())),
            *((name, pa.float64()) for name in _RETURNS),
        ]
    )


def _returns(store: Store, stop: int, by: By, cut: _Cut) -> pd.DataFrame:
    """``roi_percent`` and ``break_even_days`` of the newest day of UTC that begins in each period."""
    name, where = ("financial_summary", {"scope": by}) if by != "miner" else ("financial_metrics", {})
    table = store.read(
        MEASUREMENTS[name], Tier.RAW, cut.start, stop, where=where | {"time_period": "1d"}, columns=list(_RETURNS)
    )
    rows = table.select(["miner_id" if by == "miner" else "key", *_RETURNS]).to_pandas()
    times = unix_seconds(table)
    rows.columns = pd.Index(["of", *_RETURNS])
    rows["of"] = rows["of"].where(rows["of"] != key_of(by, ""), "")
    rows["at"] = cut.periods(times)
    order = pd.Series(times).sort_values(kind="stable").index
    return rows.loc[order].drop_duplicates(["at", "of"], keep="last")
