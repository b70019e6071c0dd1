"""What the archive holds: one small file beside the data of each period, which travels with it to any medium.

``<root>/<bucket>/<table>/date=<first day>/`` has the Parquet files of a period and ``catalogue.json``, which names them
with their hashes. A search by measurement and time reads the catalogues of those folders only. Deliberately no Delta
table: an archive is copied, split over media and read years later, and a folder of it must tell what it is by itself.
"""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from storage.archive.part import ArchivedPart, State
from storage.declaration import MEASUREMENTS, Measurement, Tier
from storage.errors import NeedsHuman
from storage.lake.disk import explained, locked, make_folder
from storage.lake.layout import Period, declared_tables, table_folder
from storage.spool.durable import replace_file

FILE_NAME = "catalogue.json"
FORMAT = 1
_LONGEST_PERIOD_S = 366 * 86_400


class _Format(msgspec.Struct, frozen=True):
    """What every release can read of a catalogue file."""

    format: int = FORMAT


class _Period(msgspec.Struct, frozen=True):
    """Content of one catalogue file."""

    parts: list[ArchivedPart]
    format: int = FORMAT


class Catalogue:
    """The catalogue of the archive under ``root``. Any number of processes may use it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @staticmethod
    def open(root: Path) -> Catalogue:
        """The catalogue under ``root``, which need not exist yet."""
        return Catalogue(root)

    def parts(
        self,
        measurement: Measurement | None = None,
        tier: Tier | None = None,
        start: int | None = None,
        stop: int | None = None,
        entity: Mapping[str, str] | None = None,
    ) -> list[ArchivedPart]:
        """Parts that can hold such rows, by table, then time, then the order in which they were archived.

        ``[start, stop)`` in Unix seconds; ``entity`` maps tags to values, of those tables that have the tags.

        Raises:
            NeedsHuman: a catalogue file is damaged.
        """
        found: list[ArchivedPart] = []
        for declared, its_tier in declared_tables():
            if (measurement is not None and declared.name != measurement.name) or (tier or its_tier) is not its_tier:
                continue
            if entity and not entity.keys() <= set(declared.tag_names):
                continue
            for folder in self._folders(declared, its_tier, start, stop):
                found += [
                    part
                    for part in _read(folder)
                    if (stop is None or part.first < stop)
                    and (start is None or part.last >= start)
                    and all(part.holds(tag, value) for tag, value in (entity or {}).items())
                ]
        return found

    def of_period(self, measurement: Measurement, tier: Tier, date: str) -> list[ArchivedPart]:
        """Parts of the period that begins on ``date``."""
        return _read(self.folder(measurement, tier, date))

    def folder(self, measurement: Measurement, tier: Tier, date: str) -> Path:
        """Folder of a period."""
        return table_folder(self.root, measurement, tier) / f"date={date}"

    def path(self, part: ArchivedPart) -> Path:
        """Where the file of ``part`` is."""
        return self.root / part.path

    def put(self, part: ArchivedPart) -> None:
        """Enter ``part``, or put it in the place of the one with the same path. Durable when it returns."""
        folder = self.folder(part.declared, part.tier, part.date)
        with self._held(folder):
            parts = [other for other in _read(folder) if other.path != part.path]
            self._write(folder, [*parts, part])

    def drop(self, part: ArchivedPart) -> None:
        """Take ``part`` out of the catalogue, then its file off the disk."""
        folder = self.folder(part.declared, part.tier, part.date)
        with self._held(folder):
            self._write(folder, [other for other in _read(folder) if other.path != part.path])
            self.path(part).unlink(missing_ok=True)

    def strays(self) -> list[Path]:
        """Files beside a catalogue that it does not name: a kill left them, on their way in or out."""
        found: list[Path] = []
        for file in sorted(self.root.rglob(FILE_NAME)):
            named = {Path(part.path).name for part in _read(file.parent)}
            found += [path for path in sorted(file.parent.glob("*.parquet")) if path.name not in named]
        return found

    def mark(self, part: ArchivedPart, state: State) -> ArchivedPart:
        """``part`` with another ``state``, entered."""
        marked = msgspec.structs.replace(part, state=state)
        self.put(marked)
        return marked

    @contextlib.contextmanager
    def _held(self, folder: Path) -> Iterator[None]:
        with explained(f"archive {folder}"):
            make_folder(folder)
            with locked(folder / ".lock"):
                yield

    def _write(self, folder: Path, parts: Sequence[ArchivedPart]) -> None:
        ordered = sorted(parts, key=lambda part: (part.order, part.path))
        replace_file(folder / FILE_NAME, msgspec.json.format(msgspec.json.encode(_Period(ordered)), indent=1))

    def _folders(self, measurement: Measurement, tier: Tier, start: int | None, stop: int | None) -> list[Path]:
        folder = table_folder(self.root, measurement, tier)
        try:
            names = sorted(path.name for path in folder.iterdir() if path.name.startswith("date="))
        except FileNotFoundError:
            return []
        begins = [(name, _unix_s(name.removeprefix("date="))) for name in names]
        return [
            folder / name
            for name, begin in begins
            if (stop is None or begin < stop) and (start is None or begin + _LONGEST_PERIOD_S > start)
        ]


def entry_of(path: Path) -> ArchivedPart | None:
    """What the catalogue beside the file ``path`` says of it; None where there is none, or it says nothing.

    Raises:
        NeedsHuman: the catalogue file is damaged.
    """
    return next((part for part in _read(path.parent) if Path(part.path).name == path.name), None)


def measurement_named(name: str) -> Measurement:
    """The measurement called ``name``.

    Raises:
        NeedsHuman: there is none.
    """
    if name not in MEASUREMENTS:
        raise NeedsHuman(f"There is no measurement {name!r}", remedy="docs/data-dictionary.md lists them")
    return MEASUREMENTS[name]


def period_of(date: str, period: Period) -> tuple[int, int]:
    """``[start, stop)`` of the ``period`` that begins on ``date``, in Unix seconds."""
    return period.window(_unix_s(date))


def _read(folder: Path) -> list[ArchivedPart]:
    path = folder / FILE_NAME
    try:
        content = path.read_bytes()
        told = msgspec.json.decode(content, type=_Format).format
        if told != FORMAT:
            raise NeedsHuman(
                f"archive: {path} has format {told}, this release knows {FORMAT}",
                remedy="Go on with the release that wrote it, or a newer one",
            )
        return msgspec.json.decode(content, type=_Period).parts
    except FileNotFoundError:
        return []
    except (OSError, msgspec.DecodeError) as error:
        raise NeedsHuman(
            f"archive: {path} cannot be read: {error}",
            remedy="Restore it from a copy of the archive; the Parquet files beside it are whole without it",
        ) from error


def _unix_s(date: str) -> int:
    return int(datetime.datetime.fromisoformat(date).replace(tzinfo=datetime.UTC).timestamp())
