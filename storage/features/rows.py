"""Rows of a tier as rows of a view. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from storage.arrow_schema import ARROW_TYPES, FILE_TIME, integers, numbers
from storage.downsample.windows import unix_seconds
from storage.errors import NeedsHuman
from storage.features.view import BACKFILLED, ENTITY, EVENT, KNOWN, FeatureView


def feature_schema(view: FeatureView) -> pa.Schema:
    """Columns of the published table: time, the entity's tags, known, backfilled, features."""
    own = [(EVENT, FILE_TIME), *((tag, pa.string()) for tag in view.entity), (KNOWN, pa.int64())]
    features = ((feature.name, ARROW_TYPES[feature.type]) for feature in view.features)
    return pa.schema([*own, (BACKFILLED, pa.bool_()), *features])


def entity_key(values: Sequence[str]) -> str:
    """The entity that tags with these ``values`` name: joined by ``/``, which within a value is ``%2F`` (% is %25).

    A view of a single tag takes its value as it is.
    """
    if len(values) == 1:
        return values[0]
    return "/".join(value.replace("%", "%25").replace("/", "%2F") for value in values)


def entity_values(view: FeatureView, entity: str) -> list[str]:
    """The tags' values that :func:`entity_key` made ``entity`` of.

    Raises:
        NeedsHuman: it has another number of parts than the view has tags.
    """
    if len(view.entity) == 1:
        return [entity]
    parts = entity.split("/")
    if len(parts) != len(view.entity):
        raise NeedsHuman(
            f"{entity!r} is no entity of view {view.name}",
            remedy=f"Write {'/'.join(tag.upper() for tag in view.entity)}, with %2F for a / within one of them",
        )
    return [part.replace("%2F", "/").replace("%25", "%") for part in parts]


def with_entity(view: FeatureView, rows: pa.Table) -> pa.Table:
    """``rows`` with the key of each one's entity as a last column. A tag that is null counts as empty."""
    columns = [rows[tag].cast(pa.string()) for tag in view.entity]
    if len(columns) == 1:
        return rows.append_column(ENTITY, columns[0])
    escaped = [pc.replace_substring(pc.replace_substring(c, "%", "%25"), "/", "%2F") for c in columns]
    keys = pc.binary_join_element_wise(*escaped, "/", null_handling="replace", null_replacement="")
    return rows.append_column(ENTITY, keys)


def feature_rows(view: FeatureView, rows: pa.Table, now: int) -> pa.Table:
    """Rows of ``rows`` (a Store's answer) that are over at ``now``: :func:`feature_schema`, known times null, and
    their entities. Rows without any tag of the entity are of nobody and are left out as well.
    """
    schema = feature_schema(view)
    ends = unix_seconds(rows) + view.width_s
    ranks = numbers(pc.fill_null(rows[view.newest_by].cast(pa.int64()), -1)) if view.newest_by else np.zeros_like(ends)
    of_somebody = np.zeros(rows.num_rows, dtype=np.bool_)
    for tag in view.entity:
        of_somebody |= numbers(pc.is_valid(rows[tag])) == 1
    rows = with_entity(view, rows)
    chosen = _one_of_each(codes_of(rows[ENTITY]), ends, ranks, of_somebody & (ends <= now))
    rows, ends = rows.take(integers(chosen)), ends[chosen]
    columns = {EVENT: integers(ends * 1_000_000).cast(FILE_TIME)}
    columns |= {tag: rows[tag].cast(pa.string()) for tag in view.entity}
    columns |= {KNOWN: pa.nulls(rows.num_rows, pa.int64()), BACKFILLED: pa.nulls(rows.num_rows, pa.bool_())}
    for feature in view.features:
        columns[feature.name] = rows[feature.source].cast(schema.field(feature.name).type)
    return pa.table(columns, schema=schema).append_column(ENTITY, rows[ENTITY])


Numbers = npt.NDArray[np.int64]


def _one_of_each(entities: Numbers, ends: Numbers, ranks: Numbers, wanted: npt.NDArray[np.bool_]) -> Numbers:
    """Of ``wanted`` rows of one entity and end the one of the highest rank, else the last."""
    among = np.flatnonzero(wanted)
    order = among[np.lexsort((ranks[among], ends[among], entities[among]))]
    return order[is_last(entities[order], ends[order])]


def is_last(*keys: Numbers) -> npt.NDArray[np.bool_]:
    """Of rows sorted by ``keys``, which is the last with its keys."""
    last = np.ones(len(keys[0]), dtype=np.bool_)
    last[:-1] = np.logical_or.reduce([key[1:] != key[:-1] for key in keys])
    return last


def newest_versions(rows: pa.Table) -> pa.Table:
    """Of each entity and event time the row that became known last."""
    if not rows.num_rows:
        return rows
    entities, events = codes_of(rows[ENTITY]), seconds(rows)
    order = np.lexsort((numbers(rows[KNOWN]), events, entities))
    return rows.take(integers(order[is_last(entities[order], events[order])]))


def codes_of(column: pa.ChunkedArray | pa.Array) -> Numbers:
    """A number for each distinct text."""
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    coded = whole if pa.types.is_dictionary(whole.type) else whole.dictionary_encode()
    return numbers(coded.indices.cast(pa.int64()))


def seconds(rows: pa.Table) -> Numbers:
    """Event times in Unix seconds."""
    return numbers(rows[EVENT]) // 1_000_000
