"""Out of the archive: files that hold the entity are written anew without it, and the catalogue with them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from storage.archive.catalogue import Catalogue
from storage.archive.part import ArchivedPart
from storage.archive.writing import fault_of, pieces_of, rewrite_part
from storage.erasure.entity import Entity
from storage.erasure.rows import Scrubbed, scrub_table
from storage.errors import NeedsHuman


@dataclass(slots=True)
class ArchiveErased:
    """What was done. Files without a row left are deleted."""

    rows: int = 0
    redacted: int = 0
    files_rewritten: int = 0
    files_deleted: int = 0


def erase_from_archive(root: Path, entity: Entity) -> ArchiveErased:
    """Take ``entity`` out of every archived file under ``root``. Killed anywhere, the same call again finishes. Nobody
    else may write there meanwhile: what no catalogue names goes, since it may hold the entity.

    A file is read twice, to tell whether it holds any and to write it anew, and held a group of rows at a time.

    Raises:
        NeedsHuman: a file is damaged; what it holds cannot be told, so it is named and left.
    """
    done = ArchiveErased()
    catalogue = Catalogue.open(root)
    for part in catalogue.parts():
        if not entity.wants(part.declared) or not _may_hold(part, entity):
            continue
        path = catalogue.path(part)
        fault = fault_of(path, part)
        if fault is not None:
            raise NeedsHuman(
                f"archive: {fault}", remedy="Put a whole copy in its place, or delete file and entry, and erase again"
            )
        if not any(_scrubbed(piece, part, entity).kept is not None for piece in pieces_of(path)):
            continue
        entered = rewrite_part(catalogue, part, _without(path, part, entity, done))
        if entered is part:
            done.files_deleted += 1
        else:
            done.files_rewritten += 1
    for leftover in (*root.rglob(".*.parquet.new"), *catalogue.strays()):  # of runs that were killed
        leftover.unlink()
    return done


def _without(path: Path, part: ArchivedPart, entity: Entity, done: ArchiveErased) -> Iterator[pa.Table]:
    """The rows of a file less those of ``entity``, a group at a time; counted in ``done``."""
    for piece in pieces_of(path):
        scrubbed = _scrubbed(piece, part, entity)
        done.rows += scrubbed.removed
        done.redacted += scrubbed.redacted
        yield piece if scrubbed.kept is None else scrubbed.kept


def _scrubbed(piece: pa.Table, part: ArchivedPart, entity: Entity) -> Scrubbed:
    return scrub_table(piece, part.declared.tag_names, part.tier, entity)


def _may_hold(part: ArchivedPart, entity: Entity) -> bool:
    start, stop = entity.span(part.tier)
    if part.first >= stop or part.last < start:
        return False
    return entity.word is not None or all(part.holds(tag, value) for tag, value in entity.tags.items())
