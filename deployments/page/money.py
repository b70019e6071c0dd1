"""Money of the fleet: profit of today and yesterday by the tariffs, the next day's forecast, and what pools credited.

Nothing is worked out here: it is what tasks.derive.profit, the forecasts and the reconciliation of pools say.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from deployments.page.configured import Configured
from storage.declaration import MEASUREMENTS
from storage.downsample.rollup import DAY_S, HOUR_S
from storage.errors import NeedsHuman
from storage.store import Store
from tasks.derive.forecast.latest import latest as latest_forecasts
from tasks.derive.profit import profit
from tasks.pools.picture import picture

Row = Mapping[str, Any]

_FRESH_S = 3 * DAY_S
_DAYS = 3


@dataclass(frozen=True, slots=True)
class Credited:
    """Predicted against credited in USD on the newest settlement day of one pool, over its coins; null where a coin
    lacks a price or was not told, and ``reason`` says what."""

    pool_id: str
    day: str
    zone: str
    predicted_usd: float | None
    credited_usd: float | None
    reason: str

    @property
    def ratio(self) -> float | None:
        """Credited / predicted."""
        return self.credited_usd / self.predicted_usd if self.predicted_usd and self.credited_usd is not None else None


@dataclass(frozen=True, slots=True)
class Money:
    """Rows of tasks.derive.profit, None where no hour of that day is derived. ``begun``: when today began in ``zone``;
    ``known_until``: end of the newest hour that is derived. ``reason``: of that hour, what the money lacks."""

    zone: str
    begun: int
    today: Row | None
    yesterday: Row | None
    sites: Sequence[Row]
    known_until: int | None
    reason: str
    tariffs: int
    forecast: Row | None
    credited: Sequence[Credited]


def read_money(store: Store, configured: Configured, now: float) -> Money:
    """Money at ``now`` (Unix seconds); days are those of the configured zone, of UTC where its do not begin on an hour.

    Raises:
        TryAgain: the store does not answer.
    """
    zone = configured.zone
    try:
        return _read(store, configured, now, zone)
    except NeedsHuman:
        return _read(store, configured, now, "UTC")


def _read(store: Store, configured: Configured, now: float, zone: str) -> Money:
    midnight = dt.datetime.combine(dt.datetime.fromtimestamp(now, ZoneInfo(zone)).date(), dt.time(), ZoneInfo(zone))
    begun = int(midnight.timestamp())
    before = int((midnight - dt.timedelta(days=1)).timestamp())
    stop = -(-int(now) // HOUR_S) * HOUR_S
    miners = configured.economy.miners
    rows = profit(store, miners, before, stop, by="fleet", every="day", zone=zone).to_pylist()
    days = {dt.datetime.fromisoformat(row["from"]).timestamp(): row for row in rows}
    sites = profit(store, miners, begun, stop, by="site", every="period", zone=zone).to_pylist() if begun < stop else []
    newest = [
        row
        for row in store.newest(MEASUREMENTS["financial_summary"], before, where={"scope": "fleet"}).to_pylist()
        if row["time_period"] == "1h"
    ]
    hour = max(newest, key=lambda row: row["time"], default=None)
    forecasts = latest_forecasts(store, int(now), ["fleet"]).to_pylist()
    return Money(
        zone,
        begun,
        days.get(begun),
        days.get(before),
        sites if len(sites) > 1 else [],
        None if hour is None else int(hour["time"].timestamp()) + HOUR_S,
        "" if hour is None else hour["reason"] or "",
        len(configured.economy.electricity.tariffs),
        next((row for row in forecasts if row["quantity"] == "next_24h_revenue"), None),
        _credited(picture(store, int(now), configured.pool_ids, _DAYS, everyone=False).days.to_pylist()),
    )


def _credited(rows: Sequence[Row]) -> list[Credited]:
    """The newest day of each pool of which a credit is told, else the newest; ``rows`` have the newest first."""
    by_pool: dict[str, dict[str, list[Row]]] = {}
    for row in rows:
        by_pool.setdefault(row["pool_id"], {}).setdefault(row["day"], []).append(row)
    found = []
    for pool_id, days in sorted(by_pool.items()):
        told = [day for day, coins in days.items() if any(coin["credited"] is not None for coin in coins)]
        day = max(told or days)
        coins = days[day]
        found.append(
            Credited(
                pool_id,
                day,
                coins[0]["settlement_zone"] or "UTC",
                _sum([coin["predicted_usd"] for coin in coins]),
                _sum([coin["credited_usd"] for coin in coins]),
                "; ".join(f"{coin['coin_id']}: {coin['reason']}" for coin in coins if coin["reason"]),
            )
        )
    return found


def _sum(values: Sequence[float | None]) -> float | None:
    """The sum, None where a part is not known."""
    known = [value for value in values if value is not None]
    return sum(known) if known and len(known) == len(values) else None
