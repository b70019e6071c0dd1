"""A store as plain as can be: frames in files, read afresh for every question. Shared between processes by its folder.

It answers reads of raw rows by the words of storage/store.py, row by row, so that the page's tests need no other room.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa

from storage.declaration import Measurement, Tier, Type
from storage.declaration.rollup import rollup_columns
from storage.errors import StoreError
from storage.frame import Frame
from storage.store import Where

_ARROW = {Type.FLOAT: pa.float64(), Type.INTEGER: pa.int64(), Type.BOOLEAN: pa.bool_(), Type.STRING: pa.string()}
_AGGREGATE: dict[str, Callable[[list[Any]], Any]] = {
    "mean": lambda values: sum(values) / len(values),
    "min": min,
    "max": max,
    "sum": sum,
    "count": len,
    "last": lambda values: values[-1],
}


def write(root: Path, frames: Sequence[Frame]) -> None:
    """Add frames; a file named ``away`` in ``root`` makes the store fail."""
    root.mkdir(parents=True, exist_ok=True)
    number = len(list(root.glob("*.frames")))
    draft = root / f"{number:06d}.draft"
    draft.write_bytes(msgspec.msgpack.encode(list(frames)))
    draft.rename(draft.with_suffix(".frames"))


class FramesStore:
    def __init__(self, root: Path) -> None:
        self._root = root

    @property
    def name(self) -> str:
        return "frames"

    def _rows(self, measurement: Measurement, start: int, stop: int, where: Where | None) -> list[dict[str, Any]]:
        if (self._root / "away").exists():
            raise StoreError("the store refused the connection")
        merged: dict[tuple[Any, ...], dict[str, Any]] = {}
        for path in sorted(self._root.glob("*.frames")):
            for frame in msgspec.msgpack.decode(path.read_bytes(), type=list[Frame]):
                if frame.measurement != measurement.name:
                    continue
                for index, time in enumerate(frame.times):
                    row = {name: values[index] for name, values in frame.columns.items() if values[index] is not None}
                    if start <= time < stop and _meets(row, where or {}):
                        key = (*(row.get(tag, "") for tag in measurement.tag_names), time)
                        merged.setdefault(key, {"time": time}).update(row)
        return [merged[key] for key in sorted(merged)]

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
        if tier is Tier.RAW:
            fields = {field.name: _ARROW[field.type] for field in measurement.fields}
            rows = self._rows(measurement, start, stop, where)
        else:
            fields = {column.name: _ARROW[column.type] for column in rollup_columns(measurement)}
            rows = []
        wanted = {name: fields[name] for name in (fields if columns is None else columns)}
        return _table(rows, measurement.tag_names, wanted)

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
        if start % every_s or stop % every_s:
            raise ValueError("not aligned")
        groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
        for row in self._rows(measurement, start, stop, where):
            key = (*(row.get(tag, "") for tag in by), row["time"] // every_s * every_s)
            groups.setdefault(key, []).append(row)
        rows = []
        for key in sorted(groups):
            found: dict[str, Any] = {**dict(zip(by, key, strict=False)), "time": key[-1]}
            for field, aggregate in aggregates.items():
                values = [row[field] for row in sorted(groups[key], key=lambda row: row["time"]) if field in row]
                found[f"{field}_{aggregate}"] = _AGGREGATE[aggregate](values) if values else None
            rows.append(found)
        return _table(rows, by, {f"{field}_{aggregate}": pa.float64() for field, aggregate in aggregates.items()})

    def newest(
        self, measurement: Measurement, since: int, *, before: int | None = None, where: Where | None = None
    ) -> pa.Table:
        newest: dict[tuple[Any, ...], dict[str, Any]] = {}
        for row in self._rows(measurement, since, before or 2**62, where):
            newest[tuple(row.get(tag, "") for tag in measurement.tag_names)] = row
        fields = {field.name: _ARROW[field.type] for field in measurement.fields}
        return _table(list(newest.values()), measurement.tag_names, fields)

    def replace(self, measurement: Measurement, tier: Tier, start: int, stop: int, rows: pa.Table) -> None:
        raise NotImplementedError

    def write(self, frames: Sequence[Frame]) -> None:
        write(self._root, frames)

    def close(self) -> None:
        pass


def _meets(row: dict[str, Any], where: Where) -> bool:
    return all(row.get(tag) in ([wanted] if isinstance(wanted, str) else wanted) for tag, wanted in where.items())


def _table(rows: Sequence[dict[str, Any]], tags: Sequence[str], fields: Mapping[str, pa.DataType]) -> pa.Table:
    schema = pa.schema([("time", pa.timestamp("s", "UTC")), *((tag, pa.string()) for tag in tags), *fields.items()])
    return pa.Table.from_pylist([{name: row.get(name) for name in schema.names} for row in rows], schema=schema)
