"""Hours of miners: means over time, cut at the edges of hours, split by what was mined for."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.pools.workers.miners import MinerHour, miner_hours
from tests.pools.telling import H, T, table


def reading(time: int, hashrate: float | None, **more: Any) -> dict[str, Any]:
    return {"time": time, "miner_id": "m1", "hashrate_hs": hashrate, **more}


def slot(time: int, user: str, number: int = 0, status: str = "active", **more: Any) -> dict[str, Any]:
    return {"time": time, "miner_id": "m1", "slot": str(number), "user": user, "status": status, **more}


def hours(readings: list[dict[str, Any]], slots: list[dict[str, Any]], stop: int = T + H) -> list[MinerHour]:
    return miner_hours(table("miner_telemetry", readings), table("miner_pool", slots), T, stop)


def test_the_last_reading_stands_into_the_hour_and_for_twenty_minutes_at_most() -> None:
    # 100 of 23:55 stands to 00:05, 5 min of this hour; 200 of 00:05 stands to 00:25 only; 300 of 00:55 to 01:00.
    # (100 x 300 s + 200 x 1,200 s + 300 x 300 s) / 1,800 s = 200
    (one,) = hours([reading(T - 300, 100.0), reading(T + 300, 200.0), reading(T + 3_300, 300.0)], [])
    assert (one.hour, one.hashrate_hs, one.known_s) == (T, 200.0, 1_800.0)


def test_an_hour_in_which_a_miner_told_nothing_is_none() -> None:
    (one,) = hours([reading(T + 3_000, 100.0)], [slot(T + 3_000, "farm.rig1")], T + 2 * H)
    assert (one.hour, one.known_s, one.user) == (T, 600.0, "farm.rig1")


def test_what_stands_into_the_hour_is_of_the_user_that_is_told_in_it() -> None:
    # 100 stands to 1:10, 10 min; 200 from then on for 20 min: 166.67, all of it for rig2
    readings = [reading(T + 3_000, 100.0), reading(T + H + 600, 200.0)]
    _, second = hours(readings, [slot(T + 3_000, "farm.rig1"), slot(T + H + 600, "farm.rig2")], T + 2 * H)
    assert (second.user, second.known_s) == ("farm.rig2", 1_800.0)
    assert second.hashrate_hs == pytest.approx((100 * 600 + 200 * 1_200) / 1_800)


def test_a_reading_without_hashrate_ends_the_one_before() -> None:
    (one,) = hours([reading(T, 100.0), reading(T + 600, None, state="unreachable")], [])
    assert (one.hashrate_hs, one.known_s, one.state) == (100.0, 600.0, "unreachable")


def test_unreachable_for_an_hour_is_none_and_paused_is_zero() -> None:
    (gone,) = hours([reading(T + n * 600, None, state="unreachable") for n in range(6)], [])
    assert (gone.hashrate_hs, gone.known_s, gone.state) == (None, 0.0, "unreachable")
    (paused,) = hours([reading(T + n * 600, 0.0, state="paused") for n in range(6)], [])
    assert (paused.hashrate_hs, paused.known_s, paused.state) == (0.0, 3_600.0, "paused")


def test_an_hour_of_two_users_is_split_and_adds_up() -> None:
    # 20 min at 90 for rig1, 40 min at 120 for rig2: mean 110 = 30 + 80
    times = range(T, T + H, 600)
    readings = [reading(time, 90.0 if time < T + 1_200 else 120.0) for time in times]
    slots = [slot(time, "farm.rig1" if time < T + 1_200 else "farm.rig2") for time in times]
    found = {one.user: one.hashrate_hs for one in hours(readings, slots)}
    assert found == {"farm.rig1": pytest.approx(30.0), "farm.rig2": pytest.approx(80.0)}


def test_the_active_slot_counts_and_the_makers_does_not() -> None:
    slots = [
        slot(T, "farm.spare", 1, "working"),
        slot(T, "farm.rig1", 2),
        slot(T, "farm.off", 0, "offline"),
        slot(T, "maker.fee", 3, is_fee=True),
    ]
    (one,) = hours([reading(T, 1.0)], slots)
    assert (one.user, one.fee_only) == ("farm.rig1", False)


def test_only_the_makers_slot() -> None:
    (one,) = hours([reading(T, 1.0)], [slot(T, "maker.fee", is_fee=True)])
    assert (one.user, one.fee_only) == (None, True)


def test_a_poll_that_lost_its_pools_lies_between_two_that_have_them() -> None:
    (one,) = hours(
        [reading(T + n * 600, 1.0) for n in range(6)], [slot(T + 600, "farm.rig1"), slot(T + H - 600, "farm.rig1")]
    )
    assert one.user == "farm.rig1"


def test_shares_of_its_own_count_from_before_the_hour_and_after_a_reset() -> None:
    # accepted 90 + 5 after the reset, stale 4 + 1: 5 of 100
    readings = [
        reading(T - 600, 1.0, shares_accepted=10, shares_stale=0, devfee_percent=9.0),
        reading(T + 600, 1.0, shares_accepted=100, shares_stale=4, devfee_percent=2.8),
        reading(T + 1_200, 1.0, shares_accepted=5, shares_stale=1, devfee_percent=2.8),
    ]
    (one,) = hours(readings, [])
    assert one.rejected_ratio == pytest.approx(0.05)
    assert one.devfee_ratio == pytest.approx(0.028)


def test_no_shares_have_no_ratio() -> None:
    readings = [
        reading(T, 1.0, shares_accepted=7, shares_stale=0),
        reading(T + 60, 1.0, shares_accepted=7, shares_stale=0),
    ]
    assert hours(readings, [])[0].rejected_ratio is None
    assert hours([], []) == []
