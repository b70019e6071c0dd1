"""Short gaps are closed, and only where nothing can have happened."""

from __future__ import annotations

from itertools import accumulate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.records.miner import MinerTelemetry
from tasks.normalize.interpolation import NEEDED, interpolated, interpolated_rows
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


def row(slot: int, miner: str = "m1", **over: Any) -> dict[str, Any]:
    """As a store gives one that was asked for hashrate and power."""
    record = at(slot, 90e12 + slot * 1e12, power_w=3_000 + slot)
    levels = {name: getattr(record, name) for name in ("hashrate_hs", "power_w", *NEEDED)}
    return {"time": record.time, "miner_id": miner, "model": "S19", "site": None, **levels, **over}


def test_rows_of_a_store_say_of_each_value_whether_it_was_read() -> None:
    rows = [
        row(0), row(1, power_w=None), row(3),
        row(0, "slow"), row(2, "slow"), row(6, "slow"),  # polled every two minutes: one is missing
        row(0, "off"), row(1, "off", state="unreachable", reachable=False, hashrate_hs=None), row(2, "off"),
        row(0, "filled"), row(1, "filled", state=None, reachable=None, hashrate_hs=None), row(2, "filled"),
    ]  # fmt: skip
    found = interpolated_rows(rows, cadence_s=lambda miner: 120 if miner == "slow" else 60)
    assert [(r["miner_id"], (r["time"] - SLOT) // 60, r["interpolated"]) for r in found if r["interpolated"]] == [
        ("m1", 1, "power_w"), ("m1", 2, "hashrate_hs,chip_temp_max_c,power_w"),
        ("slow", 4, "hashrate_hs,chip_temp_max_c,power_w"),
    ]  # fmt: skip
    assert [{k: v for k, v in r.items() if k != "interpolated"} for r in found if not r["interpolated"]] == [
        r for r in rows if r != rows[1]
    ]
    put_in, made = found[1], found[2]
    assert (put_in["power_w"], made["power_w"], made["hashrate_hs"]) == (3_001, 3_002, pytest.approx(92e12))
    assert put_in["hashrate_hs"] == rows[1]["hashrate_hs"]
    assert (put_in["quality"], put_in["quality_flags"]) == (0.5, "interpolated")
    assert set(made) == set(put_in)
    assert (made["state"], made["uptime_s"], made["shares_accepted"]) == ("mining", None, None)
    assert made["quality"] == pytest.approx(0.5 * 0.6), "hashrate, power and temperature of seven"


def test_what_was_not_read_is_not_put_in() -> None:
    rows = [{name: value for name, value in row(slot).items() if name != "power_w"} for slot in (0, 2)]
    (_, made, _) = interpolated_rows(rows, cadence_s=lambda _: 60)
    assert made["interpolated"] == "hashrate_hs,chip_temp_max_c"
