"""Forecasts of every miner, once a day, and of the fleet, every hour; later their scores.

A forecast is made from what is stored of the hours before its time, and is never made again: a revised one would be
hindsight. Late data moves its score instead, which is worked out anew for the days that late data may touch.

Under a day of known hours there is no forecast, under a week it is the mean of the last day, under two weeks seasonal
naive; after that the back-test chooses. A miner of which nothing was heard for a day gets none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from storage.declaration import MEASUREMENTS, Tier
from storage.frame import Frame, build_frame
from storage.store import Store
from tasks.derive.changed import write_changed
from tasks.derive.forecast.backtest import LEVEL, Outlook, half_width, outlook
from tasks.derive.forecast.filling import filled
from tasks.derive.forecast.models import DAY, LAST_DAY_MEAN, MODELS, SEASONAL_NAIVE, WEEK, Floats, Model
from tasks.derive.forecast.series import DAY_S, FLEET, HOUR_S, QUANTITIES, Quantity, fleet_series, miner_series

HISTORY_H = 5 * WEEK
"""Hours that a forecast looks back."""
AT_ONCE = 250
"""Miners in one batch; bounds memory."""
NO_MODEL = "none"
LATE_S = 3 * DAY_S
"""How long after its end the score of a period may still change."""
KNOWN_ENOUGH = 0.75
"""Part of a period's hours that must be known for a score."""

_PRICED = "needs financial_metrics of the hour: prices, a network's difficulty and (profit) a tariff; docs/forecasts.md"
_WHY = {"hashrate": "no hashrate is known", "revenue": f"no revenue is known: {_PRICED}"}
_WHY["profit"] = f"no profit is known: {_PRICED}"


@dataclass(frozen=True, slots=True)
class ForecastReport:
    """Rows written."""

    forecasts: int = 0
    scores: int = 0


@dataclass(slots=True)
class _Rows:
    times: list[int] = field(default_factory=list)
    columns: dict[str, list[Any]] = field(default_factory=dict)

    def add(self, time: int, **values: Any) -> None:
        self.times.append(time)
        for name, value in values.items():
            self.columns.setdefault(name, []).append(value)


def forecast_and_score(store: Store, miners: Sequence[str], now: int) -> ForecastReport:
    """Make what is due at ``now`` (Unix seconds) and score what is over. ``miners``: ids from the configuration.

    Raises:
        TryAgain: the store does not answer.
    """
    return ForecastReport(make(store, miners, now), score(store, now))


def make(store: Store, miners: Sequence[str], now: int) -> int:
    """Forecasts that are not there yet: of miners from the last midnight of UTC, of the fleet from the last hour."""
    hour, day = now // HOUR_S * HOUR_S, now // DAY_S * DAY_S
    written = 0
    for quantity in QUANTITIES:
        made = _there(store, quantity, day, hour + 1)
        missing = [name for name in miners if (name, day) not in made]
        if missing:
            series = miner_series(store, quantity.field, missing, day - HISTORY_H * HOUR_S, day)
            for first in range(0, len(missing), AT_ONCE):
                part = slice(first, first + AT_ONCE)
                store.write([forecast_frame(quantity, missing[part], series[part], day)])
            written += len(missing)
        if (FLEET, hour) not in made:
            series = _fleet(store, quantity, miners, hour - HISTORY_H * HOUR_S, hour)
            store.write([forecast_frame(quantity, [FLEET], series, hour)])
            written += 1
    return written


def forecast_frame(quantity: Quantity, names: Sequence[str], series: Floats, time: int) -> Frame:
    """Rows of ``forecast`` for ``names`` from their hours before ``time`` (names x hours, NaN: not known). Pure."""
    rows = _Rows()
    known = ~np.isnan(series)
    hours = series.shape[1]
    first = np.where(known.any(axis=1), known.argmax(axis=1), hours)
    spans, counts = hours - first, known.sum(axis=1)
    silent = ~known[:, -DAY:].any(axis=1)
    for kind, models in (("choice", MODELS), ("week", (SEASONAL_NAIVE,)), ("days", (LAST_DAY_MEAN,))):
        least, most = _SPANS[kind]
        own = np.flatnonzero((spans >= least) & (spans < most) & (counts >= DAY) & ~silent)
        for start in sorted(set(first[own].tolist())):  # one batch for all that begin in the same hour
            batch = own[first[own] == start]
            _told(rows, quantity, [names[number] for number in batch], series[batch, start:], models=models, time=time)
    for number in np.flatnonzero((counts < DAY) | silent).tolist():
        why = _WHY[quantity.field] if not counts[number] else f"{counts[number]} hours are known, 24 are needed"
        if counts[number] >= DAY:
            why = "nothing is known of the last 24 hours"
        _add(rows, quantity, time, names[number], NO_MODEL, reason=why)
    return build_frame("forecast", rows.times, rows.columns)


_SPANS = {"choice": (2 * WEEK, 10**9), "week": (WEEK, 2 * WEEK), "days": (0, WEEK)}


def _told(
    rows: _Rows, quantity: Quantity, names: Sequence[str], series: Floats, *, models: Sequence[Model], time: int
) -> None:
    found: Outlook = outlook(filled(series), ~np.isnan(series), quantity.horizon, models)
    share = 1 / quantity.horizon if quantity.mean else 1.0
    totals, naive = found.path.sum(axis=1) * share, found.naive.sum(axis=1) * share
    widths = half_width(found.past_errors) * share
    counts = np.sum(~np.isnan(found.naive_errors), axis=1)
    scales = np.nansum(np.abs(found.naive_errors), axis=1) / np.maximum(counts, 1) * share
    floor = 0.0 if quantity.field != "profit" else -np.inf
    for number, name in enumerate(names):
        width, total = float(widths[number]), float(totals[number])
        narrow = np.isnan(width)
        _add(
            rows,
            quantity,
            time,
            name,
            found.model[number],
            value=total,
            low=None if narrow else max(total - width, floor),
            high=None if narrow else total + width,
            naive=float(naive[number]),
            naive_mae=float(scales[number]) if counts[number] else None,
            reason="no interval: fewer than nine back-tests" if narrow else None,
        )


def _add(
    rows: _Rows,
    quantity: Quantity,
    time: int,
    name: str,
    model: str,
    *,
    value: float | None = None,
    low: float | None = None,
    high: float | None = None,
    naive: float | None = None,
    naive_mae: float | None = None,
    reason: str | None = None,
) -> None:
    rows.add(
        time,
        miner_id=name,
        quantity=quantity.name,
        model=model,
        value=value,
        low=low,
        high=high,
        unit=quantity.unit,
        level=LEVEL,
        horizon_s=quantity.horizon * HOUR_S,
        naive=naive,
        naive_mae=naive_mae,
        reason=reason,
    )


def score(store: Store, now: int) -> int:
    """Scores of forecasts whose period has ended, for as long as late data may change them."""
    written = 0
    for quantity in QUANTITIES:
        length = quantity.horizon * HOUR_S
        stop = now // HOUR_S * HOUR_S - length + 1
        start = stop - LATE_S
        table = store.read(MEASUREMENTS["forecast"], Tier.RAW, start, stop, where={"quantity": quantity.name})
        told = [row for row in table.to_pylist() if row["value"] is not None]
        if not told:
            continue
        first = min(int(row["time"].timestamp()) for row in told)
        end = max(int(row["time"].timestamp()) for row in told) + length
        names = sorted({row["miner_id"] for row in told})
        single = [name for name in names if name != FLEET]
        actual: dict[str, Floats] = dict(
            zip(single, miner_series(store, quantity.field, single, first, end), strict=True)
        )
        if FLEET in names:
            actual[FLEET] = _fleet(store, quantity, None, first, end)[0]
        rows = _Rows()
        for row in told:
            begin = int(row["time"].timestamp())
            place = (begin - first) // HOUR_S
            hours = actual[row["miner_id"]][place : place + quantity.horizon]
            rows.add(
                begin,
                **{name: row[name] for name in ("miner_id", "quantity", "model")},
                **scored(row, hours, mean=quantity.mean),
            )
        written += write_changed(store, [build_frame("forecast_score", rows.times, rows.columns)])
    return written


def scored(row: Mapping[str, Any], hours: Floats, *, mean: bool) -> dict[str, Any]:
    """Fields of ``forecast_score`` from a row of ``forecast`` and what the hours of its period became. Pure.

    Hours that are not known are taken for the mean of those that are, while three quarters are known.
    """
    coverage = float((~np.isnan(hours)).mean())
    nothing: dict[str, Any] = dict.fromkeys(("actual", "error", "mase", "naive_error", "inside"))
    if coverage < KNOWN_ENOUGH:
        known = int((~np.isnan(hours)).sum())
        return {**nothing, "coverage": coverage, "reason": f"{known} of {len(hours)} hours are known"}
    actual = float(np.nanmean(hours)) * (1 if mean else len(hours))
    value, naive, scale, low, high = (row[name] for name in ("value", "naive", "naive_mae", "low", "high"))
    error = value - actual
    return {
        "actual": actual,
        "error": error,
        "mase": abs(error) / scale if scale is not None and scale > 0 else None,
        "naive_error": None if naive is None else naive - actual,
        "inside": None if low is None or high is None else low <= actual <= high,
        "coverage": coverage,
        "reason": "",  # a null would leave the reason that stood before late data came
    }


def _fleet(store: Store, quantity: Quantity, miners: Sequence[str] | None, start: int, stop: int) -> Floats:
    names = _heard(store, quantity, start, stop) if miners is None else sorted(miners)
    return fleet_series(miner_series(store, quantity.field, names, start, stop))


def _heard(store: Store, quantity: Quantity, start: int, stop: int) -> list[str]:
    name, tier = ("miner_telemetry", Tier.HOURLY) if quantity.field == "hashrate" else ("financial_metrics", Tier.RAW)
    column = "hashrate_hs_seconds" if quantity.field == "hashrate" else quantity.field
    table = store.read(MEASUREMENTS[name], tier, start, stop, columns=[column])
    return sorted({one for one in table["miner_id"].unique().to_pylist() if one not in (None, FLEET)})


def _there(store: Store, quantity: Quantity, start: int, stop: int) -> set[tuple[str, int]]:
    table = store.read(
        MEASUREMENTS["forecast"], Tier.RAW, start, stop, where={"quantity": quantity.name}, columns=["horizon_s"]
    )
    times = [int(time.timestamp()) for time in table["time"].to_pylist()]
    return set(zip(table["miner_id"].to_pylist(), times, strict=True))
