"""Where a row lives: folder of its table, partition of its time, order inside a file, windows that files merge into.

A partition is a day, a month or a year of UTC, as coarse as the bucket's shards: a partition per day of a table with
ten rows a day would be nothing but files. Its name is always ``date=<first day>``. Partitions by miner, which the
mission's template has, cost 1,000 files a tick; the order inside files serves the same queries
(reference/lake.md 0, 6).
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

import numpy as np
import numpy.typing as npt

from storage.declaration import BUCKETS, MEASUREMENTS, Measurement, Tier

if TYPE_CHECKING:
    from storage.lake.object_store import ObjectLocation

Place = TypeVar("Place", bound="Path | ObjectLocation")
"""A folder on a disk or on an object store; what is made of it is of the same kind."""

HOUR_S = 3600
DAY_S = 86400


class Period(Enum):
    """Length of a partition, or of a window that files are merged into."""

    HOUR = "h"
    DAY = "D"
    MONTH = "M"
    YEAR = "Y"

    def starts(self, times: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """First second of the period that holds each of ``times`` (Unix seconds)."""
        whole = times.astype("datetime64[s]").astype(f"datetime64[{self.value}]")
        return whole.astype("datetime64[s]").astype(np.int64)

    def window(self, time: int) -> tuple[int, int]:
        """The period that holds ``time``, as (first second, first second after it)."""
        whole = np.datetime64(time, "s").astype(f"datetime64[{self.value}]")
        first, after = whole.astype("datetime64[s]"), (whole + np.timedelta64(1, self.value)).astype("datetime64[s]")
        return int(first.astype(np.int64)), int(after.astype(np.int64))

    def up_to(self) -> list[Period]:
        """Periods up to this one, finest first."""
        periods = list(Period)
        return periods[: periods.index(self) + 1]


def partition_period(measurement: Measurement, tier: Tier) -> Period:
    """Length of the table's partitions."""
    shard_days = BUCKETS[measurement.buckets[tier]].shard_days
    if shard_days <= 7:
        return Period.DAY
    return Period.MONTH if shard_days <= 31 else Period.YEAR


def date_of(time: int) -> str:
    """UTC date of ``time`` (Unix seconds), ISO 8601."""
    return datetime.datetime.fromtimestamp(time, datetime.UTC).date().isoformat()


def row_order(measurement: Measurement) -> tuple[str, ...]:
    """Tags in the order that files are sorted by, before time: the entity first, so that one miner is read quickly."""
    return tuple(sorted(measurement.tag_names, key=lambda name: (not name.endswith("_id"), name)))


def table_folder(root: Place, measurement: Measurement, tier: Tier) -> Place:
    """Folder of the Delta table of ``tier``."""
    return cast("Place", root / measurement.buckets[tier] / measurement.stored_name(tier))


def declared_tables() -> Iterator[tuple[Measurement, Tier]]:
    """Every tier of every measurement."""
    for measurement in MEASUREMENTS.values():
        for tier in measurement.buckets:
            yield measurement, tier
