"""The newest forecasts of the fleet and of miners, each with its age and the last score of its kind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from storage.arrow_schema import ANSWER_TIME
from storage.declaration import MEASUREMENTS, Tier
from storage.store import Store
from tasks.derive.forecast.making import LATE_S
from tasks.derive.forecast.series import DAY_S, HOUR_S, QUANTITIES

FRESH_S = 7 * DAY_S
"""A forecast that is older, the collector having stood still, is not shown."""

SCHEMA = pa.schema(
    [("miner_id", pa.string()), ("quantity", pa.string()), ("from", ANSWER_TIME), ("age_h", pa.float64())]
    + [(name, pa.float64()) for name in ("value", "low", "high")]
    + [("unit", pa.string()), ("model", pa.string())]
    + [("scored_from", ANSWER_TIME), ("scored_error", pa.float64()), ("scored_mase", pa.float64())]
    + [("scored_inside", pa.bool_()), ("reason", pa.string())]
)
"""``from``: start of the period; ``age_h``: hours since. ``scored_...``: of the newest forecast of the same quantity
that has a score, of whichever model; docs/forecasts.md."""


def latest(store: Store, now: int, miner_ids: Sequence[str] | None) -> pa.Table:
    """One row for each of ``miner_ids`` (``fleet`` is one; None: all that there are) and each quantity; see SCHEMA.

    Raises:
        TryAgain: the store does not answer.
    """
    where = {} if miner_ids is None else {"miner_id": list(miner_ids)}
    oldest = now - max(quantity.horizon for quantity in QUANTITIES) * HOUR_S - LATE_S - DAY_S
    told = _newest(store.read(MEASUREMENTS["forecast"], Tier.RAW, now - FRESH_S, now + 1, where=where))
    scores = store.read(MEASUREMENTS["forecast_score"], Tier.RAW, oldest, now + 1, where=where)
    scored = _newest(scores.filter(pc.is_valid(scores["actual"])))
    rows = []
    for key, row in sorted(told.items()):
        score = scored.get(key, {})
        rows.append(
            {name: row.get(name) for name in SCHEMA.names}
            | {"from": row["time"], "age_h": (now - row["time"].timestamp()) / HOUR_S}
            | {"scored_from": score.get("time")}
            | {f"scored_{name}": score.get(name) for name in ("error", "mase", "inside")}
        )
    return pa.Table.from_pylist(rows, SCHEMA)


def _newest(table: pa.Table) -> dict[tuple[str, str], dict[str, Any]]:
    rows = table.sort_by("time").to_pylist()
    return {(row["miner_id"], row["quantity"]): row for row in rows}
