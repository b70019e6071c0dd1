"""Taking a damaged file out of its table, when no whole copy of it can be had: what touches its time goes on then.

Order: bytes and note copied into ``<data>/damaged`` → roll-ups of that time held, days of the warehouse made due → out
of the table → audit trail. Killed anywhere, the same call again goes on: until the commit the file is live and damaged
as before, afterwards the note and the table's own log tell that it was this that took it out. Nothing is deleted but
what the copy has; putting_back.py takes it back.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from storage.archive.catalogue import Catalogue
from storage.archive.part import ArchivedPart
from storage.audit.entry import AuditKind
from storage.damaged import archive as archived
from storage.damaged import lake
from storage.damaged.case import Case, cases_kept, keep, kept
from storage.damaged.telling import tell
from storage.declaration import MEASUREMENTS, Measurement, Tier
from storage.downsample.holes import hold, make_anew, windows_made
from storage.downsample.rollup import DAY_S, window_of
from storage.downsample.touch import ROLLED_MEASUREMENTS
from storage.errors import LodelineError, NeedsHuman
from storage.lake.location import LakeLocation
from storage.lake.snapshot import Part
from storage.lake.table import LakeTable
from storage.store import Store
from storage.warehouse.remaking import make_days_due, nothing_built
from storage.warehouse.table import WarehouseTable


@dataclass(frozen=True, slots=True)
class InLake:
    """A live file of ``table``, in the lake under ``root``."""

    root: LakeLocation
    table: LakeTable
    part: Part


@dataclass(frozen=True, slots=True)
class InArchive:
    """A file that ``catalogue`` names."""

    catalogue: Catalogue
    part: ArchivedPart


Place = InLake | InArchive


@dataclass(frozen=True, slots=True)
class Done:
    """What became of it: the copy (None: there were no bytes), windows whose roll-up stays as it is, windows that the
    next roll-up makes anew, and days of facts that the next build of the warehouse does."""

    copy: Path | None
    held: int = 0
    anew: int = 0
    days: int = 0


@dataclass(frozen=True)
class Damage:
    """Looks for damaged files of a host. ``lake`` and ``archive`` are None where there is none; ``store`` is the lake
    as the store that is rolled up, None where that is InfluxDB."""

    data: Path
    host: str
    lake: LakeLocation | None
    store: Store | None
    archive: Catalogue | None
    retention_days: Mapping[str, int]

    def measurements(self) -> set[str]:
        """Names that :meth:`search` knows."""
        tables = lake.tables_of(self.lake) if self.lake is not None else ()
        return {*MEASUREMENTS, *(table.measurement.name for table in tables)}

    def search(
        self, measurement: str | None, start: int | None, stop: int | None, troubles: list[str]
    ) -> Iterator[Case | None]:
        """Read every live file back, or those of ``measurement`` and ``[start, stop)``: its case, or None where it is
        whole. ``troubles`` gets a line for what could not be read."""

        def is_asked(part: Part | ArchivedPart) -> bool:
            return (stop is None or part.first < stop) and (start is None or part.last >= start)

        known = lake.checksums(self.lake) if self.lake is not None else {}
        for table in lake.tables_of(self.lake) if self.lake is not None else ():
            if measurement in (None, table.measurement.name):
                with _noted(troubles):
                    for part in filter(is_asked, lake.live_parts(table)):
                        with _noted(troubles):
                            yield lake.case_of(table, part, known)
        if self.archive is not None:
            declared = None if measurement is None else MEASUREMENTS.get(measurement)
            if measurement is not None and declared is None:
                return
            with _noted(troubles):
                for archived_part in self.archive.parts(declared, None, start, stop):
                    with _noted(troubles):
                        yield archived.case_of(self.archive, archived_part)

    def live(self, path: str) -> Place | None:
        """The live file at ``path``; None: there is none."""
        if self.archive is not None and Path(path).is_relative_to(self.archive.root):
            parts = [part for part in self.archive.parts() if str(self.archive.path(part)) == path]
            return InArchive(self.archive, parts[0]) if parts else None
        if self.lake is not None:
            for table in lake.tables_of(self.lake):
                if path.startswith(f"{table.folder}/"):
                    found = [part for part in lake.live_parts(table) if str(part.path) == path]
                    return InLake(self.lake, table, found[0]) if found else None
        return None

    def case(self, place: Place) -> Case:
        """What is lost with the file at ``place``.

        Raises:
            NeedsHuman: it is whole.
        """
        if isinstance(place, InArchive):
            case = archived.case_of(place.catalogue, place.part)
        else:
            case = lake.case_of(place.table, place.part, lake.checksums(place.root))
        if case is None:
            raise NeedsHuman(
                "this file is whole: nothing is to be set aside", remedy="lodeline damage list names those"
            )
        return case

    def is_of_warehouse(self, place: Place) -> bool:
        """Whether the file at ``place`` is made of the tiers, so that nothing is lost with it."""
        return isinstance(place, InLake) and isinstance(place.table, WarehouseTable)

    def set_aside_by_now(self) -> list[Case]:
        """Files that were set aside and not put back, nor made anew."""
        return [case for case, _ in cases_kept(self.data) if self.is_out(case)]

    def windows(self, case: Case) -> set[int]:
        """Windows that were made of the rows of ``case`` and stay as they are."""
        if self.store is None or case.archived or (rolled := rolled_of(case)) is None:
            return set()
        return windows_made(self.store, *rolled, case.first, case.last)

    def set_aside(self, place: Place, case: Case, *, why: str, actor: str, now: int) -> Done:
        """Take the file of ``case`` out of its table; its bytes stay in ``<data>/damaged``.

        Raises:
            NeedsHuman: the disk is full, the table's log is torn, or a book of the roll-up is damaged: that file first.
            TryAgain: the disk, or an object store, does not answer, or the warehouse is being built. The same call
                again goes on.
        """
        source = place.catalogue.path(place.part) if isinstance(place, InArchive) else place.part.path
        copy = keep(self.data, case, source)
        kept_copy = copy if case.sha256 else None
        if isinstance(place, InArchive):
            place.catalogue.drop(place.part)
            done = Done(kept_copy)
        elif isinstance(place.table, WarehouseTable):
            with nothing_built(place.root):
                days = make_days_due(place.root, place.table.star, case.first, case.last)
                lake.take_out(place.table, place.part)
            done = Done(kept_copy, days=days)
        else:
            held, anew = self.windows(case), set[int]()
            if self.store is not None and (rolled := rolled_of(case)) is not None:
                hold(self.store, *rolled, held, case.path)
                anew = make_anew(self.store, *rolled, max(case.first, self._horizon(*rolled, now)), case.last)
            lake.take_out(place.table, place.part)
            done = Done(kept_copy, len(held), len(anew))
        tell(self.data, self.host, AuditKind.SET_ASIDE, case, why=why, actor=actor)
        return done

    def finish(self, path: str, *, why: str, actor: str) -> tuple[Case, Path | None]:
        """End what was killed after the commit: the case of ``path``, which is no longer live, and its copy.

        Raises:
            NeedsHuman: nobody set it aside.
        """
        found = kept(self.data, path)
        if found is None or not self.is_out(found[0]):
            raise NeedsHuman(
                f"{path} is no file that a table of the lake, or the archive, has now",
                remedy="Name one as lodeline damage list does",
            )
        tell(self.data, self.host, AuditKind.SET_ASIDE, found[0], why=why, actor=actor)
        return found[0], found[1] if found[0].sha256 else None

    def is_out(self, case: Case) -> bool:
        """Whether it was this that took the file of ``case`` out, and nobody put it back since."""
        if case.archived:
            return self.archive is not None and all(
                str(self.archive.path(part)) != case.path for part in self.archive.parts()
            )
        table = self.table(case)
        snapshot = None if table is None else table.snapshot(fresh=True)
        return snapshot is not None and lake.is_out(snapshot, Path(case.path).name)

    def table(self, case: Case) -> LakeTable | None:
        """The table of the lake that had the file of ``case``; None where it is no longer there."""
        if self.lake is None:
            return None
        return next((table for table in lake.tables_of(self.lake) if table.name == case.table), None)

    def _horizon(self, measurement: Measurement, tier: Tier, now: int) -> int:
        """From where on all rows are kept that ``tier`` is made of, as the roll-up reckons."""
        source = Tier.HOURLY if tier is Tier.DAILY else Tier.RAW
        return window_of(now - (self.retention_days[measurement.buckets[source]] - 1) * DAY_S, DAY_S)


@contextlib.contextmanager
def _noted(troubles: list[str]) -> Iterator[None]:
    """Go on behind what cannot be read, a table or a file, with a line in ``troubles``."""
    try:
        yield
    except LodelineError as error:
        troubles.append(str(error))


def rolled_of(case: Case) -> tuple[Measurement, Tier] | None:
    """Measurement and tier of ``case``; None where nothing of it is rolled up."""
    if case.tier is None or case.measurement not in ROLLED_MEASUREMENTS:
        return None
    return MEASUREMENTS[case.measurement], Tier(case.tier)
