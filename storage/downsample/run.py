"""Which windows to roll up, and doing it: restartable at any point, redone for late data, the same for every store.

The books are two measurements in the store itself, so any host can run it: ``window_touched`` (written by sinks after
the data, see touch.py) and ``window_rolled``. An hour is *due* when it is closed and what ``window_touched`` says of it
is not what its roll-up ``covered``. The order of writes makes a kill harmless:

1. what depends on the hour is set to REDO: its day, and of every series that ends the hour otherwise than it did (a
   counter's value, a state) the next hour that has rows of it;
2. the hour's rows are replaced;
3. the hour is marked with what ``window_touched`` said *before* its data was read.

Killed after 1 or 2, the hour is still due and gives the same rows again.

A window that ``window_held`` names is never due, and none that is due is done together with it. It is held before its
rows go, so what was read is believed only when none of it is held afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from storage.declaration import BUCKETS, MEASUREMENTS, Measurement, Tier
from storage.declaration.rollup import carried_columns
from storage.downsample.books import DONE, REDO, held_windows, rolled_windows, touched_hours
from storage.downsample.carried import carried_rows, heirs, moves
from storage.downsample.growth import COUNTER_MEMORY_S
from storage.downsample.rollup import DAY_S, HOUR_S, days_of_hours, hours_of_raw, window_of
from storage.downsample.touch import ROLLED_MEASUREMENTS
from storage.downsample.windows import unix_seconds
from storage.errors import TryAgain
from storage.frame import build_frame
from storage.store import Store

GRACE_S = 120
"""A window is closed this long after its end; what comes later is late and makes the window due again."""

SLICE_S = 6 * HOUR_S
"""Raw rows are read in slices of at most this many seconds."""

ROWS_AT_ONCE = 1_000_000
"""A slice holds no more raw rows than about so many, one hour at least: what bounds memory."""


DECLARED_DAYS: Mapping[str, int] = {name: bucket.retention_days for name, bucket in BUCKETS.items()}


@dataclass(slots=True)
class RollupReport:
    """What one run did: windows rolled up per measurement, rows written, and how far each is complete.

    ``watermark`` is the start of the oldest window still due or open, per measurement: before it all is rolled up.
    """

    hours: dict[str, int] = field(default_factory=dict)
    days: dict[str, int] = field(default_factory=dict)
    rows: int = 0
    watermark: dict[str, int] = field(default_factory=dict)

    def __or__(self, other: RollupReport) -> RollupReport:
        """What two runs over different measurements did together."""
        return RollupReport(
            self.hours | other.hours,
            self.days | other.days,
            self.rows + other.rows,
            self.watermark | other.watermark,
        )


def roll_up(
    store: Store,
    now: int,
    *,
    measurements: Sequence[str] = ROLLED_MEASUREMENTS,
    retention_days: Mapping[str, int] = DECLARED_DAYS,
    stop: Callable[[], bool] = lambda: False,
) -> RollupReport:
    """Roll up every closed window of ``measurements`` that is due at ``now`` (Unix seconds).

    ``retention_days`` by bucket is what the configuration says. Raw rows near the end of theirs may be gone in part,
    and rolling up what is left would spoil a good roll-up: such windows stay as they are, whatever comes late for them.
    The same holds of days and hourly rows.
    ``stop`` is asked between slices; a run that stops early leaves the rest due.

    Raises:
        TryAgain: the store cannot answer; whatever was not marked stays due.
    """
    report = RollupReport()
    for name in measurements:
        if stop():
            break
        measurement = MEASUREMENTS[name]
        horizons = {
            tier: window_of(now - (retention_days[measurement.buckets[tier]] - 1) * DAY_S, DAY_S)
            for tier in (Tier.RAW, Tier.HOURLY)
        }
        report |= _rolled_up(store, measurement, horizons, now, stop)
    return report


def _rolled_up(
    store: Store, measurement: Measurement, horizons: Mapping[Tier, int], now: int, stop: Callable[[], bool]
) -> RollupReport:
    report, horizon = RollupReport(), horizons[Tier.RAW]
    held = held_windows(store, measurement, Tier.HOURLY, horizon, now)
    held_days = held_windows(store, measurement, Tier.DAILY, min(horizons.values()), now)
    marks = _closed(store, measurement, horizon, now)
    marks = {hour: mark for hour, mark in marks.items() if hour not in held}
    covered = rolled_windows(store, measurement, Tier.HOURLY, horizon, now)
    covered = {hour: mark for hour, mark in covered.items() if hour not in held}
    due = {hour for hour, mark in marks.items() if covered.get(hour) != mark}
    slice_s = HOUR_S  # nobody knows yet how many rows an hour has
    while due and not stop():
        part = _next_part(due, slice_s, held)
        raw = store.read(measurement, Tier.RAW, part[0], part[-1] + HOUR_S)
        if held_windows(store, measurement, Tier.HOURLY, part[0], part[-1] + HOUR_S) - held:
            raise TryAgain(f"rows of {measurement.name} were set aside while they were rolled up; the next run goes on")
        slice_s = _slice_for(raw.num_rows, len(range(part[0], part[-1] + HOUR_S, HOUR_S)))
        hourly, put_off = _roll_up_hours(store, measurement, raw, part, covered, held_days=held_days)
        del raw
        _mark(store, measurement, {Tier.HOURLY: {hour: marks[hour] for hour in part}})
        covered |= {hour: marks[hour] for hour in part}
        due = (due - set(part)) | (put_off & marks.keys())
        report.hours[measurement.name] = report.hours.get(measurement.name, 0) + len(part)
        report.rows += hourly.num_rows
    report.watermark[measurement.name] = min(due | {window_of(now - GRACE_S, HOUR_S)})
    if Tier.DAILY not in measurement.buckets or due:
        return report
    for day, mark in sorted(rolled_windows(store, measurement, Tier.DAILY, horizons[Tier.HOURLY], now).items()):
        if mark != REDO or day in held_days or day + DAY_S + GRACE_S > now or stop():
            continue
        daily = days_of_hours(measurement, store.read(measurement, Tier.HOURLY, day, day + DAY_S))
        if held_windows(store, measurement, Tier.DAILY, day, day + DAY_S):
            continue
        store.replace(measurement, Tier.DAILY, day, day + DAY_S, daily)
        _mark(store, measurement, {Tier.DAILY: {day: DONE}})
        report.days[measurement.name] = report.days.get(measurement.name, 0) + 1
        report.rows += daily.num_rows
    return report


def _roll_up_hours(
    store: Store,
    measurement: Measurement,
    raw: pa.Table,
    part: Sequence[int],
    covered: dict[int, int],
    *,
    held_days: set[int],
) -> tuple[pa.Table, set[int]]:
    """Write the hourly rows of ``raw``, from the first of ``part`` to its last; returns them, and later hours that
    became due by it. ``held_days`` do not."""
    first, end = part[0], part[-1] + HOUR_S
    names = carried_columns(measurement)
    before = store.read(measurement, Tier.HOURLY, first - COUNTER_MEMORY_S, end, columns=names)
    hourly = hours_of_raw(measurement, raw, _until(before, first))
    put_off: set[int] = set()
    if any(end <= hour <= end + COUNTER_MEMORY_S for hour in covered):
        now = _sorted(pa.concat_tables([_until(before, first), carried_rows(measurement, hourly)]), measurement)
        moved = moves(measurement, before, now)
        if moved:
            after = store.read(measurement, Tier.HOURLY, end, end + COUNTER_MEMORY_S + HOUR_S, columns=names)
            put_off = heirs(measurement, moved, after) & covered.keys()
    days = dict.fromkeys({window_of(hour, DAY_S) for hour in part} - held_days, REDO)
    _mark(store, measurement, {Tier.DAILY: days, Tier.HOURLY: dict.fromkeys(put_off, REDO)})
    store.replace(measurement, Tier.HOURLY, first, end, hourly)
    return hourly, put_off


def _until(table: pa.Table, stop: int) -> pa.Table:
    return table.filter(pa.array(unix_seconds(table) < stop))


def _sorted(table: pa.Table, measurement: Measurement) -> pa.Table:
    return table.sort_by([(name, "ascending") for name in (*measurement.tag_names, "time")])


def _closed(store: Store, measurement: Measurement, horizon: int, now: int) -> dict[int, int]:
    """Closed hours that ever got data, each with the mark that a roll-up of it is to get."""
    touched = touched_hours(store, measurement, horizon, now)
    return {hour: mark for hour, mark in touched.items() if hour + HOUR_S + GRACE_S <= now}


def _next_part(due: set[int], slice_s: int, held: set[int]) -> list[int]:
    """The oldest hours that are due and lie within ``slice_s``, before the next that is ``held``.

    Hours between them are done again with them: a commit costs more than the rows of some hours.
    """
    first = min(due)
    end = min([first + slice_s, *(hour for hour in held if hour > first)])
    return sorted(hour for hour in due if hour < end)


def _slice_for(rows: int, hours: int) -> int:
    """Seconds to read at once where ``hours`` hours had ``rows`` rows."""
    fitting = ROWS_AT_ONCE * hours // max(rows, 1)
    return min(max(fitting, 1) * HOUR_S, SLICE_S)


def _mark(store: Store, measurement: Measurement, covered: Mapping[Tier, Mapping[int, int]]) -> None:
    frames = [
        build_frame(
            "window_rolled",
            sorted(windows),
            {
                "measurement": [measurement.name] * len(windows),
                "tier": [tier.value] * len(windows),
                "covered": [windows[window] for window in sorted(windows)],
            },
        )
        for tier, windows in covered.items()
        if windows and tier in measurement.buckets
    ]
    if frames:
        store.write(frames)
