"""dim_time: hours with the parts of their date, in UTC and in the zone of the configuration."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa

from storage.lake.layout import Period
from storage.warehouse.keys import hours_as_keys
from storage.warehouse.star import DIM_TIME
from storage.warehouse.table import schema

_HOUR_S = 3600


def hours_of_months(first: int, last: int, zone: str) -> pa.Table:
    """Rows of dim_time: every hour from the month of ``first`` to that of ``last`` (Unix seconds), both whole."""
    start, stop = Period.MONTH.window(first)[0], Period.MONTH.window(last)[1]
    times = np.arange(start, stop, _HOUR_S, dtype=np.int64)
    there = ZoneInfo(zone)
    rows = [
        _row(dt.datetime.fromtimestamp(time, dt.UTC), key, zone, there)
        for time, key in zip(times.tolist(), hours_as_keys(times).tolist(), strict=True)
    ]
    return pa.Table.from_pylist(rows, schema=schema(DIM_TIME))


def _row(moment: dt.datetime, key: int, zone: str, there: ZoneInfo) -> dict[str, object]:
    local = moment.astimezone(there)
    offset = local.utcoffset() or dt.timedelta()
    return {
        "time": moment,
        "time_key": key,
        "hour_start": moment,
        "utc_date": moment.date().isoformat(),
        "year": moment.year,
        "quarter": (moment.month + 2) // 3,
        "month": moment.month,
        "day": moment.day,
        "hour": moment.hour,
        "iso_week": moment.isocalendar().week,
        "weekday": moment.isoweekday(),
        "is_weekend": moment.isoweekday() > 5,
        "zone": zone,
        "local_date": local.date().isoformat(),
        "local_hour": local.hour,
        "local_weekday": local.isoweekday(),
        "utc_offset_minutes": int(offset.total_seconds()) // 60,
    }
