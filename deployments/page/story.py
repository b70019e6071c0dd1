"""What is known of one miner beside its readings: money, what is odd, what is worth changing, what happened.

All of it as other rooms say it: tasks.derive.profit, anomalies, opportunities, and rows of ``miner_event``.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from deployments.page.configured import Configured
from storage.declaration import MEASUREMENTS, Tier
from storage.downsample.rollup import DAY_S, HOUR_S
from storage.store import Store
from tasks.derive.anomaly.latest import latest as latest_scores
from tasks.derive.opportunities.latest import latest as latest_advice
from tasks.derive.profit import profit

Row = Mapping[str, Any]

EVENTS = 20
"""Events shown; of more it says how many."""
EVENTS_S = 7 * DAY_S


@dataclass(frozen=True, slots=True)
class Story:
    """``today`` and ``week``: a row of tasks.derive.profit each, None where no hour is derived. ``scores``: newest of
    each period; ``advice``: open, what brings most first; ``events``: the newest first; ``more``: how many are left
    out."""

    zone: str
    today: Row | None
    week: Row | None
    scores: Sequence[Row]
    advice: Sequence[Row]
    events: Sequence[Row]
    more: int


def read_story(store: Store, configured: Configured, miner_id: str, now: float) -> Story:
    """Of one miner at ``now`` (Unix seconds).

    Raises:
        TryAgain: the store does not answer.
    """
    moment = dt.datetime.fromtimestamp(now, ZoneInfo(configured.zone))
    begun = int(dt.datetime.combine(moment.date(), dt.time(), moment.tzinfo).timestamp())
    stop = -(-int(now) // HOUR_S) * HOUR_S

    def money(start: int) -> Row | None:
        start = start // HOUR_S * HOUR_S
        labels = configured.economy.miners
        rows = profit(store, labels, start, stop, by="miner", every="period", miners=[miner_id]).to_pylist()
        return rows[0] if rows else None

    where = {"miner_id": miner_id}
    told = store.read(MEASUREMENTS["miner_event"], Tier.RAW, int(now) - EVENTS_S, int(now) + 1, where=where)
    events = sorted(told.to_pylist(), key=lambda row: row["time"], reverse=True)
    return Story(
        configured.zone,
        money(begun) if begun < stop else None,
        money(stop - 7 * DAY_S),
        latest_scores(store, int(now), [miner_id], everyone=True).to_pylist(),
        latest_advice(store, int(now), [miner_id], ended=False, least_usd_day=0.0).to_pylist(),
        events[:EVENTS],
        max(len(events) - EVENTS, 0),
    )
