"""Damaged files of the archive."""

from __future__ import annotations

from storage.archive.catalogue import Catalogue
from storage.archive.part import ArchivedPart
from storage.archive.writing import sha256_of
from storage.damaged.case import Case
from storage.lake.disk import explained


def case_of(catalogue: Catalogue, part: ArchivedPart) -> Case | None:
    """The case of an archived file that is not what was written, or missing; None where it is whole.

    Raises:
        StoreError: the disk does not give it.
    """
    path = catalogue.path(part)
    with explained(f"archive {path}"):
        found = sha256_of(path) if path.exists() else None
    if found == part.sha256:
        return None
    return Case(
        table=f"{part.declared.buckets[part.tier]}/{part.declared.stored_name(part.tier)}",
        path=str(path),
        measurement=part.measurement,
        tier=str(part.tier),
        first=part.first,
        last=part.last,
        rows=part.rows,
        written=f"sha256 {part.sha256}",
        sha256=found,
        entities={tag: (low, part.high[tag]) for tag, low in part.low.items() if low or part.high[tag]},
        archived=True,
        entry=part,
    )
