"""One run of advice: what holds now against what is stored of it, and the rows that this makes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from storage.declaration import MEASUREMENTS
from storage.downsample.rollup import DAY_S, HOUR_S
from storage.store import Store
from tasks.derive.fleet import Fleet
from tasks.derive.opportunities.deciding import new_rows
from tasks.derive.opportunities.gathering import gather

OPPORTUNITY = MEASUREMENTS["optimization_opportunity"]
REMEMBERED_S = 90 * DAY_S
"""How far back the newest row of each opportunity is looked for."""


@dataclass(frozen=True, slots=True)
class AdviceReport:
    """Rows written, by status."""

    opened: int = 0
    taken: int = 0
    refuted: int = 0


def advise(store: Store, fleet: Fleet, now: int) -> AdviceReport:
    """Look at the last whole day of hours before ``now`` (Unix seconds) and write what is new. Done again within the
    hour it writes nothing: what holds as it did gives no row.

    Raises:
        TryAgain: the store does not answer.
    """
    hour = now // HOUR_S * HOUR_S
    frame = new_rows(gather(store, fleet, hour), stored(store, hour), hour)
    if frame.times:
        store.write([frame])
    counts = Counter(frame.columns.get("status", []))
    return AdviceReport(counts["open"], counts["taken"], counts["refuted"])


def stored(store: Store, hour: int) -> list[dict[str, Any]]:
    """The newest row of every opportunity, ``time`` in Unix seconds."""
    rows = store.newest(OPPORTUNITY, hour - REMEMBERED_S).to_pylist()
    return [{**row, "time": int(row["time"].timestamp())} for row in rows]
