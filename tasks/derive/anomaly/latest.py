"""The newest anomaly scores of miners, of minutes and of whole hours, the oddest first."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from storage.arrow_schema import ANSWER_TIME
from storage.declaration import MEASUREMENTS, Tier
from storage.store import Store
from tasks.derive.anomaly.readings import SIGNALS

FRESH_S = 3 * 3_600
"""Older scores tell nothing of now."""

SCHEMA = pa.schema(
    [("miner_id", pa.string()), ("time_period", pa.string()), ("from", ANSWER_TIME)]
    + [(name, pa.float64()) for name in (*SIGNALS, "overall")]
    + [("anomalous", pa.bool_()), ("reasons", pa.string())]
)
"""``from``: start of the period that was judged."""


def latest(store: Store, now: int, miner_ids: Sequence[str] | None, *, everyone: bool) -> pa.Table:
    """The newest row of each period and miner (None: of all); only anomalous ones unless ``everyone``. See SCHEMA.

    Raises:
        TryAgain: the store does not answer.
    """
    where = {} if miner_ids is None else {"miner_id": list(miner_ids)}
    table = store.read(MEASUREMENTS["anomaly_score"], Tier.RAW, now - FRESH_S, now + 1, where=where)
    keys = ["miner_id", "time_period"]
    newest = table.select([*keys, "time"]).group_by(keys).aggregate([("time", "max")])
    table = table.join(newest, keys).filter(pc.field("time") == pc.field("time_max"))
    if not everyone:
        table = table.filter(pc.field("anomalous"))
    table = table.sort_by([("overall", "descending"), ("miner_id", "ascending"), ("time_period", "ascending")])
    return pa.table([table["time" if name == "from" else name] for name in SCHEMA.names], schema=SCHEMA)
