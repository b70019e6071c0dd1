"""Writing derived rows only where they would change something: done again, nothing is written."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from storage.declaration import Measurement, Tier
from storage.frame import Frame, build_frame
from storage.store import Store

_SAME = 1e-9
_SAME_ROUNDED = 1e-4
"""Of fields that stores keep to 16 significant bits."""


def write_changed(
    store: Store, frames: Sequence[Frame], *, compared_from: int = 0, regardless_of: Collection[str] = ()
) -> int:
    """Write rows of ``frames`` that are not stored, or stored otherwise; returns how many. A null takes no value back,
    in any store, so it is no change.

    Rows before ``compared_from`` (Unix seconds) are written only where none is stored. Fields ``regardless_of`` alone
    make no difference.

    Raises:
        TryAgain: the store does not answer.
    """
    made = [changed_rows(store, frame, compared_from, regardless_of) for frame in frames if frame.times]
    changed = [frame for frame in made if frame.times]
    if changed:
        store.write(changed)
    return sum(map(len, changed))


def changed_rows(store: Store, frame: Frame, compared_from: int = 0, regardless_of: Collection[str] = ()) -> Frame:
    """Those rows of ``frame``, which has some, that :func:`write_changed` would write.

    Raises:
        TryAgain: the store does not answer.
    """
    declared = frame.declared
    table = store.read(declared, Tier.RAW, min(frame.times), max(frame.times) + 1)
    stored = {_key(declared, int(row["time"].timestamp()), row): row for row in table.to_pylist()}
    kept = []
    for number, time in enumerate(frame.times):
        row = {name: values[number] for name, values in frame.columns.items()}
        before = stored.get(_key(declared, time, row))
        if before is None or (time >= compared_from and not _same(declared, row, before, regardless_of)):
            kept.append(number)
    columns = {name: [values[number] for number in kept] for name, values in frame.columns.items()}
    return build_frame(declared.name, [frame.times[number] for number in kept], columns)


def _key(declared: Measurement, time: int, row: Mapping[str, Any]) -> tuple[Any, ...]:
    return (time, *(row.get(tag) or None for tag in declared.tag_names))


def _same(
    declared: Measurement, row: Mapping[str, Any], before: Mapping[str, Any], regardless_of: Collection[str]
) -> bool:
    for field in declared.fields:
        value, stood = row.get(field.name), before[field.name]
        if value is None or field.name in regardless_of:
            continue
        if isinstance(value, float) and stood is not None:
            if not math.isclose(value, stood, rel_tol=_SAME if field.exact else _SAME_ROUNDED, abs_tol=1e-12):
                return False
        elif value != stood:
            return False
    return True
