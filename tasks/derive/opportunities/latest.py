"""The newest state of every opportunity, as people ask for it."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from storage.downsample.rollup import DAY_S
from storage.store import Store
from tasks.derive.opportunities.advising import OPPORTUNITY

SHOWN_S = 90 * DAY_S


def latest(store: Store, now: int, miners: Sequence[str] | None, *, ended: bool, least_usd_day: float) -> pa.Table:
    """Opportunities of ``miners`` (None: all) that are open, or ended too; those that bring most first.

    ``least_usd_day``: what brings less is left out, but not what nobody knows the gain of. Columns: ``time``
    (timestamp[s, UTC], of its newest row), tags, fields of optimization_opportunity.

    Raises:
        TryAgain: the store does not answer.
    """
    rows = store.newest(OPPORTUNITY, now - SHOWN_S, where=None if miners is None else {"miner_id": list(miners)})
    if not ended:
        rows = rows.filter(pc.equal(rows["status"], "open"))
    gain = rows["potential_impact_usd_day"]
    rows = rows.filter(pc.or_kleene(pc.is_null(gain), pc.greater_equal(gain, least_usd_day)))
    return rows.sort_by([("potential_impact_usd_day", "descending"), ("miner_id", "ascending"), ("type", "ascending")])
