"""Rows of measurements as a store answers them, and written into one as sinks do, with the hours that they touch."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

from storage.arrow_schema import answer_schema
from storage.declaration import MEASUREMENTS, Tier
from storage.frame import build_frame
from storage.store import Store
from tasks.pools.stored import frame_of_rows

H = 3_600
DAY = 86_400
T = 1_790_000_000 // DAY * DAY
"""A midnight of UTC."""


def table(name: str, rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Rows with ``time`` in Unix seconds as an answer; what is not given is null."""
    declared = MEASUREMENTS[name]
    schema = answer_schema(declared, Tier.RAW)
    given = [
        {column: None for column in declared.columns()}
        | {**row, "time": dt.datetime.fromtimestamp(row["time"], dt.UTC)}
        for row in rows
    ]
    return pa.Table.from_pylist(given, schema)


_touches = iter(range(1, 1_000_000))


def deliver(store: Store, name: str, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows, then the hours that they touch."""
    told = list(rows)
    store.write([frame_of_rows(name, told)])
    hours = sorted({row["time"] // H * H for row in told})
    marks = {"host": ["edge"] * len(hours), "measurement": [name] * len(hours)}
    store.write([build_frame("window_touched", hours, {**marks, "touched_ns": [next(_touches)] * len(hours)})])


def stored(store: Store, name: str, **where: str) -> list[dict[str, Any]]:
    """All rows of a measurement, sorted by tags, then time; ``time`` in Unix seconds."""
    found = store.read(MEASUREMENTS[name], Tier.RAW, 0, 2**32, where=where).to_pylist()
    return [{**row, "time": int(row["time"].timestamp())} for row in found]
