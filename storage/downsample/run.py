"""Which windows to roll up, and doing it: restartable at any point, redone for late data, the same for every store.

The books are two measurements in the store itself, so any host can run it: ``window_touched`` (written by sinks after
the data, see touch.py) and ``window_rolled``. An hour is *due* when it is closed and what ``window_touched`` says of it
is not what its roll-up ``covered``. The order of writes makes a kill harmless:

1. what depends on the hour is set to REDO: its day, and later hours already rolled whose counters began where this
   hour ended;
2. the hour's rows are replaced;
3. the hour is marked with what ``window_touched`` said *before* its data was read.

Killed after 1 or 2, the hour is still due and gives the same rows again.
"""

from __future__ import annotations

import time as clock
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from storage.declaration import BUCKETS, MEASUREMENTS, Kind, Measurement, Tier
from storage.declaration.pipeline import WINDOW_ROLLED, WINDOW_TOUCHED
from storage.downsample.rollup import DAY_S, HOUR_S, days_of_hours, hours_of_raw, window_of
from storage.downsample.touch import ROLLED_MEASUREMENTS
from storage.downsample.windows import unix_seconds
from storage.frame import build_frame
from storage.store import Store

GRACE_S = 120
"""A window is closed this long after its end; what comes later is late and makes the window due again."""

COUNTER_MEMORY_S = 24 * HOUR_S
"""A counter that was silent for longer starts anew: growth over a longer hole belongs to no window."""

SLICE_S = 6 * HOUR_S
"""Raw rows are read in slices of at most this many seconds, which bounds memory."""

REDO = 0


@dataclass(slots=True)
class RollupReport:
    """What one run did: windows rolled up per measurement, rows written, and how far each is complete.

    ``watermark`` is the start of the oldest window still due or open, per measurement: before it all is rolled up.
    """

    hours: dict[str, int] = field(default_factory=dict)
    days: dict[str, int] = field(default_factory=dict)
    rows: int = 0
    watermark: dict[str, int] = field(default_factory=dict)


def roll_up(
    store: Store,
    now: int,
    *,
    measurements: Sequence[str] = ROLLED_MEASUREMENTS,
    stop: Callable[[], bool] = lambda: False,
) -> RollupReport:
    """Roll up every closed window of ``measurements`` that is due at ``now`` (Unix seconds).

    ``stop`` is asked between slices; a run that stops early leaves the rest due.

    Raises:
        TryAgain: the store cannot answer; whatever was not marked stays due.
    """
    report = RollupReport()
    for name in measurements:
        if stop():
            break
        _roll_up_one(store, MEASUREMENTS[name], now, report, stop)
    return report


def _roll_up_one(
    store: Store, measurement: Measurement, now: int, report: RollupReport, stop: Callable[[], bool]
) -> None:
    # Raw rows near the end of their retention may be gone in part; rolling them up again would spoil a good roll-up.
    kept_days = BUCKETS[measurement.buckets[Tier.RAW]].retention_days
    horizon = window_of(now - (kept_days - 1) * DAY_S, DAY_S)
    due = _due_hours(store, measurement, now, horizon)
    for part in _slices(sorted(due)):
        if stop():
            break
        _put_off_dependents(store, measurement, part, now)
        first, end = part[0], part[-1] + HOUR_S
        before = store.read(
            measurement, Tier.HOURLY, first - COUNTER_MEMORY_S, first, columns=_counter_lasts(measurement)
        )
        hourly = hours_of_raw(measurement, store.read(measurement, Tier.RAW, first, end), before)
        store.replace(measurement, Tier.HOURLY, first, end, hourly)
        _mark(store, measurement, Tier.HOURLY, {hour: due[hour] for hour in part})
        report.hours[measurement.name] = report.hours.get(measurement.name, 0) + len(part)
        report.rows += hourly.num_rows
    for day in _due_days(store, measurement, now, horizon):
        if stop():
            break
        daily = days_of_hours(measurement, store.read(measurement, Tier.HOURLY, day, day + DAY_S))
        store.replace(measurement, Tier.DAILY, day, day + DAY_S, daily)
        _mark(store, measurement, Tier.DAILY, {day: clock.time_ns()})
        report.days[measurement.name] = report.days.get(measurement.name, 0) + 1
        report.rows += daily.num_rows
    report.watermark[measurement.name] = min(
        [window_of(now - GRACE_S, HOUR_S), *_due_hours(store, measurement, now, horizon)]
    )


def _due_hours(store: Store, measurement: Measurement, now: int, horizon: int) -> dict[int, int]:
    """Closed hours to do, each with the mark that it is to get."""
    touched: dict[int, int] = {}
    seen = store.read(WINDOW_TOUCHED, Tier.RAW, horizon, now, where={"measurement": measurement.name})
    for hour, touched_ns in _pairs(seen, "touched_ns"):  # xor, since clocks of two hosts need not agree on "newer"
        touched[hour] = touched.get(hour, 0) ^ touched_ns
    covered = _marks(store, measurement, Tier.HOURLY, horizon, now)
    return {
        hour: mark or 1
        for hour, mark in touched.items()
        if hour + HOUR_S + GRACE_S <= now and covered.get(hour) != (mark or 1)
    }


def _due_days(store: Store, measurement: Measurement, now: int, horizon: int) -> list[int]:
    if Tier.DAILY not in measurement.buckets:
        return []
    marks = _marks(store, measurement, Tier.DAILY, horizon, now)
    return sorted(day for day, covered in marks.items() if covered == REDO and day + DAY_S + GRACE_S <= now)


def _put_off_dependents(store: Store, measurement: Measurement, hours: Sequence[int], now: int) -> None:
    _mark(store, measurement, Tier.DAILY, {window_of(hour, DAY_S): REDO for hour in hours})
    if any(field.kind is Kind.COUNTER for field in measurement.fields):
        later = _marks(store, measurement, Tier.HOURLY, hours[0] + HOUR_S, hours[-1] + HOUR_S + COUNTER_MEMORY_S)
        doing = set(hours)
        _mark(store, measurement, Tier.HOURLY, {hour: REDO for hour in later if hour not in doing and hour <= now})


def _slices(hours: Sequence[int]) -> Iterable[list[int]]:
    """Runs of neighbouring hours, oldest first, none longer than SLICE_S."""
    part: list[int] = []
    for hour in hours:
        if part and (hour != part[-1] + HOUR_S or hour - part[0] >= SLICE_S):
            yield part
            part = []
        part.append(hour)
    if part:
        yield part


def _counter_lasts(measurement: Measurement) -> list[str]:
    return [f"{field.name}_last" for field in measurement.fields if field.kind is Kind.COUNTER]


def _marks(store: Store, measurement: Measurement, tier: Tier, start: int, stop: int) -> dict[int, int]:
    where = {"measurement": measurement.name, "tier": tier.value}
    return dict(_pairs(store.read(WINDOW_ROLLED, Tier.RAW, start, stop, where=where), "covered"))


def _mark(store: Store, measurement: Measurement, tier: Tier, covered: dict[int, int]) -> None:
    if not covered or tier not in measurement.buckets:
        return
    windows = sorted(covered)
    store.write(
        [
            build_frame(
                "window_rolled",
                windows,
                {
                    "measurement": [measurement.name] * len(windows),
                    "tier": [tier.value] * len(windows),
                    "covered": [covered[window] for window in windows],
                },
            )
        ]
    )


def _pairs(table: pa.Table, column: str) -> Iterable[tuple[int, int]]:
    values = np.asarray(table[column].combine_chunks().fill_null(REDO))
    return zip(unix_seconds(table).tolist(), values.tolist(), strict=True)
