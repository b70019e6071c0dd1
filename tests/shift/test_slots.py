"""Slots against clocks that the test sets: drift, late ticks, wall clocks that jump, hand-over."""

from __future__ import annotations

import asyncio
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.shift.slots import Slot, Slots

START = 1_764_000_000  # a multiple of 60


class Clocks:
    """A wall clock and a monotonic clock that run together until the wall clock is set."""

    def __init__(self, wall: float = START) -> None:
        self.wall = wall
        self.monotonic = 5.0

    def run(self, seconds: float) -> None:
        self.wall += seconds
        self.monotonic += seconds

    def slots(self, interval_s: int = 60, last: int | None = None) -> Slots:
        return Slots(interval_s, last, wall=lambda: self.wall, monotonic=lambda: self.monotonic)


def test_first_start_takes_the_current_slot_at_once():
    clocks = Clocks(START + 59)
    assert clocks.slots().due() == Slot(START)


def test_a_slot_is_due_once():
    clocks = Clocks(START)
    slots = clocks.slots()
    assert slots.due() == Slot(START)
    for _ in range(59):
        clocks.run(1)
        assert slots.due() is None
    clocks.run(1)
    assert slots.due() == Slot(START + 60)


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        pytest.param(START, None, id="predecessor did the current slot"),
        pytest.param(START - 60, Slot(START), id="current slot is still to do"),
        pytest.param(START - 240, Slot(START, missed=3), id="down for four minutes"),
    ],
)
def test_a_successor_neither_repeats_nor_skips(last, expected):
    assert Clocks(START + 10).slots(last=last).due() == expected


def test_a_late_tick_skips_to_the_newest_slot_and_counts():
    clocks = Clocks(START + 50)
    slots = clocks.slots()
    slots.due()
    clocks.run(131)  # until 181 s after START: slots 60 and 120 are over, 180 is current
    assert slots.due() == Slot(START + 180, missed=2)


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        pytest.param(3600, Slot(START + 3660), id="forward an hour"),
        pytest.param(-3600, Slot(START - 3540), id="back an hour"),
        pytest.param(-86400 * 300, Slot(START + 60 - 86400 * 300), id="back to an old date"),
    ],
)
def test_a_wall_clock_that_is_set_is_followed_and_no_loss(step, expected):
    clocks = Clocks()
    slots = clocks.slots()
    slots.due()
    clocks.run(60)
    clocks.wall += step
    assert slots.due() == expected
    clocks.run(60)
    assert slots.due() == Slot(expected.time + 60)


def test_a_wall_clock_set_back_a_little_repeats_no_slot():
    clocks = Clocks(START + 5)
    slots = clocks.slots()
    slots.due()
    clocks.wall -= 20
    assert slots.due() is None
    clocks.run(75)
    assert slots.due() == Slot(START + 60)


@given(st.lists(st.floats(0.01, 400), min_size=1, max_size=60), st.integers(1, 300), st.floats(0, 300))
def test_ticked_and_missed_slots_are_all_slots(waits, interval_s, offset):
    clocks = Clocks(START + offset)
    slots = clocks.slots(interval_s)
    taken = [slots.due()]
    for wait in waits:
        clocks.run(wait)
        taken.append(slots.due())
    done = [slot for slot in taken if slot is not None]
    assert all(slot.time % interval_s == 0 for slot in done)
    assert all(b.time - a.time == interval_s * (b.missed + 1) for a, b in itertools.pairwise(done))
    assert done[-1].time == int(clocks.wall // interval_s) * interval_s


async def test_waiting_returns_in_the_next_slot_and_never_before():
    slots = Slots(1)
    times = [slot for slot in [await slots.wait(lambda: False) for _ in range(3)] if slot is not None]
    assert times == [Slot(times[0].time + second) for second in range(3)]


async def test_waiting_ends_when_the_shift_ends():
    slots = Slots(3600)
    slots.due()
    ended = asyncio.Event()
    waiting = asyncio.create_task(slots.wait(ended.is_set))
    ended.set()
    assert await waiting is None


def test_interval_below_a_second_is_refused():
    with pytest.raises(ValueError, match="at least 1"):
        Slots(0)


def test_slots_that_nobody_wants_are_passed_over_and_are_not_missed():
    wall = [960.0]
    slots = Slots(
        12, 948, usual_s=60, wanted=lambda slot: slot % 60 == 0, wall=lambda: wall[0], monotonic=lambda: wall[0]
    )
    taken = []
    for second in range(960, 1_261):
        wall[0] = float(second)
        slot = slots.due()
        if slot is not None:
            taken.append((slot.time, slot.missed))
    assert taken == [(slot, 0) for slot in range(960, 1_261, 60)]
    wall[0] = 1_320.0 + 50  # a tick that ran over by less than a usual interval has missed nothing
    assert slots.due() is None
    wall[0] = 1_380.0 + 120
    found = slots.due()
    assert found is not None
    assert (found.time, found.missed) == (1_500, 1)
