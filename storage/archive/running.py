"""What a host has to archive now, table by table: out of its lake, or, where it has none, out of InfluxDB. The audit
trail is told of every file as it is moved."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from storage.archive.copying import Schedule, copy_table
from storage.archive.moving import ArchiveReport, archive_table, archived_tables, away_from_upkeep, due_before
from storage.archive.part import ArchivedPart
from storage.audit.entry import AuditKind, Detail
from storage.audit.trail import Trail
from storage.declaration import Measurement, Tier
from storage.lake.disk import explained, locked
from storage.opening import lake_location, open_store
from storage.retention_settings import RetentionSettings
from storage.settings import StorageSettings

Stop = Callable[[], bool]
Job = tuple[str, Callable[[Stop], ArchiveReport]]
"""A table's name, and what archives it. Asked between files or periods, ``Stop`` says whether to leave the rest."""


Told = Callable[[ArchivedPart], None]


@contextlib.contextmanager
def due_work(
    storage: StorageSettings, archive: Path, retention: RetentionSettings, now: int, *, host: str, actor: str
) -> Iterator[list[Job]]:
    """What to do as of ``now`` (Unix seconds), in any order or side by side, while in here; told to the audit trail of
    ``host`` as done by ``actor``.

    Waits until another run into the same archive, and the upkeep of the lake, have ended.
    """
    trail = Trail.open(storage.data_directory, host)

    def told(part: ArchivedPart) -> None:
        detail: dict[str, Detail] = {
            "rows": part.rows,
            "bytes": part.bytes,
            "sha256": part.sha256,
            "first": part.first,
            "last": part.last,
        }
        trail.record(AuditKind.ARCHIVED, part.path, actor=actor, detail=detail)

    with explained(f"archive {archive}"), locked(archive / ".lock"):
        if storage.lake.enabled:
            with away_from_upkeep(lake_location(storage)):
                yield _out_of_lake(storage, archive, retention, now, told)
        else:
            yield _out_of_store(storage, archive, retention, now, told)


def _out_of_lake(
    storage: StorageSettings, archive: Path, retention: RetentionSettings, now: int, told: Told
) -> list[Job]:
    days, lake, compare = retention.bucket_days(), lake_location(storage), retention.archiving.verification_enabled

    def work(measurement: Measurement, tier: Tier, stop: Stop) -> ArchiveReport:
        before = due_before(now, days[measurement.buckets[tier]])
        return archive_table(lake, archive, measurement, tier, before, compare=compare, told=told, stop=stop)

    return [(f"{table.name} {tier}", partial(work, table, tier)) for table, tier in archived_tables(days)]


def _out_of_store(
    storage: StorageSettings, archive: Path, retention: RetentionSettings, now: int, told: Told
) -> list[Job]:
    days, compare = retention.bucket_days(), retention.archiving.verification_enabled
    schedule = Schedule(retention.archiving.schedule, retention.general.timezone, now)

    def work(measurement: Measurement, tier: Tier, stop: Stop) -> ArchiveReport:
        span = schedule.days_due(measurement.buckets[tier], days[measurement.buckets[tier]])
        store = open_store(storage)
        try:
            return copy_table(store, archive, measurement, tier, span, compare=compare, told=told, stop=stop)
        finally:
            store.close()

    tables = archived_tables(days)
    buckets = dict.fromkeys(table.buckets[tier] for table, tier in tables)
    troubles = [trouble for bucket in buckets if (trouble := schedule.trouble(bucket, days[bucket])) is not None]
    return [
        ("archiving.schedule", lambda _: ArchiveReport(troubles=troubles)),
        *((f"{table.name} {tier}", partial(work, table, tier)) for table, tier in tables),
    ]
