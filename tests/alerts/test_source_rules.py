"""Rules over pools, their workers and accounts, and over prices, by tables."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import cast

import pytest

from storage.frame import Value
from storage.store import Store
from tasks.alerts.facts import gather
from tasks.alerts.rules import RULES
from tests.alerts.shelf import rows
from tests.alerts.world import AWAY, MATCH, T, World


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


WORKER: dict[str, Value] = {"pool_id": "ltc", "worker_id": "acc.m1", "algorithm": "scrypt"}


@pytest.mark.parametrize(
    ("fields", "rule", "found"),
    [
        ({"status": "online"}, "worker_offline", {}),
        (
            {"status": "offline", "last_share_age_s": 1_795.0},
            "worker_offline",
            {"ltc acc.m1 scrypt": "ltc does not see worker acc.m1: last share 30 min ago"},
        ),
        ({"status": "offline", "last_share_age_s": 600.0}, "worker_offline", {}),
        ({"status": "offline"}, "worker_offline", {"ltc acc.m1 scrypt": "ltc does not see worker acc.m1"}),
        ({"status": "online", "reject_ratio": 0.04, "time_window": "1h"}, "worker_rejected", {}),
        (
            {"status": "online", "reject_ratio": 0.08, "time_window": "1h"},
            "worker_rejected",
            {"ltc acc.m1 scrypt": "ltc rejects 8.0% of worker acc.m1 over 1h"},
        ),
        ({"status": "online", "reject_ratio": 0.08}, "worker_rejected", {}),  # since a reset: nobody knows when
    ],
)
def test_workers(world: World, fields: dict[str, Value], rule: str, found: dict[str, str]) -> None:
    world.put("pool_performance", WORKER | fields)
    assert world.find(rule) == found


@pytest.mark.parametrize(
    ("counted", "found"),
    [
        # 80 of 1,080 in 40 minutes: 7.4 %; since the reset it was 80 of 101,080
        (
            [(2_400, 100_000.0, 0.0), (1_200, 100_500.0, 40.0), (0, 101_000.0, 80.0)],
            "7.4% of worker acc.m1 over 40 min",
        ),
        ([(2_400, 0.0, 50_000.0), (0, 1_000.0, 50_000.0)], None),  # much was lost, long ago
        ([(1_200, 100_000.0, 0.0), (0, 100_500.0, 500.0)], None),  # of 20 minutes only
        ([(2_400, 100_000.0, 0.0), (0, 100_000.0, 0.0)], None),  # nothing was done
        ([(2_400, 100_000.0, None), (0, 101_000.0, None)], None),  # what is lost is not told
        ([(2_400, 99_000.0, 70.0), (0, 900.0, 30.0)], "3.2% of worker acc.m1 over 40 min"),
    ],
)
def test_where_a_pool_tells_no_ratio_its_counters_of_late_are_judged(
    world: World, counted: list[tuple[int, float, float | None]], found: str | None
) -> None:
    """Its window is of the hashrate. The last case: counters begun anew, 900 accepted since, and 30 lost of 930."""
    for ago, accepted, stale in counted:
        work: dict[str, Value] = {"work_accepted_d1": accepted, "work_stale_d1": stale, "time_window": "24h"}
        world.store.write([rows("pool_performance", WORKER | {"status": "online"} | work, time=T - ago)])
    facts = world.facts()
    messages = [one.message for one in RULES["worker_rejected"].find(facts, 0.03).findings]
    assert messages == ([] if found is None else [f"ltc rejects {found}"])


def test_an_account_that_is_lost(world: World) -> None:
    world.put(
        "pool_account",
        {"pool_id": "ltc", "coin_id": "litecoin", "status": "live"},
        {"pool_id": "ltc", "coin_id": "dogecoin", "status": "refused"},
    )
    assert world.find("pool_account_lost") == {"ltc dogecoin": "ltc: the account is refused"}


def test_an_account_that_nobody_mines_for(world: World) -> None:
    """Field case 16. A coin of the pool that nobody mines by itself is no reason."""
    litecoin: dict[str, Value] = {"pool_id": "ltc", "coin_id": "litecoin", "workers_active": 0}
    idle: dict[str, Value] = {"pool_id": "ltc", "coin_id": "bitcoin", "status": "all_offline"}
    world.put("pool_account", litecoin | {"status": "live"}, idle, {"pool_id": "other", "coin_id": "dogecoin"})
    assert world.find("pool_all_offline") == {}
    world.put("pool_account", litecoin | {"status": "all_offline", "time": T + 60})
    found = world.find("pool_all_offline", now=T + 65.0)
    assert found == {"ltc": "ltc sees none of the account's workers"}


def test_a_pool_that_is_known_to_have_closed_alerts_nobody(world: World) -> None:
    world.put("pool_account", {"pool_id": "old", "coin_id": "litecoin", "status": "gone"})
    asked: dict[str, Value] = {"host": "edge", "source": "old", "request": "account"}
    world.put("source_request", asked | {"time": T - 4_000, "ok": False, "failure": "gone"})
    loud, quiet = (
        gather(
            cast("Store", world.store), world.folder, [], T + 5.0, pool_ids=frozenset({"old"}), closed_pool_ids=closed
        )
        for closed in (frozenset(), frozenset({"old"}))
    )
    for rule in ("pool_account_lost", "pool_away", "market_source_away"):
        assert RULES[rule].find(quiet, RULES[rule].limit).findings == ()
    assert RULES["pool_account_lost"].find(loud, None).findings != ()


def test_a_source_without_data(world: World) -> None:
    tried: dict[str, Value] = {"host": "edge", "request": "workers"}
    world.put(
        "source_request",
        tried | {"time": T - 3_000, "source": "ltc", "ok": True},
        tried | {"time": T - 60, "source": "ltc", "ok": False, "failure": "rate_limited"},
        tried | {"time": T - 4_000, "source": "coingecko", "ok": False, "failure": "timeout"},
        tried | {"time": T - 30, "source": "coingecko", "ok": False, "failure": "server_error"},
        # one host is cut off and another one gets data
        tried | {"time": T - 50, "source": "mempool", "ok": False, "failure": "unreachable"},
        tried | {"time": T - 40, "source": "mempool", "host": "office", "ok": True},
    )
    assert world.find("pool_away") == {"ltc": "ltc: no data for 50 min; workers fails: rate limited"}
    assert world.find("market_source_away") == {
        "coingecko": "coingecko: no data for 67 min at least; workers fails: server error"
    }


def test_old_prices(world: World) -> None:
    world.put(
        "market_data",
        {"time": T - 4_000, "source": "coingecko", "coin_id": "litecoin", "price_usd": 80.0},
        {"time": T - 5_000, "source": "coinmarketcap", "coin_id": "litecoin", "price_usd": 80.0},
        {"time": T - 4_000, "source": "coingecko", "coin_id": "bitcoin", "price_usd": 9e4},
        {"time": T - 100, "source": "coinmarketcap", "coin_id": "bitcoin", "price_usd": 9e4},
    )
    assert world.find("price_old") == {"litecoin": "newest price of litecoin is 67 min old"}


@pytest.mark.parametrize(
    ("fields", "found"),
    [({}, True), ({"state": "paused", "hashrate_hs": 0.0}, False), (AWAY, False), ({"hashrate_hs": 0.0}, False)],
)
def test_a_worker_is_missed_unless_its_miner_says_that_it_does_not_work(
    world: World, fields: Mapping[str, Value], found: bool
) -> None:
    world.telemetry(**fields)
    world.put("worker_match", {**MATCH, "pool_id": "ltc", "worker_id": "a.m1", "status": "matched"})
    worker = {"pool_id": "ltc", "worker_id": "a.m1", "algorithm": "scrypt", "status": "offline"}
    world.put("pool_performance", {**worker, "last_share_age_s": 3_600.0})
    assert bool(world.find("worker_offline")) == found
