"""Checksums read back: every file of the lake about once a month, a thirtieth of them a day.

A file's name tells the hash of what was written. Of files of before, whose names do not, the first check that finds
their pages sound is what later ones are held against. What was found is kept in table ``file_checksum``.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from storage.declaration import Type
from storage.errors import LodelineError
from storage.lake import doctor
from storage.lake.damage import named_digest
from storage.lake.layout import DAY_S, declared_tables
from storage.lake.location import LakeLocation, explained, open_table
from storage.lake.meta import MetaTable
from storage.lake.snapshot import Part, live_files
from storage.lake.table import LakeTable

DAYS = 30
"""Every file is read once in so many days."""

FILE_CHECKSUM = MetaTable(
    "file_checksum",
    "files that were read back",
    ("table", "path"),
    {"bytes": Type.INTEGER, "sha256": Type.STRING, "sound": Type.BOOLEAN},
)


@dataclass(slots=True)
class ScrubReport:
    """What was read. ``damaged`` has a line per file that is not what was written, ``troubles`` one per table."""

    tables: int = 0
    files: int = 0
    bytes: int = 0
    damaged: list[str] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)


def scrub(
    root: LakeLocation,
    now: int,
    *,
    days: int = DAYS,
    others: Sequence[LakeTable] = (),
    stop: Callable[[], bool] = lambda: False,
) -> ScrubReport:
    """Let the doctor look at every table under ``root``, and read back the files whose turn is on the day of ``now``.

    ``days`` 1 reads all of them. ``others`` are looked at beside those of measurements. Nothing is changed but
    ``file_checksum``.
    """
    report = ScrubReport()
    turn = now // DAY_S % days
    checked: list[dict[str, object]] = []
    known = known_checksums(root)
    for table in (*(LakeTable(root, *declared) for declared in declared_tables()), *others):
        if stop():
            break
        try:
            if table.exists():
                with table.locked():
                    doctor.examine(table.folder, table.name)
                report.tables += 1
                snapshot = table.snapshot(fresh=True)
                parts = [] if snapshot is None else [part for part in snapshot.parts if _turn(part, days) == turn]
                checked += _check(table, parts, known, report, stop)
        except LodelineError as error:
            report.troubles.append(str(error))
    FILE_CHECKSUM.append(root, now, checked)
    return report


def known_checksums(root: LakeLocation) -> dict[tuple[object, object], str]:
    """SHA-256 of files that were found sound, by table and path in it."""
    return {(row["table"], row["path"]): str(row["sha256"]) for row in FILE_CHECKSUM.rows(root) if row["sound"]}


@dataclass(frozen=True, slots=True)
class ReadBack:
    """A file as it was read: its bytes and SHA-256, what that was to begin with (None: nobody knows, and its pages tell
    whether it ``is_sound``)."""

    bytes: int
    sha256: str
    written: str | None
    is_sound: bool

    @property
    def written_in_words(self) -> str:
        """What was written, for a sentence."""
        return f"sha256 {self.written}" if self.written else "pages with other checksums"


def read_back(table: LakeTable, part: Part, known: Mapping[tuple[object, object], str]) -> ReadBack | None:
    """Hash the file of ``part`` and hold it against its name, or against ``known`` where that tells no hash; None where
    it is missing.

    Raises:
        StoreError: the disk does not give it.
    """
    written = named_digest(part.path) or known.get((table.name, part.relative))
    with explained(f"lake table {table.name}: {part.path}", table.folder):
        try:
            content = part.path.read_bytes()
        except FileNotFoundError:
            return None
    actual = hashlib.sha256(content).hexdigest()
    is_sound = actual.startswith(written) if written else doctor.is_sound(part.path)
    return ReadBack(len(content), actual, written, is_sound)


def _turn(part: Part, days: int) -> int:
    return zlib.crc32(part.path.name.encode()) % days


def _check(
    table: LakeTable,
    parts: Sequence[Part],
    known: dict[tuple[object, object], str],
    report: ScrubReport,
    stop: Callable[[], bool],
) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    for part in parts:
        if stop():
            break
        read = read_back(table, part, known)
        if read is None:
            if _is_live(table, part):
                report.damaged.append(f"{part.path}: it is missing")
            continue
        if not read.is_sound:
            report.damaged.append(f"{part.path}: written was {read.written_in_words}, on disk is sha256 {read.sha256}")
        report.files += 1
        report.bytes += read.bytes
        row = {"table": table.name, "path": part.relative, "bytes": read.bytes, "sha256": read.sha256}
        found.append({**row, "sound": read.is_sound})
    return found


def _is_live(table: LakeTable, part: Part) -> bool:
    """False where it was merged away while this was at it."""
    return part.relative in live_files(open_table(table.folder))["path"].to_pylist()
