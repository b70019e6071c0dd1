"""Measuring the drift of every feature of a day against the four weeks before, into measurement ``feature_drift``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from storage.arrow_schema import numbers
from storage.declaration import MEASUREMENTS, Tier
from storage.declaration.field import Type
from storage.features.rows import newest_versions
from storage.features.table import feature_table, published
from storage.features.view import Feature, FeatureView
from storage.features.views import VIEWS
from storage.frame import Frame, Value, build_frame
from storage.lake.location import LakeLocation
from storage.store import Store
from tasks.derive.changed import write_changed
from tasks.features.drift import ENOUGH_ROWS, Drift, Floats, drift_of_counts, drift_of_numbers

DAY_S = 86_400
REFERENCE_DAYS = 28
CURRENT_DAYS = 1
CURRENT_DAYS_OF_DAILY = 7
"""Of a view with a row a day: a day has too few rows to tell drift from chance."""

LOOKED_BACK_DAYS = 7
"""Days that a run makes up for, where none ran."""

_SETTLED_AFTER_S = 3 * 3600
"""A day is measured once the roll-up and the publication of its last hour are over."""

_FEATURES_AT_ONCE = 8
FEATURE_DRIFT = MEASUREMENTS["feature_drift"]


@dataclass(slots=True)
class DriftReport:
    """Days and features measured; ``drifted`` names those of the newest day that have drifted, ``view.feature``."""

    days: int = 0
    features: int = 0
    drifted: tuple[str, ...] = ()


def measure_due(
    store: Store, root: LakeLocation, now: int, views: Iterable[FeatureView] = VIEWS.values()
) -> DriftReport:
    """Measure the last day that is over and the days before it that nobody measured. The same again changes nothing.

    Raises:
        TryAgain: the store or the lake cannot answer. NeedsHuman: a table is damaged.
    """
    newest = newest_due(now)
    first = newest - (LOOKED_BACK_DAYS - 1) * DAY_S
    told = store.read(FEATURE_DRIFT, Tier.RAW, first, newest + 1, columns=["status"])
    measured = {(int(row["time"].timestamp()), row["view"]) for row in told.to_pylist()}
    report, days = DriftReport(), set()
    for view in views:
        if not feature_table(root, view).exists():
            continue
        for day in range(first, newest + 1, DAY_S):
            if day == newest or (day, view.stored_name) not in measured:
                frame = drift_of_day(root, view, day)
                report.features += write_changed(store, [frame])
                days.update(frame.times)
                if day == newest:
                    report.drifted += _drifted(view, frame)
    report.days = len(days)
    return report


def newest_drift(store: Store, now: int, view: FeatureView | None = None) -> pa.Table:
    """Rows of ``feature_drift`` of the newest day of the last seven that was measured, of ``view`` or of all.

    Raises:
        TryAgain: the store does not answer.
    """
    where = None if view is None else {"view": view.stored_name}
    rows = store.read(FEATURE_DRIFT, Tier.RAW, now - (LOOKED_BACK_DAYS + 1) * DAY_S, now, where=where)
    return rows.filter(pc.equal(rows["time"], pc.max(rows["time"])))


def newest_due(now: int) -> int:
    """Start (Unix seconds) of the newest UTC day that is measured at ``now``."""
    return (now - _SETTLED_AFTER_S) // DAY_S * DAY_S - DAY_S


def compared_windows(view: FeatureView, day: int) -> tuple[int, int, int]:
    """Event times (Unix seconds) that are compared of the UTC day that begins at ``day``: the reference is from the
    first to before the second, what is new from the second to before the third."""
    after = day + DAY_S + view.width_s  # a row is of the end of its window
    current_days = CURRENT_DAYS_OF_DAILY if view.width_s >= DAY_S else CURRENT_DAYS
    middle = after - current_days * DAY_S
    return middle - REFERENCE_DAYS * DAY_S, middle, after


def drift_of_day(root: LakeLocation, view: FeatureView, day: int) -> Frame:
    """Rows of ``feature_drift``, one a feature, of the UTC day that begins at ``day``; none where there are no rows."""
    first, middle, after = compared_windows(view, day)
    columns: dict[str, list[Value]] = {}
    for at in range(0, len(view.features), _FEATURES_AT_ONCE):
        features = view.features[at : at + _FEATURES_AT_ONCE]
        names, table = [feature.name for feature in features], feature_table(root, view)
        old = newest_versions(published(table, view, first, middle, columns=names))
        new = newest_versions(published(table, view, middle, after, columns=names))
        if not new.num_rows:
            return build_frame(FEATURE_DRIFT.name, [], {})
        for feature in features:
            row = _row(feature, old[feature.name], new[feature.name])
            for name, value in {"view": view.stored_name, "feature": feature.name, **row}.items():
                columns.setdefault(name, []).append(value)
    return build_frame(FEATURE_DRIFT.name, [day] * len(view.features), columns)


def _row(feature: Feature, old: pa.ChunkedArray, new: pa.ChunkedArray) -> dict[str, Value]:
    is_number = feature.type in (Type.FLOAT, Type.INTEGER)
    found = drift_of_numbers(_floats(old), _floats(new)) if is_number else drift_of_counts(_counts(old), _counts(new))
    return {
        "status": found.state,
        "psi": found.psi,
        "ks": found.ks,
        "ks_p": found.ks_p,
        "reference_rows": len(old),
        "current_rows": len(new),
        "reference_missing": old.null_count / len(old) if len(old) else None,
        "current_missing": new.null_count / len(new),
        "reference_mean": pc.mean(old).as_py() if is_number else None,
        "current_mean": pc.mean(new).as_py() if is_number else None,
        "reason": _reason(found, len(old), len(new)),
    }


def _reason(found: Drift, old: int, new: int) -> str:
    """Empty where there is none: a null would not take back what a store has."""
    if found.psi is not None:
        return ""
    if min(old, new) >= ENOUGH_ROWS:
        return "no row has a value"
    return f"{old} rows of the weeks before and {new} of now; {ENOUGH_ROWS} are needed of both"


def _floats(column: pa.ChunkedArray) -> Floats:
    filled = pc.fill_null(column.cast(pa.float64()), float("nan")).combine_chunks()
    return np.frombuffer(filled.buffers()[1] or b"", dtype=np.float64)[filled.offset : filled.offset + len(filled)]


def _counts(column: pa.ChunkedArray) -> dict[str | None, int]:
    words = pc.value_counts(column.cast(pa.string()))
    values = pa.StructArray.from_arrays(words.flatten(), names=["value", "count"])
    counts = numbers(values.field("count")).tolist()
    return dict(zip(values.field("value").to_pylist(), counts, strict=True))


def _drifted(view: FeatureView, frame: Frame) -> tuple[str, ...]:
    pairs = zip(frame.columns.get("feature", ()), frame.columns.get("status", ()), strict=True)
    return tuple(f"{view.name}.{feature}" for feature, status in pairs if status == "drifted")
