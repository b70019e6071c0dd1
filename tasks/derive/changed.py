"""Writing derived rows only where they would change something: done again, nothing is written."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from storage.declaration import Measurement, Tier
from storage.frame import Frame, build_frame
from storage.store import Store

_SAME = 1e-9


def write_changed(store: Store, frames: Sequence[Frame]) -> int:
    """Write rows of ``frames`` that are not stored, or stored otherwise; returns how many. A null takes no value back,
    in any store, so it is no change.

    Raises:
        TryAgain: the store does not answer.
    """
    changed = [kept for frame in frames if frame.times and (kept := _changed(store, frame)).times]
    if changed:
        store.write(changed)
    return sum(map(len, changed))


def _changed(store: Store, frame: Frame) -> Frame:
    declared = frame.declared
    table = store.read(declared, Tier.RAW, min(frame.times), max(frame.times) + 1)
    stored = {_key(declared, int(row["time"].timestamp()), row): row for row in table.to_pylist()}
    kept = []
    for number, time in enumerate(frame.times):
        row = {name: values[number] for name, values in frame.columns.items()}
        before = stored.get(_key(declared, time, row))
        if before is None or not _same(declared, row, before):
            kept.append(number)
    columns = {name: [values[number] for number in kept] for name, values in frame.columns.items()}
    return build_frame(declared.name, [frame.times[number] for number in kept], columns)


def _key(declared: Measurement, time: int, row: Mapping[str, Any]) -> tuple[Any, ...]:
    return (time, *(row.get(tag) or None for tag in declared.tag_names))


def _same(declared: Measurement, row: Mapping[str, Any], before: Mapping[str, Any]) -> bool:
    for field in declared.fields:
        value, stood = row.get(field.name), before[field.name]
        if value is None:
            continue
        if isinstance(value, float) and stood is not None:
            if not math.isclose(value, stood, rel_tol=_SAME if field.exact else 1e-4, abs_tol=1e-12):
                return False
        elif value != stood:
            return False
    return True
