"""From the published table of a view to the online store: the newest row of each entity."""

from __future__ import annotations

import numpy as np

from storage.arrow_schema import integers, numbers
from storage.features.online import OnlineStore
from storage.features.rows import codes_of, is_last, seconds
from storage.features.table import published
from storage.features.view import ENTITY, KNOWN, REMEMBERED_S, FeatureView
from storage.lake.table import LakeTable


def follow(online: OnlineStore, table: LakeTable, view: FeatureView, now: int, until: int) -> int:
    """Put into ``online`` what became known by ``until`` (Unix seconds) since it was here last, whichever host
    published it; entities whose row changed. No row may be added later that is known by then.

    Raises:
        NeedsHuman, StoreError: the table cannot be read, or the online store not be written.
    """
    taken = online.known_until(view)
    oldest = now - view.ttl_s - REMEMBERED_S
    with online.writing() as put:
        # of the second itself too: killed then and there, a run may have written more of it since
        rows = published(table, view, oldest, known_after=-1 if taken is None else taken - 1, known_until=until)
        if not rows.num_rows and taken is not None:
            return 0
        entities = codes_of(rows[ENTITY])
        order = np.lexsort((numbers(rows[KNOWN]), seconds(rows), entities))
        newest = order[is_last(entities[order])] if len(order) else order
        return put(view, rows.take(integers(newest)), until)
