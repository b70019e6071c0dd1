"""``source_quality`` of the days that are over: what is due is written, then marked; a day and kind at a time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from storage.declaration import MEASUREMENTS, Tier
from storage.downsample.books import rolled_windows
from storage.downsample.rollup import DAY_S, window_of
from storage.downsample.run import GRACE_S
from storage.frame import Frame, build_frame
from storage.store import Store
from tasks.derive.changed import changed_rows, write_changed
from tasks.derive.hour_grid import Floats, ratio, words_of
from tasks.derive.source_quality import figures
from tasks.derive.source_quality.readings import HISTORY_S, Readings, read_day
from tasks.derive.source_quality.sources import KINDS, Intervals
from tasks.derive.windows import Inputs, Window, due_windows, mark_derived
from tasks.overrides.stretches import PausedTime, pauses_of_sources, stretches_by_hand

SOURCE_QUALITY = MEASUREMENTS["source_quality"]
INPUTS = (*(kind.measurement.name for kind in KINDS), "worker_match")
HORIZON_S = 28 * DAY_S
"""How far back days are looked for: raw readings of miners are kept 30 days by default."""
_SILENT = 1
"""Mark of a day of which nothing is rolled up. Data that comes for it gives another, so it is due again."""

_LATE = "late_data"


@dataclass(frozen=True, slots=True)
class SourceQualityReport:
    """Rows written, and days that they are of."""

    rows: int = 0
    days: int = 0


def derive_source_quality(
    store: Store, intervals: Intervals, now: int, horizon_s: int = HORIZON_S
) -> SourceQualityReport:
    """Write what is due at ``now`` (Unix seconds) of the days since ``horizon_s`` ago.

    Raises:
        TryAgain: the store does not answer; what was not marked stays due.
    """
    first = window_of(now - horizon_s, DAY_S)
    noted = rolled_windows(store, SOURCE_QUALITY, Tier.DAILY, first, now)
    due = [
        one for one in due_windows(store, SOURCE_QUALITY.name, Inputs(INPUTS), now, horizon_s) if one.tier is Tier.DAILY
    ]
    due += _silent_days(store, first, now, set(noted) | {one.start for one in due})
    report = SourceQualityReport()
    for day in sorted(due, key=lambda one: one.start):
        frames = quality_frames(store, intervals, day.start)
        if day.start in noted:
            frames = [_with_late_data(store, frame) for frame in frames if frame.times]
        written = write_changed(store, frames)
        mark_derived(store, SOURCE_QUALITY.name, [day])
        report = SourceQualityReport(report.rows + written, report.days + 1)
    return report


def _silent_days(store: Store, first: int, now: int, known: set[int]) -> list[Window]:
    """Days that are over, after the first that has data, of which no hour of anything is rolled up or waits to be."""
    hours = [
        hour
        for name in INPUTS
        for hour in rolled_windows(store, MEASUREMENTS[name], Tier.HOURLY, first - HISTORY_S, now)
    ]
    told = {window_of(hour, DAY_S) for hour in hours}
    over = range(max(first, min(told, default=now)), window_of(now - GRACE_S, DAY_S), DAY_S)
    return [Window(day, Tier.DAILY, _SILENT) for day in over if day not in told | known]


def _with_late_data(store: Store, frame: Frame) -> Frame:
    """``frame`` of a day that was worked out before: sources of which more came since say so, now and ever after."""
    start = frame.times[0]
    stored = store.read(SOURCE_QUALITY, Tier.RAW, start, start + 1, columns=["reason"]).to_pylist()
    late = {(row["kind"], row["source"]) for row in stored if _LATE in (row["reason"] or "").split(",")}
    changed = changed_rows(store, frame, regardless_of=["reason"]).columns
    if changed:
        late |= set(zip(changed["kind"], changed["source"], strict=True))
    columns = frame.columns
    reasons = [
        f"{reason},{_LATE}".lstrip(",") if (kind, source) in late else reason
        for reason, kind, source in zip(columns["reason"], columns["kind"], columns["source"], strict=True)
    ]
    return build_frame(frame.measurement, frame.times, {**columns, "reason": reasons})


def quality_frames(store: Store, intervals: Intervals, start: int) -> list[Frame]:
    """Rows of the day from ``start`` on."""
    frames = []
    for kind in KINDS:
        asked = intervals.get(kind.name, {})
        readings = read_day(store, kind, asked, start, start + DAY_S)
        every = np.array([asked.get(name, np.nan) for name in readings.names], dtype=np.float64)
        by_hand = stretches_by_hand if kind.name == "miner" else pauses_of_sources
        paused = PausedTime(by_hand(store, start, start + DAY_S), readings.names)
        frames.append(_frame(kind.name, readings, every, start, paused, by_series=kind.by_series))
    return frames


def _frame(kind: str, told: Readings, every: Floats, start: int, paused: PausedTime, *, by_series: bool) -> Frame:
    stop, count = start + DAY_S, len(told.names)
    asked = np.where(np.isnan(every), told.first, np.maximum(np.floor(told.first / every) * every, start))
    begins = np.where(told.seen, float(start), asked)
    today = told.times >= start
    rows = figures.slots_filled(told.sources[today], told.series[today], told.times[today], every, count)
    parts = np.bincount(told.pairs[told.pair_is_of_late], minlength=count) if by_series else np.ones(count)
    due = (figures.slots_due(begins, stop, every) - paused.slots(begins, every)) * np.maximum(parts, 1)
    owing = paused.moved_up(np.arange(count), begins)
    times = paused.moved_up(told.sources, told.times.astype(np.float64)).astype(np.int64)
    lags = figures.lags(told.sources, times, owing, stop, every)
    judged, quality = told.judged[~np.isnan(told.quality)], told.quality[~np.isnan(told.quality)]
    qualities = np.bincount(judged, minlength=count).astype(np.float64)
    found, enough = figures.outliers(told.hours, start, told.begin)
    could_tell = np.bincount(told.pairs[enough], minlength=count) > 0
    four = {
        "completeness": np.minimum(ratio(rows, due), 1.0),
        "timeliness": lags.fresh,
        "accuracy": ratio(np.bincount(judged, weights=quality, minlength=count).astype(np.float64), qualities),
        "consistency": 1.0 - ratio(told.conflicting.astype(np.float64), told.compared.astype(np.float64)),
    }
    reason = words_of(
        {
            "completeness:not_configured": np.isnan(every),
            "timeliness:not_configured": np.isnan(every),
            "completeness:paused_by_hand": due == 0,
            "timeliness:paused_by_hand": owing >= stop,
            "paused_by_hand": paused.any(),
            "accuracy:no_rows": rows == 0,
            "accuracy:not_judged": (rows > 0) & (qualities == 0),
            "consistency:nothing_to_compare": told.compared == 0,
            "outliers:too_little_history": ~could_tell,
            "gap": lags.worst_s > figures.FRESH_INTERVALS * every,
        }
    )
    columns: dict[str, Sequence[Any]] = {
        "source": told.names,
        "kind": [kind] * count,
        "score": _numbers(figures.score(np.stack(list(four.values())))),
        **{name: _numbers(values) for name, values in four.items()},
        "rows_due": _counts(due),
        "rows": _counts(rows),
        "failed": _counts(told.failed),
        "lag_median_s": _numbers(lags.median_s),
        "lag_worst_s": _numbers(lags.worst_s),
        "whole_ratio": _numbers(
            ratio(np.bincount(judged[quality >= 1.0], minlength=count).astype(np.float64), qualities)
        ),
        "flagged": _counts(told.flagged),
        "flags": told.flags,
        "compared": _counts(told.compared),
        "conflicting": _counts(told.conflicting),
        "outliers": _counts(np.where(could_tell, np.bincount(told.pairs, weights=found, minlength=count), np.nan)),
        "reason": reason,
    }
    known = np.where(np.isnan(every), ~np.isnan(told.first), ~np.isnan(begins))
    kept = np.flatnonzero(known).tolist()
    return build_frame(
        SOURCE_QUALITY.name,
        [start] * len(kept),
        {name: [values[at] for at in kept] for name, values in columns.items()},
    )


def _numbers(values: Floats) -> list[float | None]:
    return [None if math.isnan(value) else value for value in values.tolist()]


def _counts(values: Any) -> list[int | None]:
    return [None if math.isnan(value) else int(value) for value in np.asarray(values).tolist()]
