"""Out of a store that ends retention by itself, into the archive: rows are copied before it drops them.

A host with InfluxDB and no lake has no files to move. Whole days (UTC) are read slice by slice; a slice that the
archive answers alike is left out, so the same run again adds nothing, and what came late is a part more that counts.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
from cronsim import CronSim

from storage.archive.catalogue import Catalogue
from storage.archive.moving import ArchiveReport
from storage.archive.part import ArchivedPart
from storage.archive.reading import ArchiveReader
from storage.archive.writing import enter_rows
from storage.arrow_schema import INGEST_MS, INGEST_VERSION, file_schema, integers
from storage.declaration import BUCKETS, Measurement, Tier
from storage.errors import LodelineError, TryAgain
from storage.lake.layout import DAY_S, HOUR_S, Period, date_of, partition_period, row_order
from storage.lake.merge import merged
from storage.store import Store

SLICES: Mapping[Period, int] = {Period.DAY: 6 * HOUR_S, Period.MONTH: 7 * DAY_S, Period.YEAR: 91 * DAY_S}
"""Seconds of rows that are read and held at one time, by the length of a partition, which goes by how dense rows are:
some 360,000 rows for 1,000 miners, as the roll-up holds."""


class Schedule:
    """When the archive runs, from ``now`` (Unix seconds) on, by a cron expression and its time zone."""

    def __init__(self, cron: str, timezone: str, now: int) -> None:
        self._now = now
        runs = CronSim(cron, datetime.datetime.fromtimestamp(now, ZoneInfo(timezone)))
        self._next, self._next_but_one = (int(next(runs).timestamp()) for _ in range(2))

    def days_due(self, bucket: str, retention_days: int) -> tuple[int, int]:
        """Midnights (Unix seconds) around the days to copy now: those of which the store may drop rows before the next
        run but one, so that one run may fail. Days before the first are gone: a store drops a shard after its end.
        """
        midnight = self._now // DAY_S * DAY_S
        oldest = midnight - (retention_days + BUCKETS[bucket].shard_days) * DAY_S
        dropped = -(-(self._next_but_one - retention_days * DAY_S) // DAY_S) * DAY_S
        return oldest, min(dropped, midnight)

    def trouble(self, bucket: str, retention_days: int) -> str | None:
        """What is wrong where rows come and go between two runs; None: nothing."""
        apart = self._next_but_one - self._next
        if retention_days * DAY_S >= apart + DAY_S:
            return None
        return (
            f"{bucket} keeps {retention_days} days and the archive runs {apart / DAY_S:.1f} days apart: rows are "
            "dropped that were never archived; set archiving.schedule to run more often, or keep the rows longer"
        )


def copy_table(
    store: Store,
    archive: Path,
    measurement: Measurement,
    tier: Tier,
    span: tuple[int, int],
    *,
    compare: bool = True,
    told: Callable[[ArchivedPart], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
) -> ArchiveReport:
    """Copy what ``store`` has in ``span`` (Unix seconds of two midnights) and the archive has not.

    A period that is in trouble is named, the others are copied. ``stop`` is asked between periods, ``told`` hears of
    every file.
    """
    report = ArchiveReport()
    catalogue = Catalogue.open(archive)
    period = partition_period(measurement, tier)
    start, before = span
    while start < before and not stop():
        window = period.window(start)
        end = min(window[1], before)
        known = catalogue.of_period(measurement, tier, date_of(window[0]))
        copies = 1 + max((part.source_version for part in known), default=-1)
        pieces = (
            _as_file(rows, measurement, tier, copies)
            for piece in _slices(start, end, SLICES[period])
            if (rows := _not_archived(store, archive, measurement, tier, piece)) is not None
        )
        try:
            part = enter_rows(catalogue, measurement, tier, window, pieces, version_=copies, compare=compare)
        except LodelineError as error:
            report.troubles.append(f"{measurement.stored_name(tier)} of {date_of(start)}: {error}")
            if isinstance(error, TryAgain):
                break  # the store is away: no need to wait for that at every period
        else:
            if part is not None:
                told(part)
                report.moved.append(part)
                report.files += 1
                report.rows += part.rows
                report.bytes_after += part.bytes
        start = end
    return report


def _slices(start: int, stop: int, every_s: int) -> Iterator[tuple[int, int]]:
    for first in range(start, stop, every_s):
        yield first, min(first + every_s, stop)


def _not_archived(
    store: Store, archive: Path, measurement: Measurement, tier: Tier, span: tuple[int, int]
) -> pa.Table | None:
    """Rows of a slice; None where there are none, or the archive has them all as they are."""
    rows = store.read(measurement, tier, *span)
    if not rows.num_rows:
        return None
    archived = ArchiveReader(archive).read(measurement, tier, *span)
    rows = rows.cast(archived.schema)
    together = merged(pa.concat_tables([archived, rows]), sorted(measurement.tag_names))
    return None if together.equals(archived) else rows


def _as_file(rows: pa.Table, measurement: Measurement, tier: Tier, copies: int) -> pa.Table:
    """``rows`` as files hold them. A store does not tell when a row came; that a later copy counts, it does."""
    schema = file_schema(measurement, tier)
    if tier is Tier.RAW:
        rows = rows.append_column(INGEST_MS, pa.nulls(rows.num_rows, pa.int64()))
        rows = rows.append_column(INGEST_VERSION, integers(np.full(rows.num_rows, copies)))
    return merged(rows.select(schema.names).cast(schema), row_order(measurement))
