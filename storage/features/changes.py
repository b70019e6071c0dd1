"""Rows of a view that became known between two moments: what an export takes, with nothing twice and nothing skipped.

The contract, by which an exporter keeps one number per view, its watermark:

1. ``until = settled_until(root, view)``: every row that became known by then is there, and no row will ever be added
   with a known time of then or before. None: the view was not yet published as a whole; export nothing.
2. ``rows_known_in(root, view, watermark, until)``: the rows with ``watermark < known <= until``. The first time the
   watermark is -1, or an earlier moment from which rows are wanted. Long stretches can be asked for in steps; a row is
   in exactly one step.
3. Once they are stored over there, ``watermark = until``.

The same call always gives the same rows (until retention, or an erasure, takes them). They come by (known, entity,
event time): of two rows of one entity and event time the later one is a correction and goes over the one before, so an
upsert keyed by entity and ``time`` in this order ends right. A row whose features are all null was withdrawn.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from storage.arrow_schema import integers, numbers
from storage.features.books import Books
from storage.features.table import feature_table, published
from storage.features.view import ENTITY, KNOWN, FeatureView
from storage.lake.location import LakeLocation


def settled_until(root: LakeLocation, view: FeatureView) -> int | None:
    """Through when (Unix seconds) the rows of ``view`` are settled; None where it was never published as a whole.

    Raises:
        StoreError, NeedsHuman: the lake cannot be read.
    """
    return Books(root).settled(view)


def first_known(root: LakeLocation, view: FeatureView) -> int | None:
    """When (Unix seconds) the first row that is kept of ``view`` became known; None where there is none.

    Raises:
        StoreError, NeedsHuman: the lake cannot be read.
    """
    snapshot = feature_table(root, view).snapshot()
    return min((int(part.low[KNOWN]) for part in snapshot.parts), default=None) if snapshot else None


def rows_known_in(root: LakeLocation, view: FeatureView, after: int, until: int) -> pa.Table:
    """Rows that became known in ``(after, until]`` (Unix seconds), by known time, entity and event time.

    Columns: ``time`` (event time, the end of the row's window; timestamp[us, UTC]), the entity's tags (``view.entity``,
    strings), ``known`` (int64, Unix seconds), ``backfilled`` (bool), then the features with their declared types.

    Raises:
        StoreError, NeedsHuman: the lake cannot be read.
    """
    rows = published(feature_table(root, view), view, known_after=after, known_until=until)
    return rows.drop_columns([ENTITY]).take(integers(np.argsort(numbers(rows[KNOWN]), kind="stable")))
