"""From closes, networks and prices in the store to indicators and the value of mining, written where it is new.

Done again it writes nothing: rows that are stored as they would be made again are left alone. Late data is taken in,
since the last day of hours and most of a year of closes are worked out anew each time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from storage.declaration import MEASUREMENTS, Tier
from storage.store import Store
from tasks.derive.changed import write_changed
from tasks.market.indicating import DAY_S, indicator_frame
from tasks.market.mining_value import HOUR_S, value_frame

CLOSES_S = 730 * DAY_S
"""How far back closes are read; as long as they are kept by default."""
REVISED_S = 250 * DAY_S
"""How far back stored indicators are compared. Of older days only those without a row are written: near the first close
kept, indicators would be made from fewer closes than they once were."""
LATE_S = 26 * HOUR_S
"""How late prices and networks may come in and still change the value of their hour."""
LONGEST_S = 30 * DAY_S
"""How far back hours without a value are looked for, after an outage."""


@dataclass(frozen=True, slots=True)
class DerivedReport:
    """Rows written."""

    indicators: int = 0
    values: int = 0


def derive(store: Store, now: int, coin_ids: Sequence[str]) -> DerivedReport:
    """Write what is new up to ``now`` (Unix seconds); ``coin_ids`` are the coins whose mining is valued.

    Raises:
        TryAgain: the store does not answer.
    """
    return DerivedReport(_indicators(store, now), _values(store, now, coin_ids))


def _indicators(store: Store, now: int) -> int:
    start, stop = now - CLOSES_S, now // DAY_S * DAY_S
    made = indicator_frame(_rows(store, "daily_close", start, stop), now)
    # The count of closes moves on with the first close that is kept; that alone is no revision.
    return write_changed(store, [made], compared_from=now - REVISED_S, regardless_of=("closes",))


def _values(store: Store, now: int, coin_ids: Sequence[str]) -> int:
    stop = now // HOUR_S * HOUR_S
    earliest = stop - LONGEST_S
    newest = store.newest(MEASUREMENTS["mining_profitability"], earliest).column("time").to_pylist()
    since = max((int(time.timestamp()) for time in newest), default=earliest)
    start = max(earliest, min(stop - LATE_S, since))
    networks = _rows(store, "network_data", start, stop)
    prices = _rows(store, "market_data", start, stop, ("price_usd", "age_s", "quality_flags"))
    return write_changed(store, [value_frame(networks, prices, coin_ids)])


def _rows(store: Store, name: str, start: int, stop: int, columns: Sequence[str] | None = None) -> list[dict[str, Any]]:
    table = store.read(MEASUREMENTS[name], Tier.RAW, start, stop, columns=columns)
    return [{**row, "time": int(row["time"].timestamp())} for row in table.to_pylist()]
