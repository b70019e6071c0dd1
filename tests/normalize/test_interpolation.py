"""Short gaps are closed, and only where nothing can have happened."""

from __future__ import annotations

from itertools import accumulate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.records.miner import MinerTelemetry
from tasks.normalize.interpolation import interpolated
from tests.normalize.records import SLOT, sound

EVERY_S = 60


def at(slot: int, rate: float | None, **over: Any) -> MinerTelemetry:
    usual: dict[str, Any] = {"reachable": over.get("state") != "unreachable"}
    return sound(time=SLOT + EVERY_S * slot, hashrate_hs=rate, **(usual | over))


def rates(rows: list[MinerTelemetry], **over: Any) -> list[tuple[int, float | None, str | None]]:
    found = interpolated(rows, cadence_s=EVERY_S, **over)
    return [((row.time - SLOT) // EVERY_S, row.hashrate_hs, row.quality_flags) for row in found]


def test_a_missing_row_is_made_from_its_neighbours() -> None:
    rows = [at(0, 90e12, power_w=3_000), at(3, 96e12, power_w=3_100)]
    found = interpolated(rows, cadence_s=EVERY_S)
    assert [(row.time - SLOT) // EVERY_S for row in found] == [0, 1, 2, 3]
    assert [row.hashrate_hs for row in found] == pytest.approx([90e12, 92e12, 94e12, 96e12])
    assert [row.power_w for row in found] == [3_000, 3_033, 3_067, 3_100]
    assert (found[0], found[3]) == (rows[0], rows[1])
    made = found[1]
    assert (made.quality_flags, made.shares_accepted, made.uptime_s, made.boards) == ("interpolated", None, None, ())
    assert made.quality is not None
    assert made.quality <= 0.5


def test_a_null_between_two_readings_is_filled_and_its_reason_stays() -> None:
    rows = [at(0, 90e12), at(1, None, quality_flags="implausible:hashrate_hs"), at(2, 92e12)]
    assert rates(rows) == [(0, 90e12, None), (1, 91e12, "implausible:hashrate_hs,interpolated"), (2, 92e12, None)]


@pytest.mark.parametrize(
    "rows",
    [
        [at(0, 90e12), at(4, 90e12)],  # three polls are too long
        [at(0, 90e12), at(2, 0.0, state="paused")],
        [at(0, 90e12), at(1, None, state="starting"), at(2, 90e12)],
        [at(0, 90e12), at(1, None, reachable=False, state="unreachable"), at(2, 90e12)],
        [at(0, 90e12), at(2, 90e12, quality_flags="counter_reset")],
        [at(0, 90e12), at(1, None, quality_flags="stale"), at(2, 90e12)],
        [at(0, 90e12), at(1, None, quality_flags="counter_reset"), at(2, 90e12)],
        [at(0, None), at(1, None), at(2, 90e12)],  # nothing before
        [at(0, 90e12), at(1, None)],  # nothing after
        [at(0, 90e12), at(1, None), at(8, 90e12)],  # a null and then a long gap
        [at(0, 90e12)],
        [],
    ],
)
def test_no_gap_is_closed_where_something_may_have_happened(rows: list[MinerTelemetry]) -> None:
    assert interpolated(rows, cadence_s=EVERY_S) == rows


def test_after_a_reset_gaps_are_closed_again() -> None:
    assert rates([at(0, 90e12, quality_flags="counter_reset"), at(2, 92e12)])[1] == (1, 91e12, "interpolated")


def test_how_long_a_gap_may_be_is_the_readers_choice() -> None:
    rows = [at(0, 90e12), at(4, 94e12)]
    assert len(rates(rows, longest_gap=3)) == 5
    assert len(rates(rows, longest_gap=0)) == 2
    assert rates([at(0, 90e12), at(1, None), at(2, 94e12)], longest_gap=0)[1] == (1, None, None)


_polls = st.tuples(
    st.integers(1, 3),  # slots since the one before
    st.none() | st.floats(0, 1e15),
    st.sampled_from(["mining", "mining", "paused", "unreachable"]),
    st.sampled_from([None, None, "counter_reset", "stale", "repaired"]),
)


@given(st.lists(_polls, max_size=8), st.integers(0, 4))
def test_readings_are_never_changed(polls: list[tuple[int, Any, str, str | None]], longest_gap: int) -> None:
    slots = list(accumulate(poll[0] for poll in polls))
    rows = [
        at(slot, rate, state=state, quality_flags=flags)
        for slot, (_, rate, state, flags) in zip(slots, polls, strict=True)
    ]
    found = {row.time: row for row in interpolated(rows, cadence_s=EVERY_S, longest_gap=longest_gap)}
    for row in rows:
        kept = found.pop(row.time)
        assert kept.state == row.state
        assert kept.hashrate_hs == row.hashrate_hs or row.hashrate_hs is None
        if row.state == "unreachable" or row.quality_flags in ("stale", "counter_reset"):
            assert kept == row
    assert all(row.quality_flags == "interpolated" for row in found.values())
