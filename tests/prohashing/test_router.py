"""WAMP against a real router, Crossbar: both presets, every login, and a router that freezes, dies and comes back."""

from __future__ import annotations

import asyncio
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tasks.pools.prohashing.subject import Subject
from tests.prohashing.cutting import wire
from tests.prohashing.listening import QUICK, Listening, listening
from tests.prohashing.pool_side import KEY, PRICES, WORKERS, pool_side
from tests.prohashing.router.router import SALTED_SECRET, TICKET, Router

PROFIT, WORKER = "com.prohashing.profitability", "com.prohashing.worker"


def no_secret(heard: Listening, *texts: str) -> None:
    written = repr([frame.columns for frame in heard.frames]) + "".join(texts)
    for secret in (KEY, TICKET, SALTED_SECRET):
        assert secret not in written


async def test_the_documented_preset(router: Router, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    async with (
        pool_side(router.url, "realm1") as pool,
        listening(tmp_path, {"url": router.url}, key=KEY) as heard,
    ):
        await heard.until_state(lambda: heard.link.live)
        assert not heard.link.covers(Subject.WORKERS)
        await pool.publish(PROFIT, PRICES)
        await pool.publish(WORKER, WORKERS[0])
        await heard.until(lambda: heard.rows("pool_performance") and heard.rows("pool_profitability"))
        assert heard.link.covers(Subject.WORKERS)
        assert heard.link.covers(Subject.PROFITABILITY)
        assert not heard.link.covers(Subject.BALANCES)
    prices = {row["algorithm"]: row for row in heard.rows("pool_profitability")}
    assert prices["scrypt"]["per_hash_rate_usd_th_day"] == pytest.approx(2500.0)
    assert prices["sha256d"]["per_hash_rate_usd_th_day"] == pytest.approx(0.05)
    worker = heard.rows("pool_performance")[-1]
    assert (worker["worker_id"], worker["algorithm"], worker["status"]) == ("lodeline.north_01", "scrypt", "online")
    assert worker["hashrate_reported_hs"] == pytest.approx(9.5e9, rel=1e-4)
    assert (worker["shares_accepted"], worker["difficulty"]) == (99, 65536)
    assert {row["request"] for row in heard.rows("source_payload")} == {"wamp profitability", "wamp workers"}
    no_secret(heard, caplog.text)


async def test_the_live_preset_is_a_snapshot_and_diffs(
    router: Router, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    diffs = f"miner_update_diffs_{KEY}"
    async with pool_side(router.url, "mining") as pool:
        await pool.offer_all()
        async with listening(tmp_path, {"preset": "live", "url": router.url}, key=KEY) as heard:
            await heard.until(lambda: len(heard.rows("pool_performance")) >= 2)
            await pool.publish(diffs, [{"uuid": "u1", "hashrate": 7e9}])
            await heard.until(lambda: any(row["hashrate_reported_hs"] < 8e9 for row in heard.rows("pool_performance")))
            await pool.publish(f"balance_updates_{KEY}", [{"coin": "Litecoin", "balance": "1.75", "you": KEY}])
            await heard.until(lambda: any(row["unpaid"] == 1.75 for row in heard.rows("pool_account")))
        called = dict(pool.called)
    assert called["f_all_miner_updates"] == (KEY,)
    assert called["f_all_profitability_updates"] == ()
    newest = [row for row in heard.rows("pool_performance") if row["hashrate_reported_hs"] < 8e9][-1]
    assert newest["worker_id"] == "lodeline.north_01", "the diff had no name, the snapshot did"
    assert newest["difficulty"] == 65536
    assert {row["coin_id"]: row["unpaid"] for row in heard.rows("pool_account")} == {
        "litecoin": 1.75, "dogecoin": 300.25,
    }  # fmt: skip
    told = [row for row in heard.rows("pool_profitability") if row.get("pool_hashrate_hs")]
    hashrates = {row["algorithm"]: row["pool_hashrate_hs"] for row in told}
    assert hashrates == pytest.approx({"scrypt": 9e12, "sha256d": 6e16}, rel=1e-3)
    assert {row["coin_id"] for row in heard.rows("pool_coin")} == {"litecoin", "bitcoin"}
    no_secret(heard, caplog.text)


async def test_the_whole_state_is_called_for_again(router: Router, tmp_path: Path) -> None:
    """A worker that does not change is in no change, nor is one that is gone: while others change all the time."""
    from autobahn.wamp import types

    named_values: Any = types.CallResult  # autobahn is untyped
    timing = replace(QUICK, snapshot_s=0.4)
    workers = list(WORKERS)
    async with pool_side(router.url, "mining") as pool:
        await pool.offer("f_all_miner_updates", lambda: list(workers))
        await pool.offer("f_all_balance_updates", lambda: named_values(Litecoin=1.5))
        async with listening(tmp_path, {"preset": "live", "url": router.url}, key=KEY, timing=timing) as heard:
            await heard.until(lambda: len(heard.rows("pool_performance")) >= 2)
            del workers[1]
            busy, told = 0, heard.stream._feed._table[Subject.WORKERS]
            while "u2" in told or busy < 20:
                busy += 1
                await pool.publish(f"miner_update_diffs_{KEY}", {"uuid": "u1", "hashrate": 1e9 + busy})
                await asyncio.sleep(0.05)
                told = heard.stream._feed._table[Subject.WORKERS]
    assert heard.link.connections == 1
    assert {row["unpaid"] for row in heard.rows("pool_account")} == {1.5}
    assert len({row["time"] for row in heard.rows("pool_performance") if row["worker_id"] == "lodeline.north_01"}) > 1


@pytest.mark.parametrize(
    "login",
    [
        {"auth": "ticket", "auth_id": "farm", "auth_secret": TICKET},
        {"auth": "wampcra", "auth_id": "web", "auth_secret": "web"},
        {"auth": "wampcra", "auth_id": "salted", "auth_secret": SALTED_SECRET},
    ],
    ids=["ticket", "wampcra", "salted wampcra"],
)
async def test_every_login(router: Router, tmp_path: Path, login: dict[str, Any]) -> None:
    async with listening(tmp_path, {"url": router.url, **login}, key=KEY) as heard:
        await heard.until_state(lambda: heard.link.live)


@pytest.mark.parametrize(
    "wrong",
    [
        {"auth": "ticket", "auth_id": "farm", "auth_secret": "planted-wrong-99cc"},
        {"auth": "wampcra", "auth_id": "web", "auth_secret": "planted-wrong-99cc"},
        {"auth": "wampcra", "auth_id": "nobody", "auth_secret": "planted-wrong-99cc"},
        {"realm": "elsewhere"},
    ],
    ids=["ticket", "wampcra", "nobody", "realm"],
)
async def test_who_is_not_let_in_waits(
    router: Router, tmp_path: Path, wrong: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    from tasks.sources.failure import Noticed, SourceFailureKind

    async with listening(tmp_path, {"url": router.url, **wrong}, key=KEY) as heard:
        await heard.until_state(lambda: "again in" in caplog.text)
        await asyncio.sleep(10 * QUICK.longest_wait_s / 4)  # a hot loop would have come back several times
        with pytest.raises(Noticed) as caught:
            heard.link.check()
    assert caught.value.kind is SourceFailureKind.REFUSED
    assert caplog.text.count("again in") == 1
    assert "again in 300 s, it needs somebody to act" in caplog.text
    assert "planted-wrong-99cc" not in caplog.text + str(caught.value)


async def test_tls_is_verified(router: Router, ca_file: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with listening(tmp_path, {"url": router.secure_url}, key=KEY) as heard:
        await heard.until_state(lambda: "again in 300 s" in caplog.text)
        assert not heard.link.live
    assert "certificate is not trusted" in caplog.text
    trusting = {"url": router.secure_url, "ca_file": str(ca_file)}
    async with listening(tmp_path, trusting, key=KEY) as heard:
        await heard.until_state(lambda: heard.link.live)


async def test_a_burst_is_as_many_rows_as_there_are_workers(router: Router, tmp_path: Path) -> None:
    """10,000 updates of 100 workers while the spool is slow: the newest of each, in few pushes."""
    workers, updates = 100, 10_000
    slow = asyncio.Event()
    async with (
        pool_side(router.url, "realm1") as pool,
        listening(tmp_path, {"url": router.url}, key=KEY) as heard,
    ):
        await heard.until_state(lambda: heard.link.live)
        heard.before_push = lambda: slow
        for number in range(updates):
            name = f"w{number % workers}"
            pool.publish_soon(WORKER, {"uuid": name, "miner_name": name, "algorithm": "scrypt", "hashrate": number})
            if number % 500 == 0:
                await asyncio.sleep(0)
        await pool.publish(WORKER, {"uuid": "last", "miner_name": "last", "algorithm": "scrypt", "hashrate": 1})
        feed = heard.stream._feed
        await heard.until_state(lambda: "last" in feed._table[Subject.WORKERS], within_s=120)
        assert sum(len(rows) for rows in feed._dirty.values()) <= workers + 1
        slow.set()
        await heard.until(lambda: any(row["worker_id"] == "lodeline.last" for row in heard.rows("pool_performance")))
    newest = {row["worker_id"]: row["hashrate_reported_hs"] for row in heard.rows("pool_performance")}
    assert newest["lodeline.w7"] == pytest.approx(updates - workers + 7, rel=1e-3)
    assert len(newest) == workers + 1
    assert heard.pushes < 20
    assert heard.link.malformed == 0


async def test_payloads_that_are_none_cost_themselves(
    router: Router, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bad: list[Any] = [None, 7, "text", [1, "x"], {"hashrate": "many", "uuid": KEY}, {"nobody": 1}]
    async with (
        pool_side(router.url, "realm1") as pool,
        listening(tmp_path, {"url": router.url}, key=KEY) as heard,
    ):
        await heard.until_state(lambda: heard.link.live)
        for payload in bad:
            await pool.publish(WORKER, payload)
        await pool.publish(WORKER, [{"uuid": "u9", "hashrate": {"a": 1}}, WORKERS[0]])
        await heard.until(lambda: heard.rows("pool_performance"))
        assert (heard.link.live, heard.link.connections, heard.link.malformed) == (True, 1, 8)
    assert {row["worker_id"] for row in heard.rows("pool_performance")} == {"lodeline.north_01"}
    no_secret(heard, caplog.text)


async def test_a_connection_that_is_half_open_is_noticed_by_its_silence(router: Router, tmp_path: Path) -> None:
    """The router lives and so does the socket; what lies between them passes nothing on, as a dead NAT entry does."""
    timing = replace(QUICK, heartbeat_s=0.2, pong_s=0.5)
    async with (
        wire(router.url) as between,
        listening(tmp_path, {"url": between.url}, key=KEY, timing=timing) as heard,
    ):
        await heard.until_state(lambda: heard.link.live)
        between.die()
        await heard.until_state(lambda: not heard.link.live)
        between.live()
        await heard.until_state(lambda: heard.link.live)
        assert heard.link.connections == 2


async def test_a_frozen_router_is_noticed_and_comes_back(
    router: Router, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Half-open: the sockets stay, nothing answers. The pool's side comes back, and so does the data."""
    timing = replace(QUICK, heartbeat_s=0.3, pong_s=0.5, join_s=2.0)
    async with listening(tmp_path, {"preset": "live", "url": router.url}, key=KEY, timing=timing) as heard:
        await heard.until_state(lambda: heard.link.live)
        router.signal(signal.SIGSTOP)
        try:
            await heard.until_state(lambda: not heard.link.live)
        finally:
            router.signal(signal.SIGCONT)
        async with pool_side(router.url, "mining") as pool:
            await pool.offer_all()
            await heard.until_state(lambda: heard.link.live)
            if not heard.rows("pool_performance"):  # it was faster than the pool's side
                await pool.publish(f"miner_update_diffs_{KEY}", WORKERS)
            await heard.until(lambda: heard.rows("pool_performance"))
    assert "no snapshot by f_all_miner_updates" in caplog.text, "without the pool's side nobody answers calls"
    no_secret(heard, caplog.text)
