"""What a host has to archive now, table by table: out of its lake, or, where it has none, out of InfluxDB."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from storage.archive.copying import Schedule, copy_table
from storage.archive.moving import ArchiveReport, archive_table, archived_tables, away_from_upkeep, due_before
from storage.declaration import Measurement, Tier
from storage.lake.disk import explained, locked
from storage.opening import lake_location, open_store
from storage.retention_settings import RetentionSettings
from storage.settings import StorageSettings

Stop = Callable[[], bool]
Job = tuple[str, Callable[[Stop], ArchiveReport]]
"""A table's name, and what archives it. Asked between files or periods, ``Stop`` says whether to leave the rest."""


@contextlib.contextmanager
def due_work(storage: StorageSettings, archive: Path, retention: RetentionSettings, now: int) -> Iterator[list[Job]]:
    """What to do as of ``now`` (Unix seconds), in any order or side by side, while in here.

    Waits until another run into the same archive, and the upkeep of the lake, have ended.
    """
    with explained(f"archive {archive}"), locked(archive / ".lock"):
        if storage.lake.enabled:
            with away_from_upkeep(lake_location(storage)):
                yield _out_of_lake(storage, archive, retention, now)
        else:
            yield _out_of_store(storage, archive, retention, now)


def _out_of_lake(storage: StorageSettings, archive: Path, retention: RetentionSettings, now: int) -> list[Job]:
    days, lake, compare = retention.bucket_days(), lake_location(storage), retention.archiving.verification_enabled

    def work(measurement: Measurement, tier: Tier, stop: Stop) -> ArchiveReport:
        before = due_before(now, days[measurement.buckets[tier]])
        return archive_table(lake, archive, measurement, tier, before, compare=compare, stop=stop)

    return [(f"{table.name} {tier}", partial(work, table, tier)) for table, tier in archived_tables(days)]


def _out_of_store(storage: StorageSettings, archive: Path, retention: RetentionSettings, now: int) -> list[Job]:
    days, compare = retention.bucket_days(), retention.archiving.verification_enabled
    schedule = Schedule(retention.archiving.schedule, retention.general.timezone, now)

    def work(measurement: Measurement, tier: Tier, stop: Stop) -> ArchiveReport:
        span = schedule.days_due(measurement.buckets[tier], days[measurement.buckets[tier]])
        store = open_store(storage)
        try:
            return copy_table(store, archive, measurement, tier, span, compare=compare, stop=stop)
        finally:
            store.close()

    tables = archived_tables(days)
    buckets = dict.fromkeys(table.buckets[tier] for table, tier in tables)
    troubles = [trouble for bucket in buckets if (trouble := schedule.trouble(bucket, days[bucket])) is not None]
    return [
        ("archiving.schedule", lambda _: ArchiveReport(troubles=troubles)),
        *((f"{table.name} {tier}", partial(work, table, tier)) for table, tier in tables),
    ]
