"""Published rows of a view: a Delta table of its own, ``<lake>/features/<view>_v<version>``, to which rows are added.

A correction is one row more, with a later ``known``; nothing is ever overwritten, so that the past can be asked for.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from storage.arrow_schema import END_OF_TIME_S, PARTITION, integers, numbers
from storage.declaration import MEASUREMENTS, Measurement, Tag
from storage.errors import NeedsHuman, StoreError
from storage.features.rows import entity_values, feature_schema, seconds, with_entity
from storage.features.view import BACKFILLED, ENTITY, EVENT, KNOWN, FeatureView
from storage.features.views import VIEWS
from storage.lake.layout import Layout, Period
from storage.lake.location import LakeLocation, entries, open_table
from storage.lake.merge import merged
from storage.lake.parquet import read_file
from storage.lake.snapshot import Part
from storage.lake.table import LakeTable

FOLDER, BOOKS, TURNS = "features", "books", "turns"


def feature_table(root: LakeLocation, view: FeatureView) -> LakeTable:
    """The table of ``view`` under the lake's ``root``."""
    tags = tuple(Tag(tag, "") for tag in (*view.tag_names, KNOWN))
    identity = Measurement(view.stored_name, FOLDER, view.meaning, tags, (), {})
    order = (*view.entity, KNOWN)
    return LakeTable.undeclared(root, identity, FOLDER, feature_schema(view), Layout(view.period, order))


def superseded_tables(root: LakeLocation) -> list[LakeTable]:
    """Tables of versions of views that are no longer declared. They are kept, and nothing but an erasure reads them."""
    declared = {view.stored_name for view in VIEWS.values()} | {BOOKS, TURNS}
    found = []
    for folder in sorted(entries(root / FOLDER), key=str):
        name = folder.name
        if name not in declared and entries(folder / "_delta_log"):
            schema = pa.schema(open_table(folder).schema().to_arrow())
            schema = schema.remove(schema.get_field_index(PARTITION))
            entity = schema.names[1 : schema.get_field_index(KNOWN)]
            others = [column for column in schema.names if column in _TAGS and column not in entity]
            identity = Measurement(name, FOLDER, "", tuple(Tag(tag, "") for tag in (*entity, *others, KNOWN)), (), {})
            layout = Layout(Period.MONTH, (*entity, KNOWN))
            found.append(LakeTable.undeclared(root, identity, FOLDER, schema, layout))
    return found


_TAGS = frozenset(tag for measurement in MEASUREMENTS.values() for tag in measurement.tag_names)


def published(
    table: LakeTable,
    view: FeatureView,
    start: int = 0,
    stop: int = END_OF_TIME_S,
    *,
    entities: Collection[str] | None = None,
    columns: Sequence[str] | None = None,
    known_after: int = -1,
    known_until: int = END_OF_TIME_S,
) -> pa.Table:
    """Rows with ``start <= event time < stop`` that became known in ``(known_after, known_until]``, every version once,
    by entity, known time and event time. Columns: :func:`feature_schema`, or its own and ``columns``; then ``entity``.

    Raises:
        NeedsHuman: a file is damaged. StoreError: files went away twice while they were read.
    """
    names = table.schema.names if columns is None else [EVENT, *view.entity, KNOWN, BACKFILLED, *columns]
    schema = pa.schema([table.schema.field(name) for name in names])
    wanted = None if entities is None else pa.array(sorted(entities), pa.string())
    firsts = [entity_values(view, entity)[0] for entity in entities] if entities else None

    def may_hold(part: Part) -> bool:
        if part.last < start or part.first >= stop:
            return False
        if int(part.high[KNOWN]) <= known_after or int(part.low[KNOWN]) > known_until:
            return False
        tag = view.entity[0]
        return firsts is None or (part.low[tag] <= max(firsts) and part.high[tag] >= min(firsts))

    def inside(rows: pa.Table) -> pa.Table:
        times, known = seconds(rows), numbers(rows[KNOWN])
        is_inside = (times >= start) & (times < stop) & (known > known_after) & (known <= known_until)
        rows = with_entity(view, rows.take(integers(np.flatnonzero(is_inside))))
        return rows if wanted is None else rows.filter(pc.is_in(rows[ENTITY], wanted))

    for fresh in (False, True):
        snapshot = table.snapshot(fresh=fresh)
        parts = [] if snapshot is None else [part for part in snapshot.parts if may_hold(part)]
        try:
            tables = [inside(read_file(part.path, schema).cast(schema)) for part in parts]
        except FileNotFoundError:
            continue  # merged away meanwhile
        except (OSError, pa.ArrowException) as error:
            raise NeedsHuman(
                f"lake table {table.name}: a file is damaged: {error}",
                remedy="Restore it from a backup, or move the table's folder aside: it is filled from the tiers anew",
            ) from error
        nothing = with_entity(view, schema.empty_table())
        return merged(pa.concat_tables([nothing, *tables]), (*view.entity, KNOWN))
    raise StoreError(f"lake table {table.name}: its files were merged twice while they were read; ask again")
