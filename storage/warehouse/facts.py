"""Rows of a fact, made of rows of its source. Pure: one row in, one row out."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from storage.arrow_schema import FILE_TIME, integers
from storage.declaration import Tier
from storage.downsample.windows import Groups, unix_seconds
from storage.warehouse.keys import Versions, hours_as_keys, keys_of
from storage.warehouse.star import Fact, Source
from storage.warehouse.table import schema

_WINDOW_S = {Tier.HOURLY: 3600, Tier.DAILY: 86400}
_DAY_S = 86400
_FOREVER_S = 1 << 40


def source_columns(fact: Fact) -> list[str]:
    """Fields of the source that the fact is made of."""
    tags = fact.source.measurement.tag_names
    return list(dict.fromkeys(c.source for c in fact.columns if c.source is not None and c.source not in tags))


def fact_rows(fact: Fact, rows: pa.Table, versions: Versions) -> pa.Table:
    """Rows of ``fact`` of ``rows`` as a Store reads them: sorted by tags, then time."""
    times = unix_seconds(rows)
    columns: dict[str, Any] = {"time": rows["time"].cast(FILE_TIME)}
    for column in fact.columns:
        if column.source is not None:
            columns[column.name] = rows[column.source]
        elif column.name == "time_key":
            columns[column.name] = integers(hours_as_keys(times))
        elif column.name == "miner_key":
            columns[column.name] = _miner_keys(fact.source, rows, versions)
        else:  # pool_key of pool_id and so on
            columns[column.name] = keys_of(rows[column.name.replace("_key", "_id")])
    return pa.table(columns, schema=schema(fact))


def _miner_keys(source: Source, rows: pa.Table, versions: Versions) -> pa.Array:
    tags = source.measurement.tag_names
    ends = unix_seconds(rows) + _window_s(source)
    starts = Groups.of(rows, tags, _FOREVER_S).starts.tolist() if rows.num_rows else []
    series = rows.select(list(tags)).take(integers(np.array(starts, dtype=np.int64))).to_pylist()
    keys: list[int | None] = []
    for told, (first, after) in zip(series, pairwise([*starts, rows.num_rows]), strict=True):
        keys += versions.keys(told, ends[first:after])
    return pa.array(keys, pa.int64())


def _window_s(source: Source) -> int:
    """How long a row of the source lasts."""
    if source.where.get("time_period") == "1d":
        return _DAY_S
    return _WINDOW_S.get(source.tier, 1)
