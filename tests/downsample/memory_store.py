"""The smallest store that keeps the promises of storage/store.py: dicts. For tests that need no server."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from storage.declaration import MEASUREMENTS, Measurement, Tier, Type
from storage.declaration.rollup import rollup_columns
from storage.frame import Frame
from storage.store import Where

_TYPES = {Type.FLOAT: pa.float64(), Type.INTEGER: pa.int64(), Type.BOOLEAN: pa.bool_(), Type.STRING: pa.string()}
Key = tuple[tuple[str | None, ...], int]


def fields_of(measurement: Measurement, tier: Tier) -> dict[str, pa.DataType]:
    """Field columns of a tier with their Arrow types."""
    if tier is Tier.RAW:
        return {field.name: _TYPES[field.type] for field in measurement.fields}
    return {column.name: _TYPES[column.type] for column in rollup_columns(measurement)}


class MemoryStore:
    """Rows by stored name and key; duplicates merge field by field, newest non-null value first."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[Key, dict[str, Any]]] = defaultdict(dict)

    @property
    def name(self) -> str:
        return "memory"

    def write(self, frames: Sequence[Frame]) -> None:
        for frame in frames:
            declared = MEASUREMENTS[frame.measurement]
            for row, time in enumerate(frame.times):
                tags = tuple(frame.columns.get(tag, [None] * len(frame))[row] for tag in declared.tag_names)
                kept = self.rows[declared.name].setdefault((tags, time), {})
                for field in declared.field_by_name:
                    value = frame.columns.get(field, [None] * len(frame))[row]
                    if value is not None:
                        kept[field] = value

    def read(
        self,
        measurement: Measurement,
        tier: Tier,
        start: int,
        stop: int,
        *,
        where: Where | None = None,
        columns: Sequence[str] | None = None,
    ) -> pa.Table:
        types = fields_of(measurement, tier)
        names = list(types if columns is None else columns)
        schema = pa.schema(
            [("time", pa.timestamp("s", tz="UTC"))]
            + [(tag, pa.string()) for tag in measurement.tag_names]
            + [(name, types[name]) for name in names]
        )
        rows = []
        for (tags, time), fields in self.rows[measurement.stored_name(tier)].items():
            row = dict(zip(measurement.tag_names, tags, strict=True))
            if start <= time < stop and _fits(row, where):
                rows.append(({"time": time, **row} | {name: fields.get(name) for name in names}, tags))
        rows.sort(key=lambda item: (tuple(tag or "" for tag in item[1]), item[0]["time"]))
        return pa.Table.from_pylist([row for row, _ in rows], schema=schema)

    def windows(
        self,
        measurement: Measurement,
        start: int,
        stop: int,
        every_s: int,
        *,
        aggregates: Mapping[str, str],
        by: Sequence[str] = (),
        where: Where | None = None,
    ) -> pa.Table:
        raise NotImplementedError("no test of the roll-up asks for windows")

    def newest(
        self, measurement: Measurement, since: int, *, before: int | None = None, where: Where | None = None
    ) -> pa.Table:
        raise NotImplementedError("no test of the roll-up asks for the newest row")

    def replace(self, measurement: Measurement, tier: Tier, start: int, stop: int, rows: pa.Table) -> None:
        table = self.rows[measurement.stored_name(tier)]
        for key in [key for key in table if start <= key[1] < stop]:
            del table[key]
        for row in rows.to_pylist():
            time = int(row.pop("time").timestamp())
            tags = tuple(row.pop(tag) for tag in measurement.tag_names)
            table[tags, time] = {name: value for name, value in row.items() if value is not None}

    def close(self) -> None:
        self.rows.clear()


def _fits(row: Mapping[str, str | None], where: Where | None) -> bool:
    return all(row[tag] in ([wanted] if isinstance(wanted, str) else wanted) for tag, wanted in (where or {}).items())
