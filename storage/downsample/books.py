"""The books of the roll-up, read: which hours got data, which windows are rolled up and what each roll-up has seen.

They are measurements in the store itself, ``window_touched`` (touch.py), ``window_rolled`` (run.py) and
``window_held`` (holes.py).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from storage.declaration import Measurement, Tier
from storage.declaration.pipeline import WINDOW_HELD, WINDOW_ROLLED, WINDOW_TOUCHED
from storage.downsample.windows import unix_seconds
from storage.store import Store

REDO = 0
DONE = 1


def touched_hours(store: Store, measurement: Measurement, start: int, stop: int) -> dict[int, int]:
    """Hours in ``[start, stop)`` that ever got data, each with the mark that a roll-up of all of it is to get."""
    touched: dict[int, int] = {}
    seen = store.read(WINDOW_TOUCHED, Tier.RAW, start, stop, where={"measurement": measurement.name})
    for hour, touched_ns in _pairs(seen, "touched_ns"):  # xor, since clocks of two hosts need not agree on "newer"
        touched[hour] = touched.get(hour, 0) ^ touched_ns
    return {hour: mark or DONE for hour, mark in touched.items()}


def rolled_windows(store: Store, measurement: Measurement, tier: Tier, start: int, stop: int) -> dict[int, int]:
    """Windows of ``tier`` in ``[start, stop)`` that were ever rolled up, each with its mark; REDO: to be done again."""
    where = {"measurement": measurement.name, "tier": tier.value}
    return dict(_pairs(store.read(WINDOW_ROLLED, Tier.RAW, start, stop, where=where), "covered"))


def held_windows(store: Store, measurement: Measurement, tier: Tier, start: int, stop: int) -> set[int]:
    """Windows of ``tier`` in ``[start, stop)`` whose roll-up stays as it is: rows that it was made of are gone."""
    where = {"measurement": measurement.name, "tier": tier.value}
    held = store.read(WINDOW_HELD, Tier.RAW, start, stop, where=where)
    return {window for window, path in zip(unix_seconds(held).tolist(), held["path"].to_pylist(), strict=True) if path}


def _pairs(table: pa.Table, column: str) -> Iterable[tuple[int, int]]:
    values = np.asarray(table[column].combine_chunks().fill_null(REDO))
    return zip(unix_seconds(table).tolist(), values.tolist(), strict=True)
