"""What is read today against what is stored: which fields of which rows differ, and the rows that put it right."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from storage.declaration import MEASUREMENTS, Measurement
from storage.frame import Frame, build_frame
from tasks.miners.redaction import MASK

if TYPE_CHECKING:
    import pyarrow as pa

REREAD = (
    "miner_telemetry", "miner_board", "miner_fan", "miner_pool", "miner_error", "miner_configuration",
)  # fmt: skip
"""Measurements that a driver's records become."""

NOT_COMPARED = frozenset({"poll_ms"})
"""How long the poll took is not in the answers; it stays as it was stored."""

Key = tuple[int, tuple[str | None, ...]]
"""Time and tags of a row."""


class Example(msgspec.Struct, frozen=True):
    """One value that differs."""

    time: int
    tags: dict[str, str | None]
    stored: Any
    read: Any


class FieldDifference(msgspec.Struct):
    """How often one field differs. ``withheld`` counts values that are stored and that today's reading leaves out: the
    stores merge rows field by field, so these stay."""

    changed: int = 0
    added: int = 0
    withheld: int = 0
    example: Example | None = None


class Difference(msgspec.Struct):
    """``fields`` by ``measurement.field``. ``rows_gone`` are stored and not read today; they stay as they are."""

    rows: int = 0
    rows_changed: int = 0
    rows_added: int = 0
    rows_gone: int = 0
    fields: dict[str, FieldDifference] = {}

    def add(self, other: Difference) -> None:
        """Count ``other`` in."""
        self.rows += other.rows
        self.rows_changed += other.rows_changed
        self.rows_added += other.rows_added
        self.rows_gone += other.rows_gone
        for name, found in other.fields.items():
            known = self.fields.setdefault(name, FieldDifference())
            known.changed += found.changed
            known.added += found.added
            known.withheld += found.withheld
            known.example = known.example or found.example


def compared(stored: Mapping[str, pa.Table], read: Iterable[Frame], slots: set[int]) -> tuple[Difference, list[Frame]]:
    """Compare what is ``stored`` (tables by measurement) with what was ``read``, at ``slots``.

    Returns the difference, and frames of the values that would be stored otherwise, whole rows where one is missing.
    """
    difference = Difference()
    corrections: list[Frame] = []
    frames: dict[str, list[Frame]] = {}
    for frame in read:
        frames.setdefault(frame.measurement, []).append(frame)
    for name in REREAD:
        declared = MEASUREMENTS[name]
        before = _rows_of_table(declared, stored[name], slots) if name in stored else {}
        after = {key: row for frame in frames.get(name, ()) for key, row in _rows_of_frame(declared, frame)}
        corrections += _compare(declared, before, after, difference)
    return difference, corrections


def _compare(
    declared: Measurement, before: dict[Key, dict[str, Any]], after: dict[Key, dict[str, Any]], difference: Difference
) -> list[Frame]:
    times: list[int] = []
    rows: list[dict[str, Any]] = []
    for key, row in after.items():
        difference.rows += 1
        old = before.get(key)
        tags = dict(zip(declared.tag_names, key[1], strict=True))
        right: dict[str, Any] = {}
        differs = False
        for field in declared.field_by_name:
            was, now = (old or {}).get(field), row.get(field)
            if field in NOT_COMPARED or was == now:
                continue
            if isinstance(now, str) and MASK in now and old is not None:
                continue  # what is stored was read before the mask
            differs = True
            if old is not None:
                found = difference.fields.setdefault(f"{declared.name}.{field}", FieldDifference())
                found.changed += was is not None and now is not None
                found.added += was is None
                found.withheld += now is None
                found.example = found.example or Example(key[0], tags, was, now)
            if now is not None:
                right[field] = now
        if old is None:
            difference.rows_added += 1
        elif differs:
            difference.rows_changed += 1
        if right:
            times.append(key[0])
            rows.append(tags | right)
    difference.rows_gone += len(before.keys() - after.keys())
    if not rows:
        return []
    names = [name for name in (*declared.tag_names, *declared.field_by_name) if any(name in row for row in rows)]
    return [build_frame(declared.name, times, {name: [row.get(name) for row in rows] for name in names})]


def _rows_of_table(declared: Measurement, table: pa.Table, slots: set[int]) -> dict[Key, dict[str, Any]]:
    rows = {}
    for row in table.to_pylist():
        time = int(row["time"].timestamp())
        if time in slots:
            rows[time, tuple(row[tag] for tag in declared.tag_names)] = row
    return rows


def _rows_of_frame(declared: Measurement, frame: Frame) -> Iterable[tuple[Key, dict[str, Any]]]:
    for at, time in enumerate(frame.times):
        row = {name: column[at] for name, column in frame.columns.items()}
        yield (time, tuple(row.get(tag) for tag in declared.tag_names)), row
