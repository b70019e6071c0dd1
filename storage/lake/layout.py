"""Where a row lives: folder of its table, partition of its time, order inside a file, windows that files merge into.

A partition is a day, a month or a year of UTC: a partition per day of a table with ten rows a day would be nothing but
files. Its name is always ``date=<first day>``. The finest part of time in ``partition_by`` of the retention file makes
the partitions, its entity the order inside files: partitions by miner cost 1,000 files a tick and 9 kB a row, the order
serves the same queries by the statistics of row groups (reference/lake.md 0, 6).

A table carries its layout in its properties, so writers need no configuration: maintenance sets it, who writes next
follows, and files of before are brought in line when they are merged.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

import numpy as np
import numpy.typing as npt

from storage.declaration import BUCKETS, MEASUREMENTS, Measurement, Tier

if TYPE_CHECKING:
    from storage.lake.object_store import ObjectLocation
    from storage.retention_settings import TableRetention

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
    """Length of the table's partitions where nothing else is asked for: as coarse as the shards of its bucket."""
    shard_days = BUCKETS[measurement.buckets[tier]].shard_days
    if shard_days <= 7:
        return Period.DAY
    return Period.MONTH if shard_days <= 31 else Period.YEAR


_PARTITION, _ORDER, _COMPRESSION = "lodeline.partition", "lodeline.order", "lodeline.compression"

DEFAULT_COMPRESSION = "zstd"
"""A fifth smaller than snappy at the same time of the processor: 2.3 against 2.9 MB an hour of 1,000 miners."""

_TAGS_OF_PART = {
    "miner_id": ("miner_id",),
    "worker_id": ("worker_id",),
    "coin_id": ("coin_id",),
    "event_type": ("kind",),
    "metric_type": ("quantity", "type"),
}
"""Parts of ``partition_by`` that are a tag somewhere. Kinds of metrics and of anomalies that are columns have none."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How the rows of a table lie: partitions, the order inside files (tags, then time), compression of files."""

    period: Period
    order: tuple[str, ...]
    compression: str = DEFAULT_COMPRESSION

    @staticmethod
    def of(measurement: Measurement, tier: Tier, kept: TableRetention | None = None) -> Layout:
        """What ``kept`` (of the tier's bucket) asks for; without it, what the declaration gives."""
        order = row_order(measurement)
        if kept is None:
            return Layout(partition_period(measurement, tier), order)
        parts = kept.partition_by
        finest = next((period for name, period in _FINEST_FIRST if name in parts), partition_period(measurement, tier))
        first = [tag for part in parts for tag in _TAGS_OF_PART.get(part, ()) if tag in order]
        return Layout(finest, (*first, *(tag for tag in order if tag not in first)), kept.compression)

    @property
    def properties(self) -> dict[str, str]:
        """The layout as properties of a Delta table."""
        return {_PARTITION: self.period.name, _ORDER: ",".join(self.order), _COMPRESSION: self.compression}

    def follow(self, properties: Mapping[str, str]) -> Layout:
        """The layout that a table has by its ``properties``; this one where it has none. Tags declared since then come
        last."""
        if _PARTITION not in properties:
            return self
        said = [tag for tag in properties[_ORDER].split(",") if tag in self.order]
        order = (*said, *(tag for tag in self.order if tag not in said))
        return Layout(Period[properties[_PARTITION]], order, properties[_COMPRESSION])


_FINEST_FIRST = (("date", Period.DAY), ("month", Period.MONTH), ("year", Period.YEAR))


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
