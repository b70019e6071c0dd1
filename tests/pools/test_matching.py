"""Workers meet miners: one hour, all states, and the gap by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tasks.pools.configured import Expected, PoolName
from tasks.pools.workers.hours import WorkerHour
from tasks.pools.workers.matching import Expectations, match_hour, usual_of
from tasks.pools.workers.miners import MinerHour
from tests.pools.telling import H, T

LTC = PoolName("ltc", "litecoinpool", "Farm")
SPARE = PoolName("spare", "viabtc", "farm2")
URL = "stratum+tcp://litecoinpool.org:3333"

MINER = MinerHour(T, "m1", "farm.rig1", URL, 9.5e9, 3_600.0, 0.028, 0.01)
WORKER = WorkerHour(T, "ltc", "farm.rig1", "scrypt", 9.14166e9, "work", 99.0, 1.0, 0.01, "work", True)
OTHER = replace(WORKER, worker_id="farm.rig2", hashrate_hs=5e9)


def match(
    miners: list[MinerHour], workers: list[WorkerHour], pools: tuple[PoolName, ...] = (LTC, SPARE), **known: Any
) -> list[dict[str, Any]]:
    rows = match_hour(T, miners, workers, pools, Expectations(known.get("usual", {}), known.get("stated", {})))
    return [dict(row) for row in rows]


def test_a_gap_in_its_parts() -> None:
    # The L7 of reference/domain.md 3.2: 9.5 GH/s, fee of the firmware 2.8 %. 9.5 x 0.972 = 9.234 reach the pool, which
    # takes 99 % of it: 9.14166 GH/s. Gap 1 - 9.14166/9.5 = 0.03772 = 0.028 + 0.01 x 0.972, and nothing is left.
    (row,) = match([MINER], [WORKER])
    assert (row["status"], row["pool_id"], row["worker_id"], row["miner_id"]) == ("matched", "ltc", "farm.rig1", "m1")
    assert (row["hashrate_miner_hs"], row["hashrate_pool_hs"], row["reason"]) == (9.5e9, 9.14166e9, "")
    assert row["gap_ratio"] == pytest.approx(0.03772)
    assert (row["gap_devfee_ratio"], row["gap_rejected_ratio"]) == (0.028, pytest.approx(0.00972))
    assert row["gap_unexplained_ratio"] == pytest.approx(0.0, abs=1e-12)


def test_what_is_not_told_is_in_what_is_left_and_is_said() -> None:
    (row,) = match([replace(MINER, devfee_ratio=None, rejected_ratio=None)], [replace(WORKER, reject_ratio=None)])
    assert (row["gap_devfee_ratio"], row["gap_rejected_ratio"]) == (None, None)
    assert row["gap_unexplained_ratio"] == row["gap_ratio"] == pytest.approx(0.03772)
    assert "the firmware's fee is not told" in row["reason"]
    assert "what was rejected is not told" in row["reason"]


@pytest.mark.parametrize(
    ("miner", "worker", "reason"),
    [
        ({"hashrate_hs": None, "state": "unreachable"}, {}, "the miner was unreachable"),
        ({"hashrate_hs": None}, {}, "the miner told no hashrate"),
        ({"hashrate_hs": 0.0, "state": "paused"}, {}, "the miner did not hash: paused"),
        ({"known_s": 1_200.0}, {}, "the miner is known for 20 min of the hour only"),
        ({}, {"hashrate_hs": None}, "the pool tells no hashrate of it"),
    ],
)
def test_without_a_gap_there_is_a_reason(miner: dict[str, Any], worker: dict[str, Any], reason: str) -> None:
    (row,) = match([replace(MINER, **miner)], [replace(WORKER, **worker)])
    assert (row["status"], row["reason"]) == ("matched", reason)
    assert {row[f"gap_{name}ratio"] for name in ("", "devfee_", "rejected_", "unexplained_")} == {None}


@pytest.mark.parametrize(
    ("miner", "worker", "reason"),
    [
        ({"known_s": 2_400.0}, {}, "the miner is known for 40 min of the hour"),
        ({}, {"way": "long"}, "the pool tells a mean of a day only"),
        ({}, {"seen": False}, "the pool sees it offline"),
    ],
)
def test_a_gap_that_says_little_says_so(miner: dict[str, Any], worker: dict[str, Any], reason: str) -> None:
    (row,) = match([replace(MINER, **miner)], [replace(WORKER, **worker)])
    assert (row["reason"], row["gap_ratio"]) == (reason, pytest.approx(0.03772))


@pytest.mark.parametrize(
    ("user", "url", "pools", "place"),
    [
        ("FARM.Rig1", URL, (LTC, SPARE), ("ltc", "farm.rig1")),  # any case
        (" farm.rig1 ", None, (LTC, SPARE), ("ltc", "farm.rig1")),  # a proxy's address, or none, names no pool
        ("farm.rig1", "stratum+tcp://[broken", (LTC, SPARE), ("ltc", "farm.rig1")),
        ("farm.row.7", URL, (LTC, SPARE), ("ltc", "farm.row.7")),  # inner dots stay
        ("farm", URL, (LTC, SPARE), ("ltc", "farm")),
        ("rig1", URL, (replace(LTC, account=None),), ("ltc", "rig1")),  # an account that nobody configured
        ("farm.rig1", "eu.viabtc.io:25", (LTC, replace(SPARE, account="farm")), ("spare", "farm.rig1")),
        ("farm.rig1", "", (replace(SPARE, account="farm"), LTC), ("ltc", "farm.rig1")),  # the one that sees it
    ],
)
def test_the_join(user: str, url: str | None, pools: tuple[PoolName, ...], place: tuple[str, str]) -> None:
    seen = [replace(WORKER, worker_id=name) for name in ("farm.rig1", "farm.row.7", "farm", "rig1") if name == place[1]]
    if place[0] == "spare":
        seen = [replace(one, pool_id="spare") for one in seen]
    (row,) = match([replace(MINER, user=user, url=url)], seen, pools)
    assert (row["pool_id"], row["worker_id"], row["status"]) == (*place, "matched")


@pytest.mark.parametrize(
    ("usual", "stated", "at_spare", "place"),
    [
        (None, None, 1e9, "ltc"),
        (None, None, 9.9e9, "spare"),
        ("ltc", None, 9.9e9, "ltc"),
        ("spare", None, 1e9, "spare"),
        ("spare", None, 0.0, "ltc"),  # it does not hash there any more
        ("ltc", "spare", 1e9, "spare"),
    ],
)
def test_two_pools_that_see_it_behind_a_proxy(
    usual: str | None, stated: str | None, at_spare: float, place: str
) -> None:
    rows = match(
        [replace(MINER, url="proxy.local:3333")],
        [WORKER, replace(WORKER, pool_id="spare", hashrate_hs=at_spare)],
        (LTC, replace(SPARE, account="farm")),
        usual={} if usual is None else {"m1": (usual, "farm.rig1")},
        stated={} if stated is None else {"m1": Expected(stated, None)},
    )
    assert [row["pool_id"] for row in rows if row["miner_id"] == "m1"] == [place]


def test_a_stranger_s_account_is_a_wrong_pool_for_ever() -> None:
    thief = replace(MINER, user="thief.x", url="stratum+tcp://pool.example:3333")
    (row, own) = match([thief], [WORKER], usual={"m1": ("ltc", "farm.rig1")})
    assert (row["status"], row["pool_id"], row["worker_id"]) == ("wrong_pool", None, "thief.x")
    assert row["reason"] == ("it was farm.rig1 at ltc; it mines as thief.x, which is no account that is configured")
    assert (own["status"], own["reason"]) == ("unknown_worker", "no miner mines for it")
    (first,) = match([thief], [])  # with nothing known of before
    assert first["status"] == "wrong_pool"


@pytest.mark.parametrize(
    ("stated", "usual", "status", "reason"),
    [
        (None, ("ltc", "farm.rig1"), "matched", ""),
        (None, ("ltc", "farm.rig9"), "wrong_worker", "it was farm.rig9 at ltc"),
        (None, ("spare", "farm2.rig1"), "wrong_pool", "it was farm2.rig1 at spare"),
        # what the configuration says goes over what was
        (Expected("ltc", "farm.rig1"), ("spare", "farm2.rig1"), "matched", ""),
        (Expected("ltc", None), ("ltc", "farm.rig9"), "matched", ""),
        (Expected("spare", None), ("ltc", "farm.rig1"), "wrong_pool", "it should mine at spare"),
        (Expected("ltc", "farm.rig9"), ("ltc", "farm.rig1"), "wrong_worker", "it should be farm.rig9 at ltc"),
    ],
)
def test_what_is_expected(stated: Expected | None, usual: tuple[str, str], status: str, reason: str) -> None:
    (row,) = match([MINER], [WORKER], usual={"m1": usual}, stated={} if stated is None else {"m1": stated})
    assert (row["status"], row["reason"]) == (status, reason)
    assert row["gap_ratio"] == pytest.approx(0.03772)  # wrong or not, it is what it is


def test_several_miners_of_one_worker_share_what_the_pool_credits() -> None:
    second = replace(MINER, miner_id="m2", hashrate_hs=4.75e9)
    rows = match([MINER, second], [replace(WORKER, hashrate_hs=13.71249e9)])
    assert [row["status"] for row in rows] == ["duplicate_worker"] * 2
    # 13.71249 in two parts to one; the gap is of 14.25: 1 - 13.71249/14.25 = 0.03772
    assert [row["hashrate_pool_hs"] for row in rows] == [pytest.approx(9.14166e9), pytest.approx(4.57083e9)]
    assert [row["gap_ratio"] for row in rows] == [pytest.approx(0.03772)] * 2
    assert {row["reason"] for row in rows} == {"2 miners are this worker"}


def test_two_silent_ones_of_one_worker_divide_nothing_by_zero() -> None:
    rows = match([replace(MINER, hashrate_hs=0.0), replace(MINER, miner_id="m2", hashrate_hs=0.0)], [WORKER])
    assert [row["hashrate_pool_hs"] for row in rows] == [None, None]
    assert [row["gap_ratio"] for row in rows] == [None, None]


def test_a_worker_that_the_pool_does_not_tell_of_is_missing() -> None:
    row, stranger = match([MINER], [OTHER])
    assert (row["status"], row["reason"]) == ("missing_worker", "ltc does not tell of farm.rig1")
    assert (row["hashrate_pool_hs"], row["gap_ratio"]) == (None, None)
    assert (stranger["status"], stranger["worker_id"], stranger["miner_id"]) == ("unknown_worker", "farm.rig2", None)


def test_a_pool_that_told_nothing_leaves_it_open() -> None:
    (row,) = match([MINER], [])
    assert (row["status"], row["reason"]) == ("not_told", "ltc told nothing of its workers in this hour")
    assert (row["pool_id"], row["worker_id"], row["hashrate_miner_hs"]) == ("ltc", "farm.rig1", 9.5e9)


def test_a_miner_that_tells_nothing_is_what_it_was() -> None:
    silent = replace(MINER, user=None, url=None, hashrate_hs=None, known_s=0.0, state="unreachable")
    usual = {"m1": ("ltc", "farm.rig1")}
    (row,) = match([silent], [WORKER], usual=usual)
    assert (row["status"], row["hashrate_pool_hs"], row["reason"]) == (
        "matched",
        9.14166e9,
        "the miner was unreachable",
    )
    (row,) = match([], [WORKER], usual=usual)
    assert (row["status"], row["miner_id"], row["reason"]) == ("matched", "m1", "the miner told nothing")
    # what the configuration says goes over what was, and a miner that is silent is nowhere wrong
    rows = match([silent], [OTHER], usual=usual, stated={"m1": Expected("ltc", "farm.rig2")})
    assert [(row["status"], row["worker_id"]) for row in rows] == [("matched", "farm.rig2")]
    (row, _) = match([silent], [WORKER], usual=usual, stated={"m1": Expected("spare", None)})
    assert (row["status"], row["pool_id"]) == ("not_told", None)
    (row,) = match([], [WORKER], stated={"m1": Expected("ltc", "farm.rig1")})
    assert (row["status"], row["miner_id"]) == ("matched", "m1")
    row, worker = match([silent], [WORKER])
    assert (row["status"], row["pool_id"], row["reason"]) == ("not_told", None, "the miner was unreachable")
    assert worker["status"] == "unknown_worker"


def test_a_miner_that_hashes_and_says_no_pool_and_one_that_mines_for_the_maker() -> None:
    (row,) = match([replace(MINER, user=None)], [WORKER], stated={"m1": Expected("ltc", "farm.rig1")})
    assert (row["status"], row["gap_ratio"]) == ("matched", pytest.approx(0.03772))
    assert row["reason"] == "the miner does not say its pool: it is taken for what it should be"
    (row,) = match([replace(MINER, user=None)], [])
    assert (row["status"], row["reason"]) == ("not_told", "the miner does not say its pool")
    (row,) = match([replace(MINER, user=None, fee_only=True)], [])
    assert (row["status"], row["hashrate_miner_hs"]) == ("fee_only", 9.5e9)


def test_a_name_that_several_workers_have_at_the_pool_is_told() -> None:
    _, double = match([MINER], [WORKER, replace(WORKER, worker_id="farm.rig1#77")])
    assert (double["status"], double["reason"]) == ("unknown_worker", "the pool has several workers called farm.rig1")


def test_a_worker_that_does_nothing_is_no_news() -> None:
    assert match([], [replace(WORKER, hashrate_hs=0.0, seen=False)]) == []


def test_parts_of_one_miner_at_two_addresses_of_one_pool_are_one() -> None:
    half = replace(MINER, hashrate_hs=4.75e9)
    (row,) = match([half, replace(half, url="stratum+tcp://us.litecoinpool.org:8888")], [WORKER])
    assert (row["status"], row["hashrate_miner_hs"]) == ("matched", 9.5e9)
    assert row["gap_ratio"] == pytest.approx(0.03772)


def test_what_a_miner_usually_is() -> None:
    def row(time: int, worker: str, status: str = "matched", miner: str | None = "m1") -> dict[str, Any]:
        return {"time": time, "pool_id": "ltc", "worker_id": worker, "miner_id": miner, "status": status}

    rows = [row(T - n * H, "before") for n in (3, 4)] + [row(T - n * H, "after") for n in (1, 2)]
    assert usual_of(rows, T) == {"m1": ("ltc", "after")}  # as often: the latest
    assert usual_of([*rows, row(T - 5 * H, "before")], T) == {"m1": ("ltc", "before")}  # more often
    out = [row(T - 25 * H, "a"), row(T, "b"), row(T - H, "c", "superseded"), row(T - H, "d", "unknown_worker", None)]
    assert usual_of(out, T) == {}
