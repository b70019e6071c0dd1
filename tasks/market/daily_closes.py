"""Daily closes from a provider's series of prices. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from storage.records.market import DailyClose
from tasks.normalize.number import number
from tasks.pools.shape import amount

DAY_S = 86_400
_DAY_MS = DAY_S * 1_000
_NEAR_MS = 2 * 3_600 * 1_000
"""How long before midnight the last price of a day may be from: series that are not daily have steps of 1 h at most."""


def closes_of(series: Mapping[str, Any], *, source: str, coin_id: str, now: int) -> list[DailyClose]:
    """The closes of all whole UTC days in ``series`` that are over at ``now`` (Unix seconds), oldest first.

    ``series`` has ``prices``, ``market_caps`` and ``total_volumes``, each a list of ``[Unix ms, number]``, of any step.
    The close of a day is the last price at or before the next day's 00:00 UTC. The last point, which is *now*, is none,
    unless it is of midnight itself; a day without a price near its end has none either.
    """
    prices = _points(series.get("prices"))
    caps, volumes = dict(_points(series.get("market_caps"))), dict(_points(series.get("total_volumes")))
    if prices and prices[-1][0] % _DAY_MS:
        prices.pop()
    last_of: dict[int, tuple[int, float]] = {}
    for at, price in prices:  # in order of time: a later one takes the place of an earlier one
        midnight = -(-at // _DAY_MS) * _DAY_MS
        if price > 0 and midnight - at <= _NEAR_MS and midnight <= now * 1_000:
            last_of[midnight] = (at, price)
    return [
        DailyClose(
            time=midnight // 1_000 - DAY_S,
            source=source,
            coin_id=coin_id,
            close_usd=price,
            market_cap_usd=caps.get(at) or None,
            volume_24h_usd=volumes.get(at),
        )
        for midnight, (at, price) in last_of.items()
    ]


def _points(written: Any) -> list[tuple[int, float]]:
    """Times in ms and values that are there, in order of time; of two at one time the later in the list."""
    found: dict[int, float] = {}
    for point in written if isinstance(written, list) else ():
        if isinstance(point, list) and len(point) == 2:
            at, value = number(point[0]), amount(point[1])
            if at is not None and value is not None:
                found[int(at)] = value
    return sorted(found.items())
