"""InfluxDB as a :class:`storage.store.Store`: InfluxQL on ``/query``, the language that 1.x, 2.x and 3.x share."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

import pyarrow as pa

from storage.declaration import Measurement, Tier, Type
from storage.declaration.rollup import rollup_columns
from storage.errors import NeedsHuman, StoreError
from storage.frame import Frame
from storage.influx import influxql
from storage.influx.connection import Connection, raise_common_troubles, read_answer
from storage.influx.reading import TIME_TYPE, Column, columns_of, read_table, schema
from storage.influx.settings import InfluxSettings
from storage.influx.sink import LINES_PER_REQUEST
from storage.influx.writing import LineWriter
from storage.line_protocol import encode, encode_columns
from storage.store import Where

LONGEST_URL = 4_000
"""Longer statements are sent as a form, since proxies cut long addresses."""

PATIENCE_WITH_QUERIES = 6
"""A query may wait so many times longer than a write: aggregates of a day take 24 s before the first row comes."""

_NUMBERS = (Type.FLOAT, Type.INTEGER)
_AGGREGATES: dict[str, tuple[tuple[Type, ...], Type | None]] = {
    "mean": (_NUMBERS, Type.FLOAT),
    "min": (_NUMBERS, None),
    "max": (_NUMBERS, None),
    "sum": (_NUMBERS, None),
    "count": (tuple(Type), Type.INTEGER),
    "last": (tuple(Type), None),
}
"""Aggregate: types it takes, and its type (None: that of the field). Any other type fails the whole statement."""

logger = logging.getLogger(__name__)


class InfluxStore:
    """All tiers in InfluxDB; needs the extra [lake] for pyarrow."""

    def __init__(self, settings: InfluxSettings) -> None:
        self._connection = Connection(settings)
        self._writer = LineWriter(self._connection)

    @property
    def name(self) -> str:
        """``influxdb-`` and the version of the server, which is asked for it."""
        return f"influxdb-{self._connection.server().version}"

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
        """See :class:`storage.store.Store`."""
        asked = columns_of(field_types(measurement, tier), columns)
        if start >= stop or not asked or _matches_nothing(where):
            return schema(measurement.tag_names, asked).empty_table()
        names = [column.name for column in asked]
        conditions = influxql.conditions(measurement, start, stop, where or {})
        statement = influxql.raw_rows(measurement, tier, names, conditions)
        return self._query(bucket_of(measurement, tier), statement, measurement.tag_names, asked)

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
        """See :class:`storage.store.Store`; the server aggregates.

        Where only one of several fields has data in a window the others are null there, a count too.
        ``last`` of several series with one time is any of theirs.

        Raises:
            ValueError: also for an aggregate that does not take the field's type, and for unknown fields and tags.
        """
        if every_s <= 0 or start % every_s or stop % every_s:
            raise ValueError(f"windows of {every_s} s need bounds at multiples of it, got {start} and {stop}")
        unknown = set(by) - set(measurement.tag_names)
        if unknown:
            raise ValueError(f"{measurement.name} has no tags {sorted(unknown)}")
        asked = [_aggregate_column(measurement, field, aggregate) for field, aggregate in aggregates.items()]
        tags = sorted(by)
        if start >= stop or not asked or _matches_nothing(where):
            return schema(tags, asked).empty_table()
        conditions = influxql.conditions(measurement, start, stop, where or {})
        statement = influxql.window_aggregates(measurement, aggregates, every_s, tags, conditions)
        return self._query(bucket_of(measurement, Tier.RAW), statement, tags, asked)

    def newest(
        self, measurement: Measurement, since: int, *, before: int | None = None, where: Where | None = None
    ) -> pa.Table:
        """See :class:`storage.store.Store`."""
        asked = columns_of(field_types(measurement, Tier.RAW), None)
        if _matches_nothing(where):
            return schema(measurement.tag_names, asked).empty_table()
        names = [column.name for column in asked]
        conditions = influxql.conditions(measurement, since, before, where or {})
        statement = influxql.newest_rows(measurement, Tier.RAW, names, conditions)
        return self._query(bucket_of(measurement, Tier.RAW), statement, measurement.tag_names, asked)

    def replace(self, measurement: Measurement, tier: Tier, start: int, stop: int, rows: pa.Table) -> None:
        """See :class:`storage.store.Store`. Rows older than the tier keeps are dropped by the server, and logged.

        Raises:
            ValueError: a row outside ``[start, stop)``, or a column that the tier does not have.
            NeedsHuman: the server refuses rows for any other reason than their age.
        """
        types = field_types(measurement, tier)
        times = rows["time"].cast(TIME_TYPE).cast(pa.int64()).to_pylist()
        if times and not (start <= min(times) and max(times) < stop):
            raise ValueError(f"rows from {min(times)} to {max(times)} do not lie in [{start}, {stop})")
        names = [name for name in rows.column_names if name != "time" and name not in measurement.tag_names]
        lines = encode_columns(
            measurement.stored_name(tier),
            times,
            {tag: rows[tag].to_pylist() for tag in measurement.tag_names if tag in rows.column_names},
            [(column.name, column.type, rows[column.name].to_pylist()) for column in columns_of(types, names)],
        )
        self._write(bucket_of(measurement, tier), measurement.stored_name(tier), lines)

    def write(self, frames: Sequence[Frame]) -> None:
        """See :class:`storage.store.Store`.

        Raises:
            NeedsHuman: the server refuses rows for any other reason than their age.
        """
        for frame in frames:
            self._write(bucket_of(frame.declared, Tier.RAW), frame.measurement, encode(frame))

    def _write(self, bucket: str, table: str, lines: Sequence[bytes]) -> None:
        for first in range(0, len(lines), LINES_PER_REQUEST):
            refused = self._writer.write(bucket, lines[first : first + LINES_PER_REQUEST])
            others = [line for line in refused if not line.too_old]
            if others:
                raise NeedsHuman(
                    f"InfluxDB refused {len(others)} rows of {table}: {others[0].reason[:500]}",
                    remedy="A field stored with another type is the usual cause; drop that measurement or shard",
                )
            if refused:
                logger.info("%s: %d rows are older than %s keeps", table, len(refused), bucket)

    def close(self) -> None:
        """See :class:`storage.store.Store`."""
        self._writer.close()
        self._connection.close()

    def _query(self, bucket: str, statement: str, tags: Sequence[str], columns: Sequence[Column]) -> pa.Table:
        """The answer to one statement; never two, since a second one hides the error of the first."""
        form = {"db": self._connection.settings.database(bucket), "q": statement, "epoch": "s", "chunked": "true"}
        short = len(urlencode(form)) < LONGEST_URL
        self._connection.make_sure()
        with self._connection.stream(
            "GET" if short else "POST",
            "/query",
            params=form if short else None,
            data=None if short else form,
            timeout_s=self._connection.settings.timeout_s * PATIENCE_WITH_QUERIES,
        ) as response:
            if response.status_code == 200:
                return read_table(response.iter_bytes(), tags, columns)
            answer = read_answer(response, self._connection.settings.timeout_s)
        url = self._connection.settings.url
        raise_common_troubles(url, answer)
        if answer.status == 404:
            raise NeedsHuman(
                f"InfluxDB at {url} does not know {bucket!r}: {answer.text[:500]}",
                remedy="Run lodeline provision, or correct url and org",
            )
        raise StoreError(f"InfluxDB at {url} answered a query with {answer.status}: {answer.text[:500]}")


def field_types(measurement: Measurement, tier: Tier) -> dict[str, Type]:
    """Fields of ``tier`` and their types, in declared order."""
    if tier is Tier.RAW:
        return {field.name: field.type for field in measurement.fields}
    return {column.name: column.type for column in rollup_columns(measurement)}


def bucket_of(measurement: Measurement, tier: Tier) -> str:
    """Bucket of ``tier``. Raises ValueError where the measurement does not keep that tier."""
    bucket = measurement.buckets.get(tier)
    if bucket is None:
        raise ValueError(f"{measurement.name} keeps no {tier} tier")
    return bucket


def _aggregate_column(measurement: Measurement, field: str, aggregate: str) -> Column:
    declared = measurement.field_by_name.get(field)
    if declared is None or aggregate not in _AGGREGATES:
        raise ValueError(f"{measurement.name} has no field {field!r}, or {aggregate!r} is not of {list(_AGGREGATES)}")
    takes, gives = _AGGREGATES[aggregate]
    if declared.type not in takes:
        raise ValueError(f"{aggregate} of {measurement.name}.{field}: it takes {list(takes)}, not {declared.type}")
    return Column(f"{field}_{aggregate}", gives or declared.type)


def _matches_nothing(where: Where | None) -> bool:
    return any(not isinstance(wanted, str) and not wanted for wanted in (where or {}).values())
