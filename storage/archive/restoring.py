"""Archived rows back into a lake: a lake of their own, so that retention does not take them away again at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from storage.archive.catalogue import Catalogue
from storage.archive.part import ArchivedPart, State
from storage.archive.writing import fault_of, order_of, pieces_of
from storage.arrow_schema import row_schema
from storage.declaration import Tier
from storage.errors import NeedsHuman
from storage.lake.replacement import merge_rows
from storage.lake.table import LakeTable

FOLDER = "restored"
"""Under the data directory: a lake of what was restored. Delete it when it is no longer needed."""

Without = Callable[[ArchivedPart, pa.Table], pa.Table]
"""Takes rows out that must not come back, of entities that were erased."""


@dataclass(slots=True)
class RestoreReport:
    """What was restored: parts, and rows that were written now and not before."""

    parts: list[ArchivedPart] = field(default_factory=list)
    rows: int = 0


def restore(
    catalogue: Catalogue,
    parts: Sequence[ArchivedPart],
    lake: Path,
    *,
    without: Without | None = None,
    told: Callable[[ArchivedPart], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
) -> RestoreReport:
    """Write the rows of ``parts`` into the lake under ``lake``, in pieces, each exactly once.

    Killed anywhere and run again it goes on; run twice it changes nothing. Each file's hash is checked first.

    Raises:
        NeedsHuman: a file is damaged, named with both hashes; it is marked so, and nothing of it is restored.
    """
    report = RestoreReport()
    for part in order_of(parts):
        if stop():
            break
        path = catalogue.path(part)
        fault = fault_of(path, part)
        if fault is not None:
            catalogue.mark(part, State.DAMAGED)
            raise NeedsHuman(
                f"archive: {fault}", remedy="Put a whole copy in its place, or leave it out of what is restored"
            )
        table = LakeTable(lake, part.declared, part.tier)
        schema = row_schema(part.declared, part.tier)
        for number, piece in enumerate(pieces_of(path)):
            rows = piece if without is None else without(part, piece)
            rows, app = _fitted(rows, schema), f"restore/{part.source}"
            if part.tier is Tier.RAW:
                report.rows += table.append([(number, rows)], app=app)
            else:  # several parts may have a row of one key, and nothing merges rows of a roll-up when they are read
                report.rows += merge_rows(table, rows, app=app, sequence=number)
        report.parts.append(part)
        told(part)
    return report


def _fitted(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    """``rows`` in today's ``schema``: columns that came later are null, the ingest columns go."""
    there = set(rows.column_names)
    return pa.Table.from_arrays(
        [
            rows[field.name].cast(field.type) if field.name in there else pa.nulls(rows.num_rows, field.type)
            for field in schema
        ],
        schema=schema,
    )
