"""Growth of counters against what a made-up miner really did, told by a collector whose clock jumps."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.downsample.rollup import hours_of_raw
from tests.downsample.test_rollup import PROBE, T, nothing_before, table

EVERY_S = 300
BLANK: dict[str, Any] = dict.fromkeys(field.name for field in PROBE.fields) | {"id": "a", "part": None}


class Watched:
    """A miner and what its collector wrote down. ``clock_s``: how far the collector's clock is ahead."""

    def __init__(self, *, shares: int, uptime: int | None) -> None:
        self.rows: dict[int, dict[str, Any]] = {}
        self.clock_s = 0
        self._true = T
        self._shares = self._work = shares
        self._uptime = uptime

    def goes_on(self, polls: int, each: int = 7) -> None:
        """Polls one after another; one dated like another is the same poll to the spool, which keeps the first."""
        for _ in range(polls):
            row = {**BLANK, "time": self._true + self.clock_s, "shares": self._shares, "uptime": self._uptime}
            self.rows.setdefault(row["time"], row)
            self._true += EVERY_S
            self._shares += each
            self._uptime = None if self._uptime is None else self._uptime + EVERY_S

    def catches_up(self) -> None:
        """The clock is right again, and has passed all that was dated so far."""
        self.clock_s = 0
        while self._true + self.clock_s <= max(self.rows):
            self.goes_on(1)
        self.goes_on(2)

    def restarts(self, *, system: bool) -> None:
        self._shares = 3
        if system and self._uptime is not None:
            self._uptime = EVERY_S // 2

    @property
    def newest(self) -> int:
        return int(self.rows[max(self.rows)]["shares"])

    def growth(self) -> int:
        """As it is rolled up."""
        return sum(rolled(list(self.rows.values()))["shares_inc"].to_pylist())


def rolled(rows: list[dict[str, Any]]) -> pa.Table:
    return hours_of_raw(PROBE, table(rows), nothing_before())


jumps = st.lists(st.tuples(st.integers(0, 24), st.integers(1, 12)), max_size=6)
"""How far the clock is ahead, in intervals, and for how many polls."""


@settings(max_examples=60, deadline=None)
@given(jumps, st.booleans(), st.booleans())
def test_a_clock_that_jumps_changes_no_growth_and_a_restart_is_counted(
    moves: list[tuple[int, int]], tells_uptime: bool, system: bool
) -> None:
    miner = Watched(shares=10_000, uptime=7 * 86400 if tells_uptime else None)
    miner.goes_on(2)
    for ahead, polls in moves:
        miner.clock_s = ahead * EVERY_S
        miner.goes_on(polls)
    miner.catches_up()
    before = miner.newest
    assert miner.growth() == before - 10_000
    miner.restarts(system=system)
    miner.goes_on(5)
    assert miner.growth() == before - 10_000 + miner.newest


@pytest.mark.parametrize("tells_uptime", [True, False])
def test_where_a_counter_stands_is_not_what_a_misdated_row_says(tells_uptime: bool) -> None:
    miner = Watched(shares=1000, uptime=86400 if tells_uptime else None)
    miner.goes_on(3)
    miner.clock_s = 4 * EVERY_S
    miner.goes_on(2)  # 1021, 1028, dated behind what comes next
    miner.clock_s = 0
    miner.goes_on(2)  # 1035, 1042
    hour = rolled(list(miner.rows.values()))
    assert hour["shares_last"].to_pylist() == [1042]
    assert hour["shares_last_at"].to_pylist() == [T + 6 * EVERY_S]
    assert hour["shares_count"].to_pylist() == [7]
    assert hour["shares_inc"].to_pylist() == [42]


CASES: dict[str, tuple[list[tuple[int, int, int | None]], int]] = {
    # name: rows of (offset, shares, uptime), growth
    "a restart of the system": ([(0, 900, 5000), (300, 850, 200)], 850),
    "a restart of the mining program": ([(0, 900, 5000), (300, 850, 5300)], 850),
    "a restart right after the row before, read late": ([(0, 900, 5000), (300, 850, 400)], 850),
    "read before, dated after": ([(0, 900, 5000), (300, 850, 4700)], 0),
    "no uptime, a little less": ([(0, 900, None), (300, 850, None)], 0),
    "no uptime, a lot less": ([(0, 900, None), (300, 450, None)], 450),
    "no uptime in the row that fell": ([(0, 900, 5000), (300, 850, None)], 0),
    "no uptime before the fall": ([(0, 900, None), (300, 850, 4700)], 0),
    "no uptime, an hour without a row": ([(0, 900, None), (7200, 850, None)], 850),
    "no uptime, no hour without a row": ([(0, 900, None), (7199, 850, None)], 0),
    "half a day and more later": ([(0, 900, 50_000), (43_201, 850, 49_000)], 850),
    "an uptime out of this world lasts no longer than a row": (
        [(0, 900, 10**9), (300, 910, 5000), (600, 4, 120), (900, 9, 420)],
        19,
    ),
    "silent for more than a day": ([(0, 900, 5000), (86401, 950, 91401)], 0),
}


@pytest.mark.parametrize("name", CASES)
def test_falls(name: str) -> None:
    rows, grown = CASES[name]
    hours = rolled([{**BLANK, "time": T + at, "shares": shares, "uptime": uptime} for at, shares, uptime in rows])
    assert sum(hours["shares_inc"].to_pylist()) == grown
