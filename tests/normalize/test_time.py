"""Durations and instants as miners write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.normalize.duration import clock_s, uptime_s
from tasks.normalize.instant import age_s, unix_s


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1:55", 6_900),  # hours and minutes, not minutes and seconds
        ("0:00", 0),
        ("0:07", 420),
        ("23:59", 86_340),
        ("10 days, 18:00", 928_800),
        ("1 day, 2:03", 93_780),
        ("3 days, 5 min", 259_500),
        ("7 min", 420),
        ("up 7 min", 420),
        ("2 days", 172_800),
        (" 1:55 ", 6_900),
        ("1:60", None),
        ("24:00", None),
        ("999999 days, 1:00", None),
        ("1:55:03", None),
        ("", None),
        ("  ", None),
        (None, None),
        ("up", None),
        ("N/A", None),
        ("-1:55", None),
    ],
)
def test_uptimes(text: str | None, seconds: int | None) -> None:
    assert uptime_s(text) == seconds


@given(st.integers(0, 36_500), st.integers(0, 23), st.integers(0, 59))
def test_an_uptime_written_down_is_read_back(days: int, hours: int, minutes: int) -> None:
    clock = f"{hours}:{minutes:02}"
    text = clock if days == 0 else f"{days} day{'s' if days > 1 else ''}, {clock}"
    assert uptime_s(text) == 86_400 * days + 3_600 * hours + 60 * minutes


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0:00:04", 4),
        ("0:00:00", 0),
        ("12:34:56", 45_296),
        ("100:00:01", 360_001),
        ("1 day, 0:00:01", 86_401),
        ("0", None),  # no share yet
        ("", None),
        (None, None),
        ("0:04", None),
        ("0:99:00", None),
        ("never", None),
    ],
)
def test_clocks(text: str | None, seconds: int | None) -> None:
    assert clock_s(text) == seconds


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-25T02:30:00Z", 1_795_573_800.0),
        ("2026-11-25T03:30:00+01:00", 1_795_573_800.0),
        ("2026-11-25 02:30:00", 1_795_573_800.0),
        ("2026-11-25T02:30:00.500Z", 1_795_573_800.5),
        ("25.11.2026", None),
        ("", None),
        (None, None),
        ("0001-01-01T00:00:00+14:00", -62_135_647_200.0),
    ],
)
def test_instants(text: str | None, expected: float | None) -> None:
    assert unix_s(text) == expected


@pytest.mark.parametrize(
    ("then", "now", "expected"),
    [
        ("2026-11-25T02:29:56Z", "2026-11-25T02:30:00Z", 4.0),
        ("2026-11-25T02:30:01Z", "2026-11-25T02:30:00Z", None),
        (None, "2026-11-25T02:30:00Z", None),
        ("2026-11-25T02:30:01Z", None, None),
    ],
)
def test_ages(then: str | None, now: str | None, expected: float | None) -> None:
    assert age_s(then, now) == expected


@given(st.text())
def test_nothing_raises(text: str) -> None:
    for read in (uptime_s, clock_s, unix_s):
        found = read(text)
        assert found is None or isinstance(found, int | float)
