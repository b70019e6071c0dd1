"""Labels of a user: a file with an entity and a time in each row, which gets the values that were known then."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import csv

from storage.arrow_schema import END_OF_TIME_S, numbers
from storage.errors import NeedsHuman
from storage.features.offline import OfflineStore
from storage.features.rows import with_entity
from storage.features.view import ENTITY, EVENT, FeatureView

_ANSWER = ("event", "known", "reason")


def read_labels(path: Path, view: FeatureView) -> pa.Table:
    """Rows of a CSV or (by its ending) Parquet file, tags of the entity as text, ``time`` in Unix seconds.

    Raises:
        NeedsHuman: it cannot be read, lacks a column, or a row has no entity or no time.
    """
    wanted = [*view.entity, EVENT]
    remedy = f"Give a CSV or Parquet file with columns {', '.join(wanted)}"
    try:
        if path.suffix == ".parquet":
            rows = pq.read_table(path)
        else:
            kinds = csv.ConvertOptions(column_types=dict.fromkeys(view.entity, pa.string()))
            rows = csv.read_csv(path, convert_options=kinds)
    except (OSError, pa.ArrowException) as error:
        raise NeedsHuman(f"{path} cannot be read: {error}", remedy=remedy) from error
    missing = [name for name in wanted if name not in rows.column_names]
    if missing:
        raise NeedsHuman(f"{path} has no column {', '.join(missing)}", remedy=remedy)
    doubled = [name for name in wanted if rows.column_names.count(name) > 1]
    if doubled:
        raise NeedsHuman(f"{path} has column {', '.join(doubled)} twice", remedy=remedy)
    for tag in view.entity:
        try:
            names = rows[tag].cast(pa.string())
        except pa.ArrowException as error:
            raise NeedsHuman(f"{path}: column {tag} holds {rows[tag].type}, not names", remedy=remedy) from error
        rows = rows.set_column(rows.schema.get_field_index(tag), tag, names)
    rows = rows.set_column(rows.schema.get_field_index(EVENT), EVENT, _seconds(rows[EVENT], path))
    for name in wanted:
        if rows[name].null_count:
            row = pc.index(pc.is_null(rows[name]), True).as_py()
            raise NeedsHuman(f"{path}: row {row + 1} has no {name}", remedy="Fill it, or leave the row out")
    return rows


def joined_labels(
    store: OfflineStore, view: FeatureView, labels: pa.Table, features: Sequence[str] | None = None
) -> pa.Table:
    """``labels`` (of :func:`read_labels`) with what was known at each one's time: ``<view>_event``, ``<view>_known``,
    ``<view>_reason``, then the features by their names.

    Raises:
        NeedsHuman: a column of the labels has the name of one that is added.
    """
    added = {f"{view.name}_{name}": name for name in _ANSWER} | {name: name for name in features or view.feature_names}
    doubled = [name for name in added if name in labels.column_names]
    if doubled:
        raise NeedsHuman(
            f"The labels have a column {', '.join(doubled)} already", remedy="Rename it, or name features by --feature"
        )
    times = numbers(labels[EVENT])
    found = store.join(view, with_entity(view, labels)[ENTITY], times, features)
    labels = labels.set_column(labels.schema.get_field_index(EVENT), EVENT, found[EVENT])
    for name, of in added.items():
        labels = labels.append_column(name, found[of])
    return labels


def _seconds(times: pa.ChunkedArray, path: Path) -> pa.ChunkedArray:
    kind = times.type
    if pa.types.is_timestamp(kind):
        whole = pc.floor_temporal(times, unit="second").cast(pa.timestamp("s", tz=kind.tz)).cast(pa.int64())
    elif pa.types.is_integer(kind) or pa.types.is_null(kind):  # a CSV without rows, or without any time
        whole = times.cast(pa.int64())
    elif pa.types.is_date(kind):
        whole = times.cast(pa.timestamp("s")).cast(pa.int64())
    else:
        raise NeedsHuman(
            f"{path}: column time holds {kind}, not times", remedy="Write all as 2026-11-25T12:00:00Z, or Unix seconds"
        )
    if pc.any(pc.or_(pc.less(whole, 0), pc.greater_equal(whole, END_OF_TIME_S))).as_py():
        raise NeedsHuman(f"{path}: column time holds numbers that are no Unix seconds", remedy="Divide milliseconds")
    return whole
