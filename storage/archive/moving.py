"""From the lake into the archive: partitions past their retention, file by file, each safe before it leaves.

Order of every file: copied → read back → in the catalogue → out of the lake → told → marked as moved. Killed
anywhere, the next run goes on: a copy that is in the catalogue is not made again, and whether its removal was committed
is told by a transaction of the table's own log. Compaction is kept away meanwhile by the lock of the lake's upkeep.
"""

from __future__ import annotations

import contextlib
import time as clock
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from deltalake import Transaction
from deltalake.exceptions import CommitFailedError

from storage.archive.catalogue import Catalogue, period_of
from storage.archive.part import ArchivedPart, State
from storage.archive.writing import write_part
from storage.declaration import BUCKETS, Measurement, Tier
from storage.errors import LodelineError
from storage.lake.layout import DAY_S, declared_tables
from storage.lake.location import LakeLocation, locked
from storage.lake.snapshot import Part
from storage.lake.table import LakeTable


@dataclass(slots=True)
class ArchiveReport:
    """What a run moved. ``troubles``: one line per table that could not be archived, the others were."""

    files: int = 0
    rows: int = 0
    bytes_before: int = 0
    bytes_after: int = 0
    moved: list[ArchivedPart] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)

    def __or__(self, other: ArchiveReport) -> ArchiveReport:
        return ArchiveReport(
            self.files + other.files,
            self.rows + other.rows,
            self.bytes_before + other.bytes_before,
            self.bytes_after + other.bytes_after,
            [*self.moved, *other.moved],
            [*self.troubles, *other.troubles],
        )


def archived_tables(retention_days: Mapping[str, int]) -> list[tuple[Measurement, Tier]]:
    """Tables that go to the archive: all but raw payloads, which end with their retention."""
    return [
        (measurement, tier)
        for measurement, tier in declared_tables()
        if BUCKETS[measurement.buckets[tier]].in_influx and measurement.buckets[tier] in retention_days
    ]


@contextlib.contextmanager
def away_from_upkeep(lake: LakeLocation) -> Iterator[None]:
    """Wait until the lake's upkeep has ended, and keep it away.

    On an object store nothing keeps it away. A file that it rewrites while it is copied is found gone when it is to be
    taken out, and its copy goes with the next run: meanwhile its rows are read twice, and merged into once.
    """
    with locked(lake / ".maintenance.lock"):
        yield


def archive_table(
    lake: LakeLocation,
    archive: Path,
    measurement: Measurement,
    tier: Tier,
    before: int,
    *,
    compare: bool = True,
    told: Callable[[ArchivedPart], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
) -> ArchiveReport:
    """Move what of one table lies in periods that ended at or before ``before`` (Unix seconds).

    Call it inside :func:`away_from_upkeep`. ``stop`` is asked between files. ``told`` hears of every file that was
    moved, once it has left the lake and before that is noted: after a kill a second time rather than never.
    """
    report = ArchiveReport()
    table = LakeTable(lake, measurement, tier)
    catalogue = Catalogue.open(archive)
    try:
        _finish(catalogue, table, told)
        for parts in _due(table, before).values():
            if stop():
                break
            _move(catalogue, table, parts, report, told, compare=compare)
    except LodelineError as error:
        report.troubles.append(str(error))
    return report


def _due(table: LakeTable, before: int) -> dict[str, list[Part]]:
    """Files by partition, oldest first, of partitions that end by ``before``. Misplaced files wait for the upkeep."""
    snapshot = table.snapshot(fresh=True)
    due: dict[str, list[Part]] = {}
    for part in sorted(snapshot.parts if snapshot else (), key=lambda part: (part.date, part.modified_ms)):
        start, stop = period_of(part.date, table.period)
        if stop <= before and start <= part.first and part.last < stop:
            due.setdefault(part.date, []).append(part)
    return due


def _move(
    catalogue: Catalogue,
    table: LakeTable,
    parts: Sequence[Part],
    report: ArchiveReport,
    told: Callable[[ArchivedPart], None],
    *,
    compare: bool,
) -> None:
    snapshot = table.snapshot()
    version = snapshot.version if snapshot else 0
    copies = [(part, write_part(catalogue, table, part, version, compare=compare)) for part in parts]
    for part, copy in copies:
        if _take_out(table, part):
            told(copy)
            report.moved.append(catalogue.mark(copy, State.MOVED))
            report.files += 1
            report.rows += copy.rows
            report.bytes_before += part.size
            report.bytes_after += copy.bytes


def _take_out(table: LakeTable, part: Part) -> bool:
    """Remove ``part`` from the table, and say so in the table's log; False where somebody else has removed it."""

    def remove() -> bool:
        snapshot = table.opened_for_writing()
        live = [other for other in snapshot.parts if other.path == part.path]
        if not live:
            return snapshot.handle.transaction_version(_app(part.path.name)) is not None
        mark = Transaction(_app(part.path.name), 1, clock.time_ns() // 1_000_000)
        table.commit(snapshot.handle, [], live, [mark])
        return True

    try:
        return table.exclusively(remove)
    except CommitFailedError:
        return False


def _finish(catalogue: Catalogue, table: LakeTable, told: Callable[[ArchivedPart], None]) -> None:
    """Bring copies of an interrupted run to their end.

    A copy whose source is still live is taken up again by the run. One whose removal is in the log was moved. One whose
    source somebody rewrote meanwhile holds rows that are in the lake still, in another file: it goes.
    """
    copied = [part for part in catalogue.parts(table.measurement, table.tier) if part.state is State.COPIED]
    if not copied:
        return
    snapshot = table.snapshot(fresh=True)
    live = {part.path.name for part in snapshot.parts} if snapshot else set()
    for copy in copied:
        if copy.source in live:
            continue
        if snapshot is not None and snapshot.handle.transaction_version(_app(copy.source)) is not None:
            told(copy)
            catalogue.mark(copy, State.MOVED)
        else:
            catalogue.drop(copy)


def _app(source: str) -> str:
    return f"archive/{source}"


def due_before(now: int, retention_days: int) -> int:
    """Rows older than this are past their retention of ``retention_days`` at ``now`` (Unix seconds)."""
    return now - retention_days * DAY_S
