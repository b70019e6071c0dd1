"""The moment of which a set is: what must fit together is taken in an order that leaves no hole and nothing twice.

1. The marks of the spool, first: what a mark says is stored is in the lake by then. With them what the spool has, for
   it is deleted when it is delivered.
2. The version of every table of the lake, all at one time: every table's lock is held while the logs are listed, some
   milliseconds. No book of the lake knows of rows that the set lacks.
3. The files of those versions, while the lake's upkeep and the archive are kept away.
4. The rest of the spool: it ends behind everything that the lake has, so its next record is new to every table.

Put back, delivery goes on at the marks. What the lake has beyond them it knows by the lane's sequence, and drops.
What changes under our hands all the same, by an erasure or by a lane that is delivered faster than it is copied, makes
the moment begin anew.
"""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from storage.backup.copying import Copier, MovedOn, Place, copied_tree, is_passing
from storage.lake.disk import locked
from storage.spool.mark import mark_path, marks_of
from storage.spool.segment import LANE_ID, Stored, scan, segments_of

UPKEEP_LOCK = ".maintenance.lock"
_LOG = "_delta_log"
_NUMBERED = re.compile(r"(\d{20})\.(json|checkpoint\.parquet)")


@dataclass(frozen=True, slots=True)
class Moment:
    """What was taken: versions of tables, and last records of lanes."""

    tables: dict[str, int]
    lanes: dict[str, int]


def take_moment(copier: Copier, spool: Place, lake: Place | None, archive: Place | None) -> Moment:
    """Copy lake, archive and spool as of one moment.

    Raises:
        MovedOn: something was removed before it was copied; the same call again has less to copy, so it is faster.
        OSError: a disk fails or is full.
    """
    with contextlib.ExitStack() as upkeep:
        if archive is not None and os.access(archive.source, os.W_OK):
            upkeep.enter_context(locked(archive.source / ".lock"))  # before the lake's, as who archives takes them
        if lake is not None:
            upkeep.enter_context(locked(lake.source / UPKEEP_LOCK))
        marks = {lane: _marks(lane) for lane in _lanes(spool.source)}
        for lane, stands in marks.items():
            _copy_begin(copier, spool.below(lane.name), stands)
        versions = {} if lake is None else _versions(lake.source)
        if lake is not None:
            _copy_lake(copier, lake, versions)
        if archive is not None:
            copied_tree(copier, archive)
    lanes = {lane.name: _copy_rest(copier, spool.below(lane.name)) for lane in _lanes(spool.source)}
    return Moment(
        {table.relative_to(lake.source).as_posix(): n for table, n in versions.items()} if lake else {}, lanes
    )


def _lanes(spool: Path) -> list[Path]:
    return sorted(path for path in spool.iterdir() if segments_of(path)) if spool.is_dir() else []


def _marks(lane: Path) -> dict[str, tuple[int, bytes]]:
    """Content of each mark, and the record it stands at."""
    found = {}
    for sink, mark in marks_of(lane).items():
        with contextlib.suppress(FileNotFoundError):
            found[mark_path(lane, sink).name] = (mark.sequence, mark_path(lane, sink).read_bytes())
    return found


def tables_in(lake: Path) -> list[Path]:
    """Folders of all tables under ``lake``, by path."""
    found = []
    for folder, below, _ in os.walk(lake):
        if _LOG in below:
            found.append(Path(folder))
            below.clear()
        below[:] = [name for name in below if not name.startswith(".")]
    return sorted(found)


def _versions(lake: Path) -> dict[Path, int]:
    """The newest version of every table, all as of one time."""
    while True:
        tables = tables_in(lake)
        with contextlib.ExitStack() as held:
            for table in tables:
                held.enter_context(locked(table.parent / f".{table.name}.lock"))
            if tables_in(lake) == tables:
                found = {table: _newest(table / _LOG) for table in tables}
                return {table: version for table, version in found.items() if version is not None}


def _newest(log: Path) -> int | None:
    numbers = (_NUMBERED.fullmatch(name) for name in os.listdir(log))
    return max((int(match[1]) for match in numbers if match and match[2] == "json"), default=None)


def _copy_lake(copier: Copier, lake: Place, versions: dict[Path, int]) -> None:
    def is_later(path: Path) -> bool:
        """Of a version after the moment, or of a table that began after it."""
        match = _NUMBERED.fullmatch(path.name)
        if path.parent.name != _LOG or match is None:
            return False
        version = versions.get(path.parent.parent)
        return version is None or int(match[1]) > version

    copied_tree(copier, lake, leave=is_later)


def _copy_begin(copier: Copier, lane: Place, marks: dict[str, tuple[int, bytes]]) -> None:
    """Copy the segments that are there, with the marks of before."""
    begins = _copy_segments(copier, lane)[0]
    late = [name for name, (sequence, _) in marks.items() if begins > sequence + 1]
    if late:
        raise MovedOn(f"{lane.source} was delivered faster than it was copied ({', '.join(late)})")
    for name, (_, content) in marks.items():
        copier.put(f"{lane.target}/{name}", content)


def _copy_rest(copier: Copier, lane: Place) -> int:
    """Copy what came since, up to the last intact record, whose sequence is the answer."""
    had = [int(Path(path).name.partition("-")[0]) for path in copier.taken
           if path.startswith(f"{lane.target}/") and path.endswith(".spool")]  # fmt: skip
    begins, last = _copy_segments(copier, lane)
    if had and begins > max(had):
        raise MovedOn(f"{lane.source} was delivered faster than it was copied")
    for path in sorted(lane.source.rglob("*")):
        is_known = path.suffix == ".spool" or path.name.startswith("mark.")
        if path.is_file() and not is_known and not is_passing(path):
            copier.copy(path, f"{lane.target}/{path.relative_to(lane.source).as_posix()}")
    if f"{lane.target}/{LANE_ID}" not in copier.taken:
        raise MovedOn(f"{lane.source} is being made")
    return last


def _copy_segments(copier: Copier, lane: Place) -> tuple[int, int]:
    """First and last record of what is there now; of the newest segment all whole records are copied."""
    segments = segments_of(lane.source)
    if not segments:
        raise MovedOn(f"{lane.source} was removed")
    *full, newest = segments
    for segment in full:
        copier.copy(segment.path, f"{lane.target}/{segment.path.name}")
    end, last = _end(newest.path, newest.first_sequence - 1)
    copier.copy(newest.path, f"{lane.target}/{newest.path.name}", up_to=end)
    return segments[0].first_sequence, last


def _end(segment: Path, before: int) -> tuple[int, int]:
    """Where the last intact record ends, and its sequence: what follows is being written."""
    end, last = 0, before
    try:
        for found in scan(segment):
            if isinstance(found, Stored):
                end, last = found.end, found.header.sequence
            elif not found.at_end:
                end = found.end  # damaged in the middle, which the copy keeps
    except FileNotFoundError:
        raise MovedOn(f"{segment} was delivered before it was copied") from None
    return end, last
