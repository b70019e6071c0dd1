"""Rows in memory behind the two questions that a watch asks of a store; test_farm.py asks a real one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa

from storage.arrow_schema import answer_schema
from storage.declaration import Measurement, Tier
from storage.frame import Frame, Value, build_frame
from storage.store import Where


class Shelf:
    """Keeps frames; a row of the same series and time replaces the one before."""

    name = "shelf"

    def __init__(self) -> None:
        self._rows: dict[str, dict[tuple[Value, ...], dict[str, Value]]] = {}

    def write(self, frames: Sequence[Frame]) -> None:
        for frame in frames:
            kept = self._rows.setdefault(frame.measurement, {})
            for number, time in enumerate(frame.times):
                row = {name: column[number] for name, column in frame.columns.items()} | {"time": time}
                kept[(*(row.get(tag) for tag in frame.declared.tag_names), time)] = row

    def read(
        self, measurement: Measurement, tier: Tier, start: int, stop: int, *, columns: Sequence[str] | None = None,
        where: Where | None = None,
    ) -> pa.Table:  # fmt: skip
        rows = [row for row in self._rows.get(measurement.name, {}).values() if start <= int(str(row["time"])) < stop]
        return _table(measurement, [row for row in rows if _fits(row, where)], columns)

    def newest(
        self, measurement: Measurement, since: int, *, where: Where | None = None, before: int | None = None
    ) -> pa.Table:
        found: dict[tuple[Value, ...], dict[str, Value]] = {}
        for key, row in sorted(self._rows.get(measurement.name, {}).items(), key=lambda item: str(item[0][-1])):
            if since <= int(str(key[-1])) < (before or 2**62) and _fits(row, where):
                found[key[:-1]] = row
        return _table(measurement, list(found.values()), None)

    def close(self) -> None:
        pass


def _fits(row: Mapping[str, Value], where: Where | None) -> bool:
    return all(row.get(tag) in ([value] if isinstance(value, str) else value) for tag, value in (where or {}).items())


def _table(measurement: Measurement, rows: Sequence[Mapping[str, Value]], columns: Sequence[str] | None) -> pa.Table:
    schema = answer_schema(measurement, Tier.RAW, columns)
    arrays = [
        pa.array([row.get(field.name) for row in rows], pa.int64() if field.name == "time" else field.type).cast(
            field.type
        )
        for field in schema
    ]
    return pa.table(arrays, schema=schema)


def rows(measurement: str, *given: Mapping[str, Value], time: int) -> Frame:
    """A frame of rows written as mappings; ``time`` is of those that have none of their own."""
    names = {name for row in given for name in row} - {"time"}
    columns: dict[str, Sequence[Value]] = {name: [row.get(name) for row in given] for name in names}
    return build_frame(measurement, [int(row.get("time") or time) for row in given], columns)
