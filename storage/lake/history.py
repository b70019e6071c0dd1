"""How far back a table can be read, and reading it so: the log keeps a day of commits on two or three checkpoints.

An undo, not an archive: what was removed from a table is deleted after a day as well (maintenance.VACUUM_HOURS). Kept
are the commits of the last day, a checkpoint of where they begin, the newest one, from which the table is opened, and
the one before it, which somebody may be opening. Those in between are as large and serve nobody: with them a day of
one-minute commits would be 3.4 MB a table instead of 1.9.
"""

from __future__ import annotations

import datetime
import itertools
import re
import time as clock
from pathlib import Path
from typing import cast

from storage.errors import NeedsHuman
from storage.lake import doctor
from storage.lake.layout import Place
from storage.lake.location import explained, open_table, sizes, sync
from storage.lake.snapshot import Snapshot
from storage.lake.table import LakeTable

UNDO_HOURS = 24
"""Every version of the last so many hours can be read."""

COMMITS_BEFORE_CHECKPOINT = 20

_NUMBERED = re.compile(r"(\d{20})\.(json|checkpoint\.parquet)")


def checkpoint(table: LakeTable) -> bool:
    """Make a durable checkpoint and drop what the log no longer needs, once enough commits have gathered; whether so.

    Checkpoints are fsynced and read back by the doctor before any commit that they stand for is deleted.
    """
    log = table.folder / "_delta_log"
    with table.locked(), table.failures():
        handle = open_table(table.folder)
        version, before = handle.version(), doctor.newest_checkpoint(log)
        if version - before < COMMITS_BEFORE_CHECKPOINT:
            return False
        first = _first_needed(log) if isinstance(log, Path) else None
        if first and first < before and not _checkpoint_path(log, first).exists():
            open_table(table.folder, first).create_checkpoint()
            sync(_checkpoint_path(log, first))
        handle.create_checkpoint()
        sync(_checkpoint_path(log, version))
        sync(log / "_last_checkpoint")
        sync(log)
        doctor.examine(table.folder, table.name)
        if not isinstance(log, Path):
            open_table(table.folder).cleanup_metadata()  # by the table's own delta.logRetentionDuration
        elif first is not None:
            _drop(log, first, {first, before, version})
        return True


def _first_needed(log: Path) -> int:
    """The version that the table had so many hours ago; the first of its log where that begins later."""
    cutoff = clock.time() - UNDO_HOURS * 3600
    kept = sorted((int(path.stem), path) for path in log.glob("*.json") if _NUMBERED.fullmatch(path.name))
    old = [version for version, path in itertools.takewhile(lambda one: one[1].stat().st_mtime <= cutoff, kept)]
    return old[-1] if old else kept[0][0]


def _drop(log: Path, first: int, checkpoints: set[int]) -> None:
    for path in sorted(log.iterdir()):
        match = _NUMBERED.fullmatch(path.name)
        if match and (int(match[1]) < first if match[2] == "json" else int(match[1]) not in checkpoints):
            path.unlink(missing_ok=True)
    sync(log)


def _checkpoint_path(log: Place, version: int) -> Place:
    return cast("Place", log / f"{version:020}.checkpoint.parquet")


def snapshot_as_of(table: LakeTable, time: int) -> Snapshot | None:
    """The version that ``table`` had at ``time`` (Unix seconds); None where it did not exist yet.

    Raises:
        NeedsHuman: that is further back than the table can be read.
    """
    if table.snapshot() is None:  # the doctor has looked
        return None
    with explained(f"lake table {table.name}", table.folder), table.failures():
        committed = sorted((entry["version"], entry["timestamp"]) for entry in open_table(table.folder).history())
        version = max((number for number, milliseconds in committed if milliseconds <= time * 1000), default=None)
        oldest, since_ms = committed[0]
        if version is None and oldest == 0:
            return None
        if version is not None:
            snapshot = Snapshot.of(table.folder, table.measurement.tag_names, version)
            if None not in sizes(table.folder, [part.path for part in snapshot.parts]):
                return snapshot
    raise NeedsHuman(
        f"lake table {table.name} cannot be read as of {_moment(time)}: "
        + (f"its log begins at {_moment(since_ms // 1000)}" if version is None else "files of then are deleted"),
        remedy=f"Ask for a moment of the last {UNDO_HOURS} hours; what an erasure took is gone from before as well",
    )


def _moment(time: int) -> str:
    return f"{datetime.datetime.fromtimestamp(time, datetime.UTC):%Y-%m-%dT%H:%M:%SZ}"
