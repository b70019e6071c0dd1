"""Hours of workers from what pools tell: work, rates, and what they are taken from."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.pools.workers.hours import WorkerHour, worker_hours
from tests.pools.telling import H, T, table

WORKER = {"pool_id": "ltc", "worker_id": "farm.rig1", "algorithm": "scrypt"}


def hours(*rows: dict[str, Any], start: int = T) -> list[WorkerHour]:
    return worker_hours(table("pool_performance", [{**WORKER, **row} for row in rows]), start)


def test_work_of_litecoinpool_is_its_shares_times_65536() -> None:
    # reference/domain.md 1.2: total_work of the sample user is exactly 78,928 shares x 65,536 hashes = 5,172,625,408.
    # In an hour of 3,600 s that is 1,436,840.39 H/s. Of 78,928 + 600 + 200 shares 800 are lost: 0.0100341.
    (one,) = hours(
        {"time": T - 300, "work_accepted_d1": 1_000.0, "work_stale_d1": 5.0, "work_invalid_d1": 7.0},
        {"time": T + 1_500, "work_accepted_d1": 40_000.0, "work_stale_d1": 105.0, "work_invalid_d1": 7.0},
        {"time": T + 3_300, "work_accepted_d1": 79_928.0, "work_stale_d1": 605.0, "work_invalid_d1": 207.0},
    )
    assert one.hashrate_hs == pytest.approx(5_172_625_408 / 3_600)
    assert one.hashrate_hs == pytest.approx(1_436_840.39, rel=1e-8)
    assert (one.way, one.accepted, one.lost, one.reject_basis) == ("work", 78_928.0, 800.0, "work")
    assert one.reject_ratio == pytest.approx(0.0100341, rel=1e-5)


def test_work_of_sha256d_is_shares_times_2_to_the_32() -> None:
    # 1 PH/s for half an hour is 1.8e18 hashes, 419,095.2 shares of 4,294,967,296
    (one,) = hours(
        {"algorithm": "sha256d", "time": T, "work_accepted_d1": 0.0},
        {"algorithm": "sha256d", "time": T + 1_800, "work_accepted_d1": 1.8e18 / 4_294_967_296},
    )
    assert one.hashrate_hs == pytest.approx(1e15)


@pytest.mark.parametrize(
    ("rows", "accepted"),
    [
        ([(T, 900.0), (T + 600, 100.0)], 100.0),  # begun anew: all of it is growth
        ([(T, 900.0), (T + 600, 890.0)], None),  # corrected by the pool: 890 in 10 min would be years of work at once
        ([(T, 900.0), (T + 600, 890.0), (T + 1_200, 990.0)], 100.0),
        ([(T, 900.0), (T + 600, 900.0)], 0.0),  # nothing is zero
        ([(T, 900.0)], None),  # one value says nothing of growth
        ([(T - 3 * H, 900.0), (T + 600, 950.0)], None),  # growth over three hours is of no hour
    ],
)
def test_growth_of_work(rows: list[tuple[int, float]], accepted: float | None) -> None:
    (one,) = hours(*({"time": time, "work_accepted_d1": work} for time, work in rows))
    assert one.accepted == accepted
    assert one.hashrate_hs == (None if accepted is None else pytest.approx(accepted * 65_536 / 600))


@pytest.mark.parametrize(
    ("told", "way", "hashrate"),
    [
        ({"hashrate_effective_hs": 3e9, "time_window": "2h", "hashrate_reported_hs": 4e9}, "rate", 3e9),
        ({"hashrate_effective_hs": 3e9, "time_window": "24h", "hashrate_reported_hs": 4e9}, "rate", 4e9),
        ({"hashrate_effective_hs": 3e9, "time_window": "24h"}, "long", 3e9),
        ({"hashrate_effective_hs": 3e9, "time_window": "a while"}, "long", 3e9),
        ({"hashrate_reported_hs": 0.0}, "rate", 0.0),
        ({"status": "online"}, None, None),
    ],
)
def test_what_the_hashrate_is_taken_from(told: dict[str, Any], way: str | None, hashrate: float | None) -> None:
    (one,) = hours({"time": T + 60, **told})
    assert (one.way, one.hashrate_hs) == (way, hashrate)


def test_ratios_of_two_bases_are_none() -> None:
    ratio = {"reject_ratio": 0.02}
    (one,) = hours(
        {"time": T, **ratio, "reject_basis": "rate"}, {"time": T + 60, "reject_ratio": 0.04, "reject_basis": "rate"}
    )
    assert one.reject_ratio == pytest.approx(0.03)
    assert one.reject_basis == "rate"
    (one,) = hours({"time": T, **ratio, "reject_basis": "rate"}, {"time": T + 60, **ratio, "reject_basis": "count"})
    assert (one.reject_ratio, one.reject_basis) == (None, None)


def test_no_work_at_all_has_no_ratio() -> None:
    none = {"work_accepted_d1": 5.0, "work_stale_d1": 1.0, "work_invalid_d1": 0.0}
    (one,) = hours({"time": T, **none}, {"time": T + 60, **none})
    assert (one.accepted, one.lost, one.reject_ratio, one.hashrate_hs) == (0.0, 0.0, None, 0.0)


@pytest.mark.parametrize(
    ("states", "seen"),
    [(["offline", "online"], True), (["offline", "expired"], False), (["unknown"], None), ([None], None)],
)
def test_seen(states: list[str | None], seen: bool | None) -> None:
    rows = ({"time": T + n * 60, "status": state, "hashrate_reported_hs": 1.0} for n, state in enumerate(states))
    assert hours(*rows)[0].seen is seen


def test_nothing_told_is_nothing() -> None:
    assert hours() == []
    assert hours({"time": T - 60, "hashrate_reported_hs": 1.0}) == []
