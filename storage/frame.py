"""A frame: rows of one measurement, kept by column. What drivers' records become and what the spool holds.

Shape: ``times`` has one whole UTC second per row; ``columns`` maps declared tag and field names to lists as long as
``times``. A column that is absent is null in every row. A null tag is left out of the series, a null field is missing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from types import NoneType
from typing import Any

import msgspec
import numpy as np

from storage.declaration import MEASUREMENTS, Field, Measurement, Type
from storage.errors import FrameError

Value = float | int | bool | str | None

_INT64 = range(-(2**63), 2**63)


class Frame(msgspec.Struct, frozen=True, array_like=True):
    """Rows of one measurement by column; build it with :func:`build_frame`, which checks it."""

    measurement: str
    times: list[int]
    columns: dict[str, list[Any]]

    def __len__(self) -> int:
        return len(self.times)

    @property
    def declared(self) -> Measurement:
        """Declaration of the measurement."""
        return MEASUREMENTS[self.measurement]

    def parts(self, most: int) -> Iterator[Frame]:
        """The same rows in order, as frames of at most ``most`` rows; one that is not longer is given as it is."""
        if len(self) <= most:
            yield self
            return
        for start in range(0, len(self), most):
            rows = slice(start, start + most)
            yield Frame(self.measurement, self.times[rows], {name: c[rows] for name, c in self.columns.items()})


def build_frame(measurement: str, times: Sequence[int], columns: Mapping[str, Sequence[Value]]) -> Frame:
    """Check and coerce rows of ``measurement`` against its declaration.

    NaN and infinities become null (line protocol has neither). Whole floats are taken for integers, integers for
    floats. Rows in which every field is null are left out: nothing could be stored of them.

    Raises:
        FrameError: unknown measurement or column, wrong length, a value of another type, an integer beyond int64;
            names column and row.
    """
    declared = MEASUREMENTS.get(measurement)
    if declared is None:
        raise FrameError(f"measurement {measurement!r} is not declared; see docs/data-dictionary.md")
    checked: dict[str, list[Value]] = {}
    for name, values in columns.items():
        if len(values) != len(times):
            raise FrameError(f"{measurement}.{name}: {len(values)} values for {len(times)} times")
        field = declared.field_by_name.get(name)
        if field is not None:
            checked[name] = _coerced(measurement, field, values)
        elif name in declared.tag_names:
            checked[name] = _tags(measurement, name, values)
        else:
            raise FrameError(f"{measurement}.{name} is not declared; see docs/data-dictionary.md")
    for row, time in enumerate(times):
        if type(time) is not int:
            raise FrameError(f"{measurement}.time row {row}: expected whole seconds as int, got {time!r}")
    checked = {name: column for name, column in checked.items() if any(value is not None for value in column)}
    fields = [column for name, column in checked.items() if name in declared.field_by_name]
    kept = [row for row, filled in enumerate(_any_filled(fields, len(times))) if filled]
    if len(kept) < len(times):
        return Frame(
            measurement, [times[row] for row in kept], {n: [c[row] for row in kept] for n, c in checked.items()}
        )
    return Frame(measurement, list(times), checked)


def _any_filled(fields: list[list[Value]], rows: int) -> list[bool]:
    if any(None not in column for column in fields):
        return [True] * rows
    return [any(column[row] is not None for column in fields) for row in range(rows)]


def _tags(measurement: str, name: str, values: Sequence[Value]) -> list[Value]:
    if set(map(type, values)) <= {str, NoneType} and "" not in values:
        return list(values)
    return [_tag(measurement, name, row, value) for row, value in enumerate(values)]


def _tag(measurement: str, name: str, row: int, value: Value) -> str | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise FrameError(f"{measurement}.{name} row {row}: a tag is a string, got {value!r}")
    return value


def _coerced(measurement: str, field: Field, values: Sequence[Value]) -> list[Value]:
    if _fits_as_it_is(field.type, values):
        return list(values)
    check = _CHECKS[field.type]
    try:
        return [None if value is None else check(value) for value in values]
    except (TypeError, ValueError):
        pass
    for row, value in enumerate(values):  # the slow way again, to name the row
        try:
            if value is not None:
                check(value)
        except (TypeError, ValueError) as error:
            raise FrameError(
                f"{measurement}.{field.name} row {row}: expected {field.type.value}, got {value!r}"
            ) from error
    raise AssertionError("unreachable: a value that failed once passes now")


def _fits_as_it_is(kind: Type, values: Sequence[Value]) -> bool:
    """Whether no value needs a change, told without a call per value: nearly every column of a poll is like that."""
    if not set(map(type, values)) <= {_PYTHON[kind], NoneType}:
        return False
    filled: list[Any] = [value for value in values if value is not None]
    if kind is Type.FLOAT:
        return math.isfinite(sum(filled))
    return kind is not Type.INTEGER or not filled or (min(filled) in _INT64 and max(filled) in _INT64)


def _float(value: Value) -> float | None:
    if isinstance(value, bool | str):
        raise TypeError
    number = float(value)  # type: ignore[arg-type]
    return number if math.isfinite(number) else None


def _integer(value: Value) -> int | None:
    if isinstance(value, bool | str):
        raise TypeError
    if isinstance(value, float) and not math.isfinite(value):
        return None
    number = int(value)  # type: ignore[arg-type]
    if number != value or number not in _INT64:
        raise ValueError
    return number


def _boolean(value: Value) -> bool:
    if not isinstance(value, bool | np.bool_):
        raise TypeError
    return bool(value)


def _string(value: Value) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


_PYTHON: dict[Type, type] = {Type.FLOAT: float, Type.INTEGER: int, Type.BOOLEAN: bool, Type.STRING: str}
_CHECKS = {Type.FLOAT: _float, Type.INTEGER: _integer, Type.BOOLEAN: _boolean, Type.STRING: _string}
