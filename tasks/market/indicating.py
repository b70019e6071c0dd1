"""Indicators of coins from the daily closes in the store: one row a day, coin and source. Pure.

A close belongs to the day it ends, and so does what is made of it: rows are stamped with that day's start. A day
without a close has no row.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from storage.frame import Frame, build_frame
from tasks.derive.indicators import indicators

DAY_S = 86_400

_FIELDS = {
    "rsi_14": "rsi_14",
    "ma_50_usd": "ma_50",
    "ma_200_usd": "ma_200",
    "volatility_30d_daily": "volatility_30d_daily",
    "volatility_30d": "volatility_30d",
    "change_1d_percent": "change_1d_percent",
    "change_7d_percent": "change_7d_percent",
    "change_30d_percent": "change_30d_percent",
    "closes": "closes_in_a_row",
}  # field of market_indicator: of tasks.derive.indicators.Indicators


def indicator_frame(closes: Iterable[Mapping[str, Any]], now: int) -> Frame:
    """Rows of ``market_indicator`` from rows of ``daily_close``; days that are not over at ``now`` are left out.

    Each row has ``time`` (Unix seconds), ``source``, ``coin_id`` and ``close_usd``.
    """
    by_coin: dict[tuple[str, str], dict[int, float]] = defaultdict(dict)
    for row in closes:
        day = row["time"] // DAY_S
        if row["close_usd"] is not None and row["close_usd"] > 0 and (day + 1) * DAY_S <= now:
            by_coin[row["source"], row["coin_id"]][day] = row["close_usd"]
    times: list[int] = []
    columns: dict[str, list[Any]] = {name: [] for name in ("source", "coin_id", *_FIELDS)}
    for (source, coin_id), known in sorted(by_coin.items()):
        first = min(known)
        series = np.full(max(known) - first + 1, np.nan)
        for day, close in known.items():
            series[day - first] = close
        made = asdict(indicators(series))
        days = [day - first for day in sorted(known)]
        times += [(first + day) * DAY_S for day in days]
        columns["source"] += [source] * len(days)
        columns["coin_id"] += [coin_id] * len(days)
        for field, name in _FIELDS.items():
            columns[field] += made[name][days].tolist()
    return build_frame("market_indicator", times, columns)
