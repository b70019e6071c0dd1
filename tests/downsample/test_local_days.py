"""Days of time zones against calendars known from elsewhere, and against a walk from minute to minute."""

from __future__ import annotations

import datetime as dt
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.downsample.local_days import day_of_hours, local_day, local_days
from storage.downsample.rollup import hours_of_raw
from storage.errors import NeedsHuman
from tests.downsample.reckoning import check_equal, reckoned
from tests.downsample.test_rollup import PROBE, nothing_before, table

DAYS = [
    # zone, date, start in UTC, hours
    ("UTC", "2026-03-29", "2026-03-29T00:00", 24),
    ("Europe/Berlin", "2026-03-28", "2026-03-27T23:00", 24),
    ("Europe/Berlin", "2026-03-29", "2026-03-28T23:00", 23),
    ("Europe/Berlin", "2026-10-25", "2026-10-24T22:00", 25),
    ("America/New_York", "2026-03-08", "2026-03-08T05:00", 23),
    ("America/New_York", "2026-11-01", "2026-11-01T04:00", 25),
    ("Asia/Shanghai", "2026-11-24", "2026-11-23T16:00", 24),
    ("America/Santiago", "2026-09-06", "2026-09-06T04:00", 23),  # begins at 01:00, there is no midnight
    ("America/Santiago", "2026-04-04", "2026-04-04T03:00", 25),  # its last hour comes twice
    ("America/Havana", "2026-11-01", "2026-11-01T04:00", 25),  # its midnight comes twice
    ("Pacific/Apia", "2011-12-30", "2011-12-30T10:00", 0),  # never was
]


@pytest.mark.parametrize(("zone", "date", "start", "hours"), DAYS)
def test_days_of_23_24_and_25_hours(zone: str, date: str, start: str, hours: int) -> None:
    day = local_day(zone, dt.date.fromisoformat(date))
    begins = int(dt.datetime.fromisoformat(f"{start}+00:00").timestamp())
    assert (day.start, len(day.hours())) == (begins, hours)


@pytest.mark.parametrize(
    ("zone", "date"),
    [("Asia/Kolkata", "2026-11-24"), ("Asia/Kathmandu", "2026-11-24"), ("Australia/Lord_Howe", "2026-04-05")],
)
def test_days_that_do_not_begin_on_an_hour_of_utc_are_refused(zone: str, date: str) -> None:
    day = local_day(zone, dt.date.fromisoformat(date))
    with pytest.raises(NeedsHuman, match=rf"{date} in {zone} is .* UTC.*raw rows"):
        day.hours()
    with pytest.raises(NeedsHuman, match=zone):
        day_of_hours(PROBE, nothing_before(), day)


@pytest.mark.parametrize("zone", ["Europe/Atlantis", "", "../../etc/passwd"])
def test_what_is_no_zone(zone: str) -> None:
    with pytest.raises(NeedsHuman, match="no time zone"):
        local_days(zone, 0, 1)


ZONES = (
    "Europe/Berlin",
    "America/Santiago",
    "America/Havana",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
    "Atlantic/Azores",
)


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(ZONES), st.dates(dt.date(2000, 1, 1), dt.date(2035, 12, 31)))
def test_a_day_is_every_minute_that_has_its_date(zone: str, date: dt.date) -> None:
    there = ZoneInfo(zone)
    noon = int(dt.datetime.combine(date, dt.time(12), dt.UTC).timestamp())
    walk = range(noon - 48 * 3600, noon + 48 * 3600, 60)
    minutes = [at for at in walk if dt.datetime.fromtimestamp(at, there).date() == date]
    day = local_day(zone, date)
    assert list(range(day.start, day.stop, 60)) == minutes


@settings(max_examples=30, deadline=None)
@given(st.sampled_from((*ZONES, "Pacific/Apia")), st.integers(1_300_000_000, 2_000_000_000), st.integers(1, 9 * 86400))
def test_days_follow_one_another_and_cover_the_range(zone: str, start: int, length: int) -> None:
    days = local_days(zone, start, start + length)
    assert days[0].start <= start < days[0].stop
    assert days[-1].start < start + length <= days[-1].stop
    assert all(before.stop == after.start for before, after in pairwise(days))
    assert local_days(zone, start, start) == []


def test_a_day_of_25_hours_of_rows_is_what_raw_rows_say() -> None:
    day = local_day("Europe/Berlin", dt.date(2026, 10, 25))
    blank: dict[str, Any] = dict.fromkeys(field.name for field in PROBE.fields) | {"part": None}
    rows = [
        {**blank, "time": at, "id": miner, "temp": float(at % 77), "shares": at // 100, "up": at % 3 > 0, "power": 3.0}
        for at in range(day.start - 7200, day.stop + 7200, 600)
        for miner in ("a", "b")
    ]
    got = day_of_hours(PROBE, hours_of_raw(PROBE, table(rows), nothing_before()), day)
    # By hand, in days that begin when it does: times are moved so that its 25 hours are one window at 0.
    moved = [{**row, "time": row["time"] - day.start} for row in rows]
    wanted = {
        (*key[:-1], day.start): {
            name: value + day.start if name.endswith("_last_at") and value is not None else value
            for name, value in row.items()
        }
        for key, row in reckoned(PROBE, moved, 25 * 3600).items()
        if key[-1] == 0
    }
    check_equal(PROBE, got, wanted)
    assert got["up_seconds"].to_pylist() == [25 * 3600] * 2
