"""Putting back what was set aside: the rows of a whole copy into their table, or the damaged file as it was.

Rows that were erased since do not come again. Order: rows in the table → windows that were held for them let go and
made due → audit trail → copy and note deleted. Killed anywhere, the same call again goes on.
"""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pyarrow as pa

from storage.archive.part import ArchivedPart, State
from storage.archive.writing import pieces_of, rewrite_part, sha256_of
from storage.audit.entry import AuditKind
from storage.damaged import lake
from storage.damaged.case import Case, cases_kept, drop, kept
from storage.damaged.setting_aside import Damage, rolled_of
from storage.damaged.telling import last_told, tell
from storage.declaration import Measurement
from storage.downsample.holes import let_go, make_due
from storage.erasure.rows import compacted
from storage.erasure.tombstones import Tombstones
from storage.errors import NeedsHuman
from storage.features.views import VIEWS
from storage.lake import doctor
from storage.lake.damage import damage_named
from storage.lake.disk import explained, sync
from storage.lake.parquet import read_rows
from storage.lake.table import LakeTable
from storage.warehouse.table import WarehouseTable


@dataclass(frozen=True, slots=True)
class Back:
    """What became of it: the case (None: it was back already), whether its rows are whole, windows whose roll-up is no
    longer held, and windows that the next roll-up does."""

    case: Case | None
    is_whole: bool = True
    released: int = 0
    due: int = 0


def put_back(
    damage: Damage, path: str, *, why: str, actor: str, copy: Path | None = None, as_it_is: bool = False
) -> Back:
    """Put the file that was at ``path`` back: ``copy``, else what was kept of it, if that is what was written.

    With ``as_it_is`` the bytes that were kept go back to their place where there are no whole ones: the table is as it
    was before, and damaged.

    Raises:
        NeedsHuman: nothing of it was set aside, there are no whole bytes of it, or it is made anew by others.
        TryAgain: the disk, or an object store, does not answer. The same call again goes on.
    """
    found = kept(damage.data, path)
    if found is None:
        if last_told(damage.data, damage.host, path) is AuditKind.PUT_BACK:
            return Back(None)
        raise NeedsHuman(
            f"{path} was not set aside here", remedy="lodeline damage list names at its end what was, with its path"
        )
    case, bytes_kept = found
    candidates = [copy] if copy is not None else [bytes_kept]
    if copy is not None and not copy.is_file():
        raise NeedsHuman(f"there is no file {copy}", remedy="Name a whole copy of what was set aside")
    if case.archived:
        back = Back(case, _into_archive(damage, case, candidates, as_it_is=as_it_is))
    else:
        back = _into_lake(damage, case, candidates, as_it_is=as_it_is)
    tell(damage.data, damage.host, AuditKind.PUT_BACK, case, why=why, actor=actor)
    drop(bytes_kept)
    return back


def _into_lake(damage: Damage, case: Case, candidates: Sequence[Path], *, as_it_is: bool) -> Back:
    table = damage.table(case)
    if table is None:
        raise NeedsHuman(f"there is no table {case.table}", remedy="It was moved away; put it in its place first")
    if isinstance(table, WarehouseTable):
        raise NeedsHuman(
            f"{case.table} is made of the tiers", remedy="Its next build makes these days anew: delete the copy"
        )
    name = Path(case.path).name
    snapshot = table.snapshot(fresh=True)
    is_back = snapshot is not None and lake.was_put_back(snapshot, name)
    if not is_back and not damage.is_out(case):
        raise NeedsHuman(f"{case.path} was not set aside", remedy="Its table has it, or has merged it into another")
    whole = _whole(case, candidates)
    if is_back:
        pass  # killed behind the commit
    elif whole is not None:
        with damage_named(whole):
            rows = read_rows(whole, table.schema)
        lake.put_rows(table, name, _without_erased(damage, table, rows))
    else:
        _refuse_unless(as_it_is, case, candidates)
        _refuse_what_may_be_erased(damage, case, candidates[0])
        lake.put_file(table, case, pa.py_buffer(candidates[0].read_bytes()))
    rolled = rolled_of(case)
    if damage.store is None or rolled is None:
        return Back(case, whole is not None)
    others = [
        (other.first, other.last, other.path)
        for other, _ in cases_kept(damage.data)
        if other.table == case.table and other.path != case.path and not other.archived and damage.is_out(other)
    ]
    span = case.first, case.last
    released = let_go(damage.store, *rolled, span, others)
    due = make_due(damage.store, *rolled, span, damage.host) if whole is not None else 0
    return Back(case, whole is not None, len(released), due)


def _into_archive(damage: Damage, case: Case, candidates: Sequence[Path], *, as_it_is: bool) -> bool:
    """Whether what is back is whole."""
    catalogue, entry = damage.archive, case.entry
    if catalogue is None or entry is None:
        raise NeedsHuman(
            f"{case.path} is of an archive, and {'there is none' if catalogue is None else 'its entry was not kept'}",
            remedy="Restore its folder from a copy of the archive, or set general.archive_base_path",
        )
    whole = _whole(case, candidates)
    if not damage.is_out(case):
        return whole is not None  # killed behind the entry
    if whole is None:
        _refuse_unless(as_it_is, case, candidates)
        _refuse_what_may_be_erased(damage, case, candidates[0])
    target = catalogue.path(entry)
    with explained(f"archive {target}"):
        draft = target.with_name(f".{target.name}.new")
        shutil.copyfile(whole or candidates[0], draft)
        sync(draft)
        draft.replace(target)
        sync(target.parent)
    if whole is None:
        catalogue.put(msgspec.structs.replace(entry, state=State.DAMAGED))
        return False
    if entry.state is State.DAMAGED:
        entry = msgspec.structs.replace(entry, state=State.MOVED)
    tombstones = Tombstones(damage.data)
    if any(tombstones.without_erased_rows(entry.declared, piece) is not piece for piece in pieces_of(target)):
        rewrite_part(catalogue, entry, _pieces_without_erased(tombstones, entry, target))
    else:
        catalogue.put(entry)
    return True


def _pieces_without_erased(tombstones: Tombstones, entry: ArchivedPart, path: Path) -> Iterator[pa.Table]:
    for piece in pieces_of(path):
        yield compacted(tombstones.without_erased_rows(entry.declared, piece))


def _whole(case: Case, candidates: Sequence[Path]) -> Path | None:
    """The first of ``candidates`` that is what was written; of a file without a known hash, one with sound pages."""
    for path in candidates:
        with contextlib.suppress(FileNotFoundError):
            is_written = case.is_written(sha256_of(path))
            if is_written or (is_written is None and doctor.is_sound(path)):
                return path
    return None


def _refuse_unless(as_it_is: bool, case: Case, candidates: Sequence[Path]) -> None:
    there = [path for path in candidates if path.is_file()]
    if not there:
        raise NeedsHuman(f"there were no bytes of {case.path} to keep", remedy="Name a whole copy of it: --copy COPY")
    if not as_it_is:
        raise NeedsHuman(
            f"{there[0]} is not what was written ({case.written})",
            remedy="Name a whole copy: --copy COPY. Or give --as-it-is, and the table has the damaged file again",
        )


def _refuse_what_may_be_erased(damage: Damage, case: Case, copy: Path) -> None:
    """Bytes that cannot be read may hold what was erased after they were kept."""
    since = copy.stat().st_mtime
    for erased in Tombstones(damage.data).cases():
        if erased.began_s >= int(since) and erased.start <= case.last and case.first < erased.stop:
            raise NeedsHuman(
                f"{copy} may hold what erasure {erased.number} took, which cannot be told of damaged bytes",
                remedy="Leave it set aside, or name a whole copy",
            )


def _without_erased(damage: Damage, table: LakeTable, rows: pa.Table) -> pa.Table:
    left = Tombstones(damage.data).without_erased_rows(_measured(table), rows)
    return rows if left is rows else compacted(left)


def _measured(table: LakeTable) -> Measurement:
    """The measurement by whose name rows of ``table`` were erased: of features the one that they are made of."""
    for view in VIEWS.values():
        if view.stored_name == table.measurement.name:
            return dataclasses.replace(table.measurement, name=view.measurement.name)
    return table.measurement
