"""What a roll-up keeps of each field: the columns of the hourly and daily tiers (table ``<measurement>_<tier>``).

| kind | columns | of a coarser window |
|---|---|---|
| gauge | ``_mean _min _max _sum _count _last`` | sum of sums / sum of counts, min, max, sums, newest |
| counter | ``_inc _last _count`` | sum, newest, sum; ``_inc`` is reset-aware: a fall counts the new value |
| boolean state | ``_true_count _count _last`` | sums, newest |
| string state | ``_<value>_count`` for each value, ``_count _last`` | sums, newest |
| text | ``_last`` | newest |

``_count`` counts rows in which the field is not null, so that sums of counts stay exact over any number of tiers.
"""

from __future__ import annotations

from dataclasses import dataclass

from storage.declaration.field import Field, Kind, Type
from storage.declaration.measurement import Measurement


@dataclass(frozen=True, slots=True)
class RollupColumn:
    """One column of a roll-up: ``aggregate`` of ``field``; ``value`` is set for counts of one state value."""

    name: str
    field: Field
    aggregate: str
    type: Type
    value: str | None = None


def rollup_columns(measurement: Measurement) -> tuple[RollupColumn, ...]:
    """Columns of the hourly and daily tiers of ``measurement``, in declared order."""
    return tuple(column for field in measurement.fields for column in _columns_of(field))


def _columns_of(field: Field) -> list[RollupColumn]:
    def column(aggregate: str, kind: Type, value: str | None = None) -> RollupColumn:
        suffix = f"{value.replace('-', '_')}_count" if value is not None else aggregate
        return RollupColumn(f"{field.name}_{suffix}", field, aggregate, kind, value)

    count = column("count", Type.INTEGER)
    last = column("last", field.type)
    if field.kind is Kind.GAUGE:
        return [
            column("mean", Type.FLOAT),
            column("min", field.type),
            column("max", field.type),
            column("sum", Type.FLOAT),
            count,
            last,
        ]
    if field.kind is Kind.COUNTER:
        return [column("inc", field.type), count, last]
    if field.kind is Kind.TEXT:
        return [last]
    if field.type is Type.BOOLEAN:
        return [column("true_count", Type.INTEGER), count, last]
    return [*(column("value_count", Type.INTEGER, value) for value in field.values), count, last]
