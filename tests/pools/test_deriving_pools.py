"""Deriving: once, again, killed, late, and configured otherwise; on real stores in tests/influx and tests/flows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from storage.frame import Frame
from storage.store import Store
from tasks.pools.configured import Expected, PoolName
from tasks.pools.deriving import PoolsReport, derive_pools
from tasks.pools.due import next_span_s
from tests.downsample.memory_store import MemoryStore
from tests.pools.telling import DAY, H, T, deliver, stored

POOLS = [PoolName("ltc", "litecoinpool", "farm")]
NOW = T + 3 * H + 300


class Killed(BaseException):
    """As a kill: nothing catches it."""


class Failing(MemoryStore):
    """Counts what is written, and is killed before the write number ``dies_at``."""

    writes = 0
    dies_at = -1

    def write(self, frames: Sequence[Frame]) -> None:
        self.writes += 1
        if self.writes == self.dies_at:
            raise Killed
        super().write(frames)


@pytest.fixture
def store() -> Failing:
    return Failing()


def miner(hour: int, user: str = "farm.rig1", miner_id: str = "m1", hashrate: float = 9.5e9) -> dict[str, list[Any]]:
    times = range(hour, hour + H, 600)
    tags = {"miner_id": miner_id}
    return {
        "miner_telemetry": [{**tags, "time": time, "hashrate_hs": hashrate, "devfee_percent": 2.8} for time in times],
        "miner_pool": [{**tags, "time": time, "slot": "0", "status": "active", "user": user} for time in times],
    }


def pool(hour: int, worker: str = "farm.rig1", hashrate: float = 9e9) -> dict[str, list[Any]]:
    """A worker with counters of work, and the account's total of a coin, 0.01 an hour."""
    tags = {"pool_id": "ltc", "worker_id": worker, "algorithm": "scrypt", "status": "online"}
    times = range(hour, hour + H, 1_200)
    work = [
        {**tags, "time": time, "work_accepted_d1": hashrate / 65_536 * (time - T + DAY), "work_stale_d1": 0.0}
        for time in times
    ]
    totals = [
        {"time": time, "pool_id": "ltc", "coin_id": "litecoin", "credited_total": (time - T) / H * 0.01 + 5}
        for time in times
    ]
    return {"pool_performance": work, "pool_account": totals}


def tell(store: Store, *told: dict[str, list[Any]]) -> None:
    for name in ("miner_telemetry", "miner_pool", "pool_performance", "pool_account"):
        rows = [row for one in told for row in one.get(name, ())]
        if rows:
            deliver(store, name, rows)


def fill(store: Store, hours: Sequence[int] = (0, 1, 2)) -> None:
    tell(store, *(part for n in hours for part in (miner(T + n * H), pool(T + n * H))))


def everything(store: Store) -> list[list[dict[str, Any]]]:
    return [stored(store, "worker_match"), stored(store, "pool_summary")]


def test_hours_become_matches_and_summaries_once(store: Failing) -> None:
    fill(store)
    # 3 matches; 3 hours of a worker, an algorithm and a coin
    assert derive_pools(store, NOW, POOLS, {}) == PoolsReport(3, 9)
    matches = stored(store, "worker_match")
    assert [(row["time"], row["status"]) for row in matches] == [(T + n * H, "matched") for n in range(3)]
    assert [row["hashrate_pool_hs"] for row in matches] == [pytest.approx(9e9, rel=2e-5)] * 3
    # 1 - 9 / 9.5 = 0.05263, of which 0.028 is the firmware's fee
    assert [row["gap_unexplained_ratio"] for row in matches] == [pytest.approx(0.05263 - 0.028, rel=1e-3)] * 3
    coins = stored(store, "pool_summary", dimension="coin")
    # the first hour grew from its first total on, 40 min; the others from the last total before
    assert [row["amount"] for row in coins] == [pytest.approx(x) for x in (0.02 / 3, 0.01, 0.01)]
    writes, before = store.writes, everything(store)
    assert derive_pools(store, NOW, POOLS, {}) == PoolsReport(0, 0)
    assert (store.writes, everything(store)) == (writes, before)


@pytest.fixture(scope="module")
def whole() -> list[list[dict[str, Any]]]:
    """What a run that nobody killed leaves: matches, summaries and the note of the first hour, then of two hours."""
    store = Failing()
    fill(store)
    before = store.writes
    derive_pools(store, NOW, POOLS, {})
    assert store.writes - before == 6
    return everything(store)


@pytest.mark.parametrize(("at", "summaries"), [(1, 0), (2, 0), (3, 3), (4, 3), (5, 3), (6, 9)])
def test_killed_before_any_write_and_run_again_it_is_as_if_it_was_not(
    at: int, summaries: int, store: Failing, whole: list[list[dict[str, Any]]]
) -> None:
    fill(store)
    store.dies_at = store.writes + at
    with pytest.raises(Killed):
        derive_pools(store, NOW, POOLS, {})
    assert len(everything(store)[1]) == summaries
    derive_pools(store, NOW, POOLS, {})
    assert everything(store) == whole
    assert derive_pools(store, NOW, POOLS, {}) == PoolsReport(0, 0)


def test_late_data_is_taken_in_for_its_hour_and_the_next_that_it_reaches_into(store: Failing) -> None:
    tell(store, *(miner(T + n * H) for n in range(3)), pool(T), pool(T + 2 * H))
    derive_pools(store, NOW, POOLS, {})
    assert [row["status"] for row in stored(store, "worker_match")] == ["matched", "not_told", "matched"]
    tell(store, pool(T + H))
    report = derive_pools(store, NOW, POOLS, {})
    assert report.matches == 1
    assert [row["status"] for row in stored(store, "worker_match")] == ["matched"] * 3
    assert [row["reason"] for row in stored(store, "worker_match")] == [""] * 3
    amounts = [row["amount"] for row in stored(store, "pool_summary", dimension="coin")]
    # the third hour's growth was from 60 min before; it is from 20 min before now
    assert amounts == [pytest.approx(x) for x in (0.02 / 3, 0.01, 0.01)]


def test_a_row_that_late_data_put_another_in_the_place_of_says_so(store: Failing) -> None:
    tell(store, miner(T, user="farm.old"), pool(T))
    derive_pools(store, NOW, POOLS, {})
    unknown, old = stored(store, "worker_match")
    assert (old["status"], old["worker_id"], old["hashrate_miner_hs"]) == (
        "missing_worker",
        "farm.old",
        pytest.approx(9.5e9, rel=2e-5),
    )
    assert unknown["status"] == "unknown_worker"
    tell(store, miner(T))  # the same polls, told again: another user
    derive_pools(store, NOW, POOLS, {})
    found = {(row["worker_id"], row["miner_id"]): row for row in stored(store, "worker_match")}
    assert found["farm.old", "m1"]["status"] == "superseded"
    assert found["farm.rig1", None]["status"] == "superseded"
    assert found["farm.rig1", "m1"]["status"] == "matched"
    assert derive_pools(store, NOW, POOLS, {}) == PoolsReport(0, 0)


def test_a_move_is_told_for_half_a_day_and_late_data_moves_what_is_usual(store: Failing) -> None:
    hours = range(10)
    now = T + 10 * H + 300
    workers = ["farm.a" if n < 4 else "farm.b" for n in hours]
    tell(store, *(pool(T + n * H, name) for n in hours for name in ("farm.a", "farm.b")))
    tell(store, *(miner(T + n * H, workers[n]) for n in hours if n != 0))
    derive_pools(store, now, POOLS, {})

    def states() -> list[str]:
        rows = sorted(stored(store, "worker_match"), key=lambda row: row["time"])
        return [row["status"] for row in rows if row["miner_id"] == "m1"]

    # It was a for three hours, so for three it is wrong to be b; then it was b as often, and later.
    assert states() == ["matched"] * 3 + ["wrong_worker"] * 3 + ["matched"] * 3
    tell(store, miner(T, "farm.a"))  # an hour more of a
    derive_pools(store, now, POOLS, {})
    assert states() == ["matched"] * 4 + ["wrong_worker"] * 4 + ["matched"] * 2
    assert derive_pools(store, now, POOLS, {}) == PoolsReport(0, 0)


def test_without_a_pool_nothing_is_noted_as_done(store: Failing) -> None:
    fill(store)
    assert derive_pools(store, NOW, [], {}) == PoolsReport(0, 0)
    assert derive_pools(store, NOW, POOLS, {}) == PoolsReport(3, 9)


def test_miners_of_before_any_pool_told_something_are_not_matched(store: Failing) -> None:
    tell(store, miner(T - H), miner(T), pool(T))
    derive_pools(store, NOW, POOLS, {})
    assert [row["time"] for row in stored(store, "worker_match")] == [T]


def test_what_the_configuration_expects(store: Failing) -> None:
    fill(store, [0])
    derive_pools(store, NOW, POOLS, {"m1": Expected("ltc", "farm.rig9")})
    (row,) = stored(store, "worker_match")
    assert (row["status"], row["reason"]) == ("wrong_worker", "it should be farm.rig9 at ltc")


def test_a_day_and_its_moving_average(store: Failing) -> None:
    tell(store, *(pool(T + n * H, hashrate=9e9) for n in range(25)))
    derive_pools(store, T + DAY + H + 300, POOLS, {})
    (day,) = stored(store, "pool_summary", dimension="algorithm", time_period="1d")
    assert (day["time"], day["workers"]) == (T, 1)
    assert [day[name] for name in ("hashrate_effective_hs", "hashrate_ma_24h_hs")] == [pytest.approx(9e9, rel=2e-5)] * 2
    assert day["hashrate_ma_7d_hs"] is None
    (coin,) = stored(store, "pool_summary", dimension="coin", time_period="1d")
    assert coin["amount"] == pytest.approx(0.24 - 0.01 / 3)  # from the first total at 0:00 to that of 23:40


def test_a_late_hour_moves_the_averages_that_it_is_in(store: Failing) -> None:
    tell(store, *(pool(T + n * H) for n in range(26) if n != 20))
    now = T + DAY + 2 * H + 300
    derive_pools(store, now, POOLS, {})

    def averages() -> dict[int, float]:
        hours = stored(store, "pool_summary", dimension="algorithm", time_period="1h")
        return {(row["time"] - T) // H: row["hashrate_ma_24h_hs"] for row in hours if row["hashrate_ma_24h_hs"]}

    assert averages() == {}
    tell(store, pool(T + 20 * H))
    derive_pools(store, now, POOLS, {})
    assert averages() == dict.fromkeys((23, 24, 25), pytest.approx(9e9, rel=2e-5))
    (day,) = stored(store, "pool_summary", dimension="algorithm", time_period="1d")
    assert day["hashrate_ma_24h_hs"] == pytest.approx(9e9, rel=2e-5)


def test_a_day_that_ends_in_a_hole_is_summed_up(store: Failing) -> None:
    tell(store, pool(T), pool(T + DAY + H))
    derive_pools(store, T + DAY + 2 * H + 300, POOLS, {})
    (day,) = stored(store, "pool_summary", dimension="algorithm", time_period="1d")
    assert (day["time"], day["hashrate_effective_hs"]) == (T, pytest.approx(9e9, rel=2e-5))


def test_an_hour_that_is_not_over_is_not_made(store: Failing) -> None:
    fill(store)
    derive_pools(store, T + 2 * H + 100, POOLS, {})
    assert [row["time"] for row in stored(store, "worker_match")] == [T]


def test_what_is_read_at_once() -> None:
    # 1,000 miners that are polled every minute have 60,000 rows of telemetry and 180,000 of pools an hour
    assert next_span_s(1, 240_000) == 2 * H
    assert next_span_s(2, 480_000) == 2 * H
    assert next_span_s(1, 0) == 6 * H
    assert next_span_s(6, 60_000_000) == H
