"""What a roll-up keeps of each field: the columns of the hourly and daily tiers (table ``<measurement>_<tier>``).

| kind | columns | of a coarser window |
|---|---|---|
| gauge | ``_mean _min _max _sum _count _last`` | sum of sums / sum of counts, min, max, sums, newest |
| gauge that adds up over time | also ``_integral _seconds _last_at`` | sums, newest |
| counter | ``_inc _count _last _last_at`` | sums, newest; ``_inc`` is aware of resets, after which all is growth |
| boolean state | ``_true_count _count _true_seconds _seconds _last _last_at`` | sums, newest |
| string state | ``_<value>_count _<value>_seconds`` of each value, ``_count _seconds _last _last_at`` | sums, newest |
| text | ``_last`` | newest |

``_count`` counts rows in which the field is not null, so that sums of counts stay exact over any number of tiers.

``_seconds`` are seconds of the window in which the field was known: a row stands until the next row of its series, but
for ``Measurement.stands_s`` at most, and windows cut it exactly. So rows that are polled more often while something
goes on weigh no more, and time that nobody knows anything of is in no state. ``_integral`` is value x seconds: of a
power its energy in J; ``_integral / _seconds`` is the mean over time where ``_mean`` is the mean over rows. A window
without any row of the series has no roll-up, and so no seconds.

``_last_at`` is the Unix time of the row that ``_last`` is of. Both together are what the next window starts from. Of a
counter they tell where it stands: rows that a clock dated too late (storage/downsample/growth.py) do not lower it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from storage.declaration.field import Field, Kind, Type
from storage.declaration.measurement import Measurement


@dataclass(frozen=True, slots=True)
class RollupColumn:
    """One column of a roll-up: ``aggregate`` of ``field``; ``value`` is set for those of one state value."""

    name: str
    field: Field
    aggregate: str
    type: Type
    value: str | None = None

    @property
    def unit(self) -> str:
        """Unit of the column."""
        if self.aggregate.endswith("count"):
            return "count"
        if self.aggregate.endswith("seconds") or self.aggregate == "last_at":
            return "s"
        if self.aggregate == "integral":
            return _INTEGRATED.get(self.field.unit, f"{self.field.unit} x s")
        return self.field.unit

    @property
    def meaning(self) -> str:
        """What it tells, in words that begin with the aggregate."""
        value = f" {self.value}," if self.value else ""
        return f"{_OF[self.aggregate]}{value} {self.field.meaning}"


_OF = {
    "mean": "mean of",
    "min": "least",
    "max": "greatest",
    "sum": "sum of",
    "count": "rows that have",
    "last": "newest",
    "last_at": "Unix time of the newest",
    "inc": "growth of",
    "integral": "value x seconds of",
    "seconds": "seconds in which was known:",
    "true_count": "rows in which it holds:",
    "true_seconds": "seconds in which it held:",
    "value_count": "rows in that state:",
    "value_seconds": "seconds in that state:",
}

_INTEGRATED = {"W": "J", "H/s": "hashes"}
"""Unit of value x seconds."""


def rollup_columns(measurement: Measurement) -> tuple[RollupColumn, ...]:
    """Columns of the hourly and daily tiers of ``measurement``, in declared order."""
    return tuple(column for field in measurement.fields for column in _columns_of(field))


def timed_fields(measurement: Measurement) -> tuple[Field, ...]:
    """Fields whose rows stand for seconds. A row that has none of them says nothing and ends nothing."""
    return tuple(field for field in measurement.fields if field.kind is Kind.STATE or field.integrated)


def carried_fields(measurement: Measurement) -> tuple[Field, ...]:
    """Fields of which a window must know where the one before ended: the timed ones and counters."""
    timed = timed_fields(measurement)
    return tuple(field for field in measurement.fields if field in timed or field.kind is Kind.COUNTER)


def carried_columns(measurement: Measurement) -> list[str]:
    """Columns of a roll-up that the next window starts from."""
    return [f"{field.name}_{end}" for field in carried_fields(measurement) for end in ("last", "last_at")]


def _columns_of(field: Field) -> Iterator[RollupColumn]:
    def column(aggregate: str, kind: Type = Type.INTEGER) -> RollupColumn:
        return RollupColumn(f"{field.name}_{aggregate}", field, aggregate, kind)

    def of_value(value: str, what: str) -> RollupColumn:
        name = f"{field.name}_{value.replace('-', '_')}_{what}"
        return RollupColumn(name, field, f"value_{what}", Type.INTEGER, value)

    if field.kind is Kind.TEXT:
        yield column("last", field.type)
        return
    if field.kind is Kind.GAUGE:
        yield column("mean", Type.FLOAT)
        yield column("min", field.type)
        yield column("max", field.type)
        yield column("sum", Type.FLOAT)
    elif field.kind is Kind.COUNTER:
        yield column("inc", field.type)
    elif field.type is Type.BOOLEAN:
        yield column("true_count")
    yield from (of_value(value, "count") for value in field.values)
    yield column("count")
    if field.integrated:
        yield column("integral", Type.FLOAT)
    if field.type is Type.BOOLEAN:
        yield column("true_seconds")
    yield from (of_value(value, "seconds") for value in field.values)
    if field.kind is Kind.STATE or field.integrated:
        yield column("seconds")
    yield column("last", field.type)
    if field.kind is not Kind.GAUGE or field.integrated:
        yield column("last_at")
