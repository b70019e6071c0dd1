"""What judging makes of readings in a row."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import pytest

from storage.records.miner import MinerTelemetry
from tasks.normalize.judging import History, Judged, judge
from tests.normalize.records import SLOT, sound

OFF: dict[str, Any] = {"reachable": False, "state": "unreachable", "failure": "refused"}


def in_a_row(polls: Iterable[MinerTelemetry]) -> list[Judged]:
    found: list[Judged] = []
    for record in polls:
        # through JSON and back, as over a restart
        history = msgspec.json.decode(msgspec.json.encode(found[-1].history), type=History) if found else None
        found.append(judge(record, history))
    return found


def flags(polls: Iterable[MinerTelemetry]) -> list[str | None]:
    return [judged.record.quality_flags for judged in in_a_row(polls)]


def at(after_s: int, **over: Any) -> MinerTelemetry:
    """A sound miner so many seconds later; it has been up for longer and has found more."""
    usual = {
        "time": SLOT + after_s,
        "uptime_s": 183_840 + after_s,
        "shares_accepted": 1_000 + after_s // 6,
        "work_accepted_d1": 65_536_000.0 + 10_000 * after_s,
    }
    return sound(**(usual | over))


def test_a_miner_that_goes_on_has_no_flags() -> None:
    assert flags(at(60 * i, hashrate_hs=93e12 + i) for i in range(20)) == [None] * 20


def test_a_frozen_miner_is_stale_from_the_third_repeat_over_two_minutes() -> None:
    polls = [sound(time=SLOT + 60 * i) for i in range(5)]
    found = in_a_row([*polls, at(300)])
    assert [judged.record.quality_flags for judged in found] == [None, None, "stale", "stale", "stale", None]
    frozen = found[2].record
    assert (frozen.hashrate_hs, frozen.power_w, frozen.chip_temp_max_c, frozen.efficiency_j_th) == (None,) * 4
    assert {part.hashrate_hs for part in frozen.boards} | {part.speed_rpm for part in frozen.fans} == {None}
    # what does not have to move, and what counts, stays
    assert (frozen.hashrate_nominal_hs, frozen.shares_accepted, frozen.state) == (96e12, 1_000, "mining")
    assert found[2].record.quality is not None
    assert found[2].record.quality < 0.2
    assert found[5].record.hashrate_hs == 93e12


def test_quick_polls_alone_make_nothing_stale() -> None:
    """Firmwares average over seconds and write their uptime in minutes."""
    assert flags(sound(time=SLOT + 10 * i) for i in range(12)) == [None] * 12


def test_a_paused_miner_without_an_uptime_may_repeat_itself() -> None:
    paused: dict[str, Any] = {"state": "paused", "hashrate_hs": 0.0, "uptime_s": None, "boards": (), "power_w": 30}
    polls = [sound(time=SLOT + 60 * i, efficiency_j_th=None, **paused) for i in range(9)]
    assert flags(polls) == [None] * 9
    assert {judged.record.hashrate_hs for judged in in_a_row(polls)} == {0.0}


@pytest.mark.parametrize(
    ("over", "reset"),
    [
        ({}, False),
        ({"shares_accepted": 999}, True),
        ({"work_accepted_d1": 0.0}, True),
        ({"hardware_errors": 14}, True),
        ({"uptime_s": 20}, True),
        ({"shares_accepted": None, "uptime_s": None}, False),
    ],
)
def test_a_counter_that_falls_was_reset(over: dict[str, Any], reset: bool) -> None:
    assert flags([at(0), at(60, **over)]) == [None, "counter_reset" if reset else None]


def test_a_reset_is_flagged_once_also_after_polls_without_counters() -> None:
    nothing: dict[str, Any] = {"uptime_s": None, "shares_accepted": None, "work_accepted_d1": None}
    fresh: dict[str, Any] = {"shares_accepted": 5, "work_accepted_d1": 5.0, "hardware_errors": 0}
    polls = [at(0), at(60, **nothing), at(120, uptime_s=60, **fresh), at(180, uptime_s=120, **fresh)]
    assert flags(polls) == [None, None, "counter_reset", None]


def test_a_restart_during_an_outage_is_seen_even_when_all_counters_are_higher_since() -> None:
    before = at(0, uptime_s=600, shares_accepted=10, work_accepted_d1=1.0, hardware_errors=0)
    outage = [at(60 * i, **OFF) for i in range(1, 120)]
    assert flags([before, *outage, at(7_200, uptime_s=5_000)])[-1] == "counter_reset"
    assert flags([before, *outage, at(7_200, uptime_s=7_750)])[-1] is None


def test_an_outage_alone_resets_nothing() -> None:
    polls = [at(0), *(at(60 * i, **OFF) for i in range(1, 25)), at(1_500)]
    assert flags(polls) == [None] * 26


def test_a_second_answer_in_the_same_slot_is_a_duplicate_and_keeps_the_verdict_of_the_first() -> None:
    reset = at(60, shares_accepted=5)
    assert flags([at(0), reset, at(60, shares_accepted=6), at(120, shares_accepted=9)]) == [
        None,
        "counter_reset",
        "counter_reset,duplicate",
        None,
    ]
    # nor is it a repeat on the way to stale
    polls = [sound(), sound(), sound(), sound(time=SLOT + 150)]
    assert flags(polls) == [None, "duplicate", "duplicate", None]


def test_a_duplicate_of_a_stale_answer_is_stale_only_if_it_repeats_too() -> None:
    polls = [sound(time=SLOT + 60 * i) for i in range(3)]
    assert flags([*polls, sound(time=SLOT + 120)])[-1] == "duplicate,stale"
    assert flags([*polls, sound(time=SLOT + 120, hashrate_hs=94e12)])[-1] == "duplicate"


def test_a_clock_that_was_set_back_makes_nothing_stale_and_resets_nothing() -> None:
    polls = [at(60 * i, time=SLOT + 60 * i - (3_600 if i > 2 else 0)) for i in range(6)]
    assert flags(polls) == [None] * 6


@pytest.mark.parametrize("kept", [b"{}", b'{"time": 1800000000, "of_tomorrow": [1]}', b'{"counters": {"gone": 1e9}}'])
def test_a_history_of_another_version_is_taken(kept: bytes) -> None:
    found = judge(at(60), msgspec.json.decode(kept, type=History))
    assert found.record.quality_flags is None
