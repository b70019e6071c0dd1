"""SQL over data files of one table, for DuckDB. Values go as parameters; only declared names are in the text."""
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from storage.arrow_schema import ARROW_TYPES, INGEST_VERSION, field_types, file_schema, fingerprint, former_name
from storage.declaration import Measurement, Tier, Type
from storage.lake.location import LakeLocation
from storage.lake.object_store import READ_SCHEME, ObjectLocation
from storage.lake.snapshot import Part
from storage.store import Where

_SQL_TYPES: Mapping[Type, str] = {
    Type.FLOAT: "DOUBLE",
    Type.INTEGER: "BIGINT",
    Type.BOOLEAN: "BOOLEAN",
    Type.STRING: "VARCHAR",
}

AGGREGATES = ("mean", "min", "max", "sum", "count", "last")


@dataclass(frozen=True, slots=True)
class Query:
    """Text with its parameters, in order."""

    text: str
    parameters: list[Any]


@dataclass(frozen=True, slots=True)
class Selection:
    """Rows of one tier with ``start <= time < stop`` and, for each tag of ``where``, one of its values."""

    measurement: Measurement
    tier: Tier
    start: int
    stop: int
    where: Mapping[str, Sequence[str]]

    @staticmethod
    def of(measurement: Measurement, tier: Tier, start: int, stop: int, where: Where | None) -> Selection:
        """Build one from what a caller of the Store gave.

        Raises:
            ValueError: a tag that the measurement does not have.
        """
        wanted = {tag: [value] if isinstance(value, str) else list(value) for tag, value in (where or {}).items()}
        refuse_unknown_tags(measurement, wanted)
        return Selection(measurement, tier, start, stop, wanted)

    @property
    def tags(self) -> list[str]:
        """Tags as SQL names."""
        return list(map(quoted, self.measurement.tag_names))

    def chosen(self, parts: Sequence[Part]) -> list[Part]:
        """Parts that can hold such rows, by the statistics of the log."""
        return [
            part
            for part in parts
            if part.first < self.stop
            and part.last >= self.start
            and all(
                values and part.low[tag] <= max(values) and part.high[tag] >= min(values)
                for tag, values in self.where.items()
            )
        ]


def quoted(name: str) -> str:
    """``name`` as an SQL identifier."""
    return f'"{name}"'


def refuse_unknown_tags(measurement: Measurement, names: Sequence[str] | Mapping[str, object]) -> None:
    """Raise ValueError for a tag that ``measurement`` does not have."""
    unknown = sorted(set(names) - set(measurement.tag_names))
    if unknown:
        raise ValueError(f"{measurement.name} has no tag {unknown}; it has {list(measurement.tag_names)}")


def sorted_rows(selection: Selection, parts: Sequence[Part], columns: Sequence[str]) -> Query:
    """``time``, tags and ``columns`` of the selection, sorted by tags, then time."""
    rows = _rows(selection, parts, columns)
    order = ", ".join(f"{name} NULLS FIRST" for name in (*selection.tags, "time"))
    return Query(f"SELECT * FROM ({rows.text}) ORDER BY {order}", rows.parameters)


def rows_of(selection: Selection, parts: Sequence[Part], columns: Sequence[str]) -> Query:
    """``time``, tags and ``columns`` of the selection in no order: what a view of the table shows."""
    return _rows(selection, parts, columns)


def newest_rows(selection: Selection, parts: Sequence[Part], columns: Sequence[str]) -> Query:
    """The newest row of every series, whole: nulls stay, which ``arg_max`` of each field would pass over."""
    rows = _rows(selection, parts, columns)
    keys = _rows(selection, parts, [])
    tags = ", ".join(selection.tags)
    latest = f"SELECT {tags}, max(time) AS time FROM ({keys.text}) GROUP BY {tags}"
    same = " AND ".join(f"rows.{tag} IS NOT DISTINCT FROM latest.{tag}" for tag in selection.tags)
    order = ", ".join(f"rows.{tag} NULLS FIRST" for tag in selection.tags)
    return Query(
        f"SELECT rows.* FROM ({rows.text}) AS rows JOIN ({latest}) AS latest ON rows.time = latest.time AND {same} "
        f"ORDER BY {order}",
        rows.parameters + keys.parameters,
    )


def window_rows(
    selection: Selection, parts: Sequence[Part], every_s: int, aggregates: Mapping[str, str], by: Sequence[str]
) -> Query:
    """Aggregates per window and ``by``, sorted by ``by``, then time. ``aggregates`` maps result column to its SQL."""
    rows = _rows(selection, parts, list(field_types(selection.measurement, selection.tier)))
    tags = list(map(quoted, by))
    width = every_s * 1_000_000
    selected = [
        "make_timestamptz((epoch_us(time) // ?) * ?) AS slot",
        *tags,
        *(f"{sql} AS {quoted(name)}" for name, sql in aggregates.items()),
    ]
    return Query(
        f"SELECT {', '.join(selected)} FROM ({rows.text}) GROUP BY {', '.join(['slot', *tags])} "
        f"ORDER BY {', '.join([*(f'{tag} NULLS FIRST' for tag in tags), 'slot'])}",
        [width, width, *rows.parameters],
    )


def aggregate(measurement: Measurement, name: str, how: str, by: Sequence[str]) -> tuple[str, pa.DataType]:
    """SQL of aggregate ``how`` of raw field ``name``, grouped by tags ``by``, and the type of its result.

    ``last`` is the newest value that is not null; of several series at one time, that of the last in order.

    Raises:
        ValueError: an aggregate that does not exist or makes no sense for the type.
    """
    kind = field_types(measurement, Tier.RAW)[name]
    column = quoted(name)
    if how == "count":
        return f"count({column})", pa.int64()
    if how == "last":
        others = [quoted(tag) for tag in measurement.tag_names if tag not in by]
        order = f"row({', '.join(['time', *others])})" if others else "time"
        return f"arg_max({column}, {order})", ARROW_TYPES[kind]
    if how in ("min", "max"):
        return f"{how}({column})", ARROW_TYPES[kind]
    if how in ("mean", "sum") and kind is not Type.STRING:
        number = f"{column}::BIGINT" if kind is Type.BOOLEAN else column
        if how == "mean":
            return f"avg({number})", pa.float64()
        total = Type.FLOAT if kind is Type.FLOAT else Type.INTEGER
        return f"sum({number})::{_SQL_TYPES[total]}", ARROW_TYPES[total]
    raise ValueError(f"{measurement.name}.{name}: {how!r} of a {kind.value}; there are {', '.join(AGGREGATES)}")


def _rows(selection: Selection, parts: Sequence[Part], columns: Sequence[str]) -> Query:
    """``time``, tags and ``columns`` of the selection, one row per key.

    Only files that may share a key with another are grouped: merging costs as much as all the rest, and files of
    different times, sites or miners have no key in common.
    """
    shared = _sharing(parts) if selection.tier is Tier.RAW else set()
    keys = ", ".join(["time", *selection.tags])
    fields = list(map(quoted, columns))
    newest = [f"arg_max({name}, {INGEST_VERSION}) AS {name}" for name in fields]  # passes over nulls, as it should here
    queries = []
    if alone := [part for part in parts if part.path not in shared]:
        scan = _scan(selection, alone)
        queries.append(Query(f"SELECT {', '.join([keys, *fields])} FROM ({scan.text})", scan.parameters))
    if several := [part for part in parts if part.path in shared]:
        scan = _scan(selection, several)
        text = f"SELECT {', '.join([keys, *newest])} FROM ({scan.text}) GROUP BY {keys}"
        queries.append(Query(text, scan.parameters))
    return Query(" UNION ALL ".join(q.text for q in queries), [p for q in queries for p in q.parameters])


def _sharing(parts: Sequence[Part]) -> set[LakeLocation]:
    """Paths of parts that overlap with another."""
    found: set[LakeLocation] = set()
    reaching: list[Part] = []
    for part in sorted(parts, key=lambda part: part.first):
        reaching = [other for other in reaching if other.last >= part.first]
        for other in reaching:
            if part.overlaps(other):
                found |= {part.path, other.path}
        reaching.append(part)
    return found


def _scan(selection: Selection, parts: Sequence[Part]) -> Query:
    """All columns of ``parts``. Files with the columns of today are read as they are, which opens their footers late
    and in parallel; of others, columns that they do not have are typed nulls, or the values of what they were."""
    tests = ["time >= to_timestamp(?)", "time < to_timestamp(?)"]
    for tag, values in selection.where.items():
        tests.append(f"{quoted(tag)} IN ({', '.join('?' * len(values))})")
    condition = " AND ".join(tests)
    values_of_tests = [selection.start, selection.stop, *(v for values in selection.where.values() for v in values)]
    schema = file_schema(selection.measurement, selection.tier)
    former = {field.name: was for field in schema if (was := former_name(field))}
    by_age: dict[bool, list[str]] = {}
    for part in parts:
        by_age.setdefault(part.schema == fingerprint(schema), []).append(as_pattern(part.path))
    texts: list[str] = []
    parameters: list[Any] = []
    for is_of_today, files in by_age.items():
        columns = ", ".join(map(quoted, schema.names))
        source = "SELECT * FROM read_parquet(?, hive_partitioning = false)"
        if not is_of_today:
            columns = ", ".join(_with_former(field, former.get(field.name)) for field in schema)
            absent = [f"NULL::{_sql_type(field.type)} AS {quoted(field.name)}" for field in schema]
            nulls = ", ".join([*absent, *(f"NULL AS {quoted(was)}" for was in former.values())])
            source = (
                "SELECT * FROM read_parquet(?, hive_partitioning = false, union_by_name = true) "
                f"UNION ALL BY NAME SELECT {nulls} WHERE false"
            )
        texts.append(f"SELECT {columns} FROM ({source}) WHERE {condition}")
        parameters += [files, *values_of_tests]
    return Query(" UNION ALL ".join(texts), parameters)


def _with_former(field: pa.Field, was: str | None) -> str:
    """The column, with values of what it was in its stead where it has none; as storage.arrow_schema.converted."""
    name = quoted(field.name)
    if was is None:
        return name
    old, kind = quoted(was), _sql_type(field.type)
    number = f"TRY_CAST({old} AS DOUBLE)"
    fits = {
        "DOUBLE": f"typeof({old}) NOT IN ('VARCHAR')",
        "BIGINT": f"typeof({old}) NOT IN ('VARCHAR') AND {number} = floor({number})",
        "VARCHAR": f"typeof({old}) IN ('VARCHAR', 'BIGINT', 'BOOLEAN')",
        "BOOLEAN": f"typeof({old}) = 'BOOLEAN'",
    }[kind]
    return f"coalesce({name}, CASE WHEN {fits} THEN TRY_CAST({old} AS {kind}) END) AS {name}"


def _sql_type(kind: pa.DataType) -> str:
    if pa.types.is_timestamp(kind):
        return "TIMESTAMPTZ"
    return next(_SQL_TYPES[declared] for declared, arrow in ARROW_TYPES.items() if arrow == kind)


def as_pattern(path: LakeLocation) -> str:
    """The path with glob characters made literal: DuckDB takes every path for a pattern."""
    if isinstance(path, ObjectLocation):
        return addressed(path)
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in str(path))


def addressed(path: LakeLocation) -> str:
    """The path as DuckDB opens it."""
    return f"{READ_SCHEME}://{path.address}" if isinstance(path, ObjectLocation) else str(path)
