"""Days of settlement by zone, and sums of money."""

from __future__ import annotations

import datetime as dt

import pytest

from tasks.pools.settlement import Day, days_of, difference, total
from tests.pools.telling import H


def unix(text: str) -> int:
    return int(dt.datetime.fromisoformat(text).timestamp())


@pytest.mark.parametrize(
    ("zone", "label", "start", "hours"),
    [
        ("UTC", "2026-03-28", "2026-03-28T00:00+00:00", 24),
        ("Asia/Shanghai", "2026-03-28", "2026-03-27T16:00+00:00", 24),
        ("Europe/Amsterdam", "2026-03-29", "2026-03-28T23:00+00:00", 23),  # clocks go forward
        ("Europe/Amsterdam", "2026-10-25", "2026-10-24T22:00+00:00", 25),  # and back
        ("Asia/Kolkata", "2026-03-28", "2026-03-27T18:30+00:00", 24),
    ],
)
def test_a_day(zone: str, label: str, start: str, hours: int) -> None:
    begin = unix(start)
    days = days_of(zone, begin, begin + 30 * H)
    assert days[0] == Day(label, zone, begin, begin + hours * H)
    assert sum(days[0].hours().values()) == hours * H


def test_hours_of_a_day_that_starts_at_half_past() -> None:
    (day,) = days_of("Asia/Kolkata", unix("2026-03-27T18:30+00:00"), unix("2026-03-28T18:30+00:00"))
    hours = day.hours()
    assert len(hours) == 25
    first, last = unix("2026-03-27T18:00+00:00"), unix("2026-03-28T18:00+00:00")
    assert (hours[first], hours[first + H], hours[last]) == (1_800, 3_600, 1_800)


def test_only_days_that_are_over() -> None:
    start = unix("2026-03-28T00:00+00:00")
    assert [day.label for day in days_of("UTC", start, start + 47 * H)] == ["2026-03-28"]
    assert days_of("UTC", start, start + 23 * H) == []


def test_a_zone_that_is_none() -> None:
    with pytest.raises(ValueError, match="'Mars/Base' is no time zone"):
        days_of("Mars/Base", 0, 1)


def test_money_adds_up() -> None:
    assert total([0.1] * 10) == 1.0  # as floats: 0.9999999999999999
    assert total([]) == 0.0
    assert difference(0.3, 0.1) == 0.2  # as floats: 0.19999999999999998
