"""Upkeep of the whole lake, meant to run every hour at ten past: merge, delete what nobody reads, checkpoint, tidy.

Every step may be killed and run again; two runs at once are harmless, the second gives way.
"""

from __future__ import annotations

import re
import time as clock
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from deltalake import CommitProperties

from storage.errors import LodelineError, NeedsHuman
from storage.lake.compaction import compact
from storage.lake.history import checkpoint
from storage.lake.layout import DAY_S, Layout, declared_tables
from storage.lake.location import LakeLocation, locked_if_free, open_table, require_usable
from storage.lake.registry import SCHEMA_REGISTRY, Registry, SchemaVersion
from storage.lake.scrub import FILE_CHECKSUM
from storage.lake.snapshot import Part
from storage.lake.table import NO_HOOKS, LakeTable
from storage.progress import told
from storage.retention_settings import TableRetention

VACUUM_HOURS = 24
"""Removed files stay this long: readers that opened the table before still need them."""

_LINK_LEFTOVER = re.compile(r"\d{20}\.json#\d+")


@dataclass(slots=True)
class MaintenanceReport:
    """What one run did. ``schemas`` are those that were new; ``troubles`` has one line per table that could not be
    kept; the others were.

    ``skipped`` says that another process was at it.
    """

    tables: int = 0
    schemas: list[SchemaVersion] = field(default_factory=list)
    layouts_changed: int = 0
    files_merged: int = 0
    files_expired: int = 0
    files_deleted: int = 0
    checkpoints: int = 0
    troubles: list[str] = field(default_factory=list)
    skipped: bool = False


def maintain(
    root: LakeLocation,
    now: int,
    *,
    retention_days: Mapping[str, int] | None = None,
    tables: Mapping[str, TableRetention] | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> MaintenanceReport:
    """Keep every table under ``root`` in shape as of ``now`` (Unix seconds). ``stop`` is asked between steps.

    ``retention_days`` by bucket: of these, files go whose rows are all older. Give only buckets that nobody archives.
    ``tables`` by bucket says how files are split, sorted and compressed; without it tables stay as they are.
    """
    report = MaintenanceReport()
    require_usable(root)
    with locked_if_free(root / ".maintenance.lock") as ours:
        if not ours:
            report.skipped = True
            return report
        registry = Registry(root)
        everything = (*(LakeTable(root, *declared) for declared in declared_tables()), *_own_tables(root))
        for number, table in enumerate(everything):
            if stop():
                break
            told(number, len(everything), table.measurement.stored_name(table.tier))
            bucket = table.measurement.buckets.get(table.tier)
            try:
                if not table.exists():
                    continue
                if bucket is not None:
                    report.tables += 1
                    report.schemas += registry.register(table, _parts(table))
                    if tables is not None:
                        asked = Layout.of(table.measurement, table.tier, tables[bucket])
                        report.layouts_changed += table.lay_out(asked)
                    if retention_days is not None and bucket in retention_days:
                        report.files_expired += expire(table, now - retention_days[bucket] * DAY_S)
                report.files_merged += compact(table, now, stop=stop, leave=registry.newer(table))
                report.files_deleted += len(vacuum(table, full=_is_weekly(now)))
                report.checkpoints += checkpoint(table)
                _sweep(table)
            except LodelineError as error:
                report.troubles.append(str(error))
    return report


def _own_tables(root: LakeLocation) -> list[LakeTable]:
    return [SCHEMA_REGISTRY.of(root), FILE_CHECKSUM.of(root)]


def _parts(table: LakeTable) -> Sequence[Part]:
    snapshot = table.snapshot()
    return () if snapshot is None else snapshot.parts


def expire(table: LakeTable, before: int) -> int:
    """Take the files out of ``table`` that hold nothing from ``before`` (Unix seconds) on; their number.

    A file goes whole or not at all, so rows stay up to the length of a partition longer.
    """
    snapshot = table.snapshot()
    if snapshot is None or all(part.last >= before for part in snapshot.parts):
        return 0

    def take_out() -> int:
        snapshot = table.opened_for_writing()
        old = [part for part in snapshot.parts if part.last < before]
        if old:
            table.commit(snapshot.handle, [], old)
        return len(old)

    return table.exclusively(take_out)


def _is_weekly(now: int) -> bool:
    """Sundays in the fourth hour UTC: the run that also looks for files that killed writers left."""
    then = clock.gmtime(now)
    return (then.tm_wday, then.tm_hour) == (6, 3)


def vacuum(table: LakeTable, *, hours: int = VACUUM_HOURS, full: bool = False) -> list[str]:
    """Delete files that were removed from the table at least ``hours`` ago; their paths.

    ``full`` also deletes files that no commit ever named, left by killed writers, and any foreign file.

    Raises:
        NeedsHuman: ``hours`` is less than 24. A younger file may belong to a reader, or to a commit under way: a full
            vacuum of 0 hours destroys the table (reference/lake.md 3).
    """
    if hours < VACUUM_HOURS:
        raise NeedsHuman(
            f"lake table {table.name}: vacuum of {hours} h refused", remedy=f"Ask for {VACUUM_HOURS} h or more"
        )

    def clean() -> list[str]:
        handle = open_table(table.folder)

        def deleted(*, dry_run: bool) -> list[str]:
            return handle.vacuum(
                retention_hours=hours,
                dry_run=dry_run,
                enforce_retention_duration=False,  # the table remembers removed files longer, see table.PROPERTIES
                commit_properties=CommitProperties(max_commit_retries=0),
                post_commithook_properties=NO_HOOKS,
                full=full,
            )

        if not deleted(dry_run=True):
            return []  # a vacuum that finds nothing would still write two commits
        before = handle.version()
        paths = deleted(dry_run=False)
        table.make_durable(before)
        return paths

    return table.exclusively(clean)


def _sweep(table: LakeTable) -> None:
    """Delete what killed commits left in the log on a disk: no vacuum ever lists it (reference/lake.md 2.1)."""
    if not isinstance(table.folder, Path):
        return
    day_ago = clock.time() - VACUUM_HOURS * 3600
    for path in (table.folder / "_delta_log").iterdir():
        if _LINK_LEFTOVER.fullmatch(path.name) and path.stat().st_mtime < day_ago:
            path.unlink(missing_ok=True)
