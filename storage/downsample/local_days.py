"""Days of a time zone, for reports: made of the hours that are stored in UTC, 23 or 25 of them where clocks change.

What is stored knows no zone: its days are those of UTC. A local day is a range of UTC hours, so its sums, counts and
seconds are as exact as those of a stored day. Zones whose days do not begin on an hour of UTC (India, Nepal, central
Australia) cannot be cut out of hours; their days are refused, not approximated.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import pyarrow as pa

from storage.arrow_schema import ANSWER_TIME, integers
from storage.declaration import Measurement
from storage.downsample.rollup import HOUR_S, days_of_hours
from storage.downsample.windows import unix_seconds
from storage.errors import NeedsHuman

_ONE_DAY = dt.timedelta(days=1)
_FOREVER_S = 1 << 40


@dataclass(frozen=True, slots=True)
class LocalDay:
    """``date`` in ``zone`` is ``start <= time < stop`` (Unix seconds)."""

    zone: str
    date: dt.date
    start: int
    stop: int

    def hours(self) -> range:
        """Starts of the hourly rows that make it up.

        Raises:
            NeedsHuman: it begins or ends within an hour of UTC.
        """
        if self.start % HOUR_S or self.stop % HOUR_S:
            begins, ends = (dt.datetime.fromtimestamp(at, dt.UTC) for at in (self.start, self.stop))
            raise NeedsHuman(
                f"{self.date} in {self.zone} is {begins:%Y-%m-%d %H:%M} to {ends:%Y-%m-%d %H:%M} UTC, which hourly "
                "rows cannot be cut into",
                remedy="Work it out of raw rows, or report in a zone whose days begin on an hour of UTC",
            )
        return range(self.start, self.stop, HOUR_S)


def local_day(zone: str, date: dt.date) -> LocalDay:
    """``date`` in the IANA zone ``zone``; empty where the zone left it out (Samoa, 30 December 2011).

    Raises:
        NeedsHuman: there is no such zone.
    """
    there = _zone(zone)
    return LocalDay(zone, date, _begin(there, date), _begin(there, date + _ONE_DAY))


def local_days(zone: str, start: int, stop: int) -> list[LocalDay]:
    """Days in ``zone`` that have a part in ``[start, stop)`` (Unix seconds), whole and in order."""
    date = dt.datetime.fromtimestamp(start, _zone(zone)).date()
    days = []
    while start < stop and (day := local_day(zone, date)).start < stop:
        if day.start < day.stop:
            days.append(day)
        date += _ONE_DAY
    return days


def day_of_hours(measurement: Measurement, hourly: pa.Table, day: LocalDay) -> pa.Table:
    """One row for each series that has hours in ``day``, stamped with its start; columns as in the daily tier.

    ``hourly`` are hourly rows as a Store reads them; those outside the day are left aside.

    Raises:
        NeedsHuman: as :meth:`LocalDay.hours`.
    """
    hours = day.hours()
    times = unix_seconds(hourly)
    inside = hourly.take(integers(np.flatnonzero((times >= hours.start) & (times < hours.stop))))
    rows = days_of_hours(measurement, inside, _FOREVER_S)
    starts = integers(np.full(rows.num_rows, day.start)).cast(pa.timestamp("s")).cast(ANSWER_TIME)
    return rows.set_column(0, "time", starts)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise NeedsHuman(f"There is no time zone {name!r}", remedy="Name one as Europe/Berlin") from error


def _begin(there: ZoneInfo, date: dt.date) -> int:
    """The first moment of ``date``: midnight, the first one where there are two, or when it was skipped to."""
    return int(dt.datetime.combine(date, dt.time(), there).timestamp())
