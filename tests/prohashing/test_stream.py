"""What a router may do that it should not: garbage, silence, cuts without end, hours of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.errors import NeedsHuman
from storage.frame import Frame
from storage.records.pool import pool_frames
from tasks.miners.redaction import Redaction
from tasks.pools.price_guard import PriceGuard
from tasks.pools.prohashing.feed import Feed
from tasks.pools.prohashing.link import Link
from tasks.pools.prohashing.settings import ProhashingSettings
from tasks.pools.prohashing.stream import ProhashingStream
from tasks.pools.prohashing.subject import Subject
from tasks.pools.prohashing.timing import Timing
from tasks.pools.prohashing.watch import LinkWatch
from tasks.sources.failure import Noticed, SourceFailureKind
from tests.pools.reading import ODD
from tests.prohashing.fake_router import fake_router
from tests.prohashing.listening import QUICK, listening
from tests.prohashing.pool_side import KEY, PRICES, WORKERS

PROFIT, WORKER = "com.prohashing.profitability", "com.prohashing.worker"


async def test_malformed_payloads_cost_themselves(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    bad: list[Any] = [None, 7, "text", [], [1, "x"], {"hashrate": "many", "uuid": KEY}, {"nobody": 1}]
    async with fake_router() as router, listening(tmp_path, {"url": router.url}, key=KEY) as heard:
        await heard.until_state(lambda: heard.link.live)
        for payload in bad:
            await router.publish(WORKER, payload)
        await router.publish(WORKER, [{"worker": 5}, WORKERS[0], {"uuid": "u9", "hashrate": {"a": 1}}])
        await router.publish(PROFIT, **PRICES)
        await router.publish(PROFIT, {"1": {"usd": "cheap"}, "2": {"usd": 6e-8}})
        await heard.until(lambda: heard.rows("pool_performance") and heard.rows("pool_profitability"))
        assert heard.link.live
        malformed = heard.link.malformed
        watch = LinkWatch(heard.link)
        gathered = await watch.ask(watch.requests[0], 0)
    assert malformed == 10
    assert gathered.notices == ["10 payloads could not be read"]
    assert {row["worker_id"] for row in heard.rows("pool_performance")} == {"lodeline.north_01"}
    assert caplog.text.count("that cannot be read:") == 5
    assert "more that cannot be read is only counted" in caplog.text
    assert KEY not in caplog.text + repr([frame.columns for frame in heard.frames])


@pytest.mark.parametrize(
    "frame",
    ["<html>", b"\x00\x01", '{"a":1}', "[999]", "[36]", '[36,77,1,{},["of no subscription"]]', "[8,32,1,{},42]"],
)
async def test_a_frame_that_is_no_message_costs_the_session_at_most(frame: str | bytes, tmp_path: Path) -> None:
    async with fake_router() as router, listening(tmp_path, {"url": router.url}, key=KEY) as heard:
        await heard.until_state(lambda: heard.link.live)
        await router.send(frame)
        await heard.until_state(lambda: heard.link.connections == 2 and heard.link.live)
        await router.publish(WORKER, WORKERS)
        await heard.until(lambda: len(heard.rows("pool_performance")) == 2)


async def test_a_router_that_answers_pings_and_says_nothing_is_left(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    timing = replace(QUICK, quiet_s=0.4)
    async with fake_router() as router, listening(tmp_path, {"url": router.url}, key=KEY, timing=timing) as heard:
        await heard.until_state(lambda: router.sessions >= 3)
    assert "it answers pings, but nothing came for 0.4 s" in caplog.text


async def test_a_topic_that_is_refused_costs_itself(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A key may be good for prices and not for workers: HTTP is asked for these, WAMP brings those."""
    async with fake_router() as router, listening(tmp_path, {"url": router.url}, key=KEY) as heard:
        router.refused = {WORKER}
        await heard.until_state(lambda: heard.link.live)
        await router.publish(PROFIT, PRICES)
        await heard.until(lambda: heard.rows("pool_profitability"))
        assert heard.link.covers(Subject.PROFITABILITY)
        assert not heard.link.covers(Subject.WORKERS)
        assert f"no subscription to {WORKER}: wamp.error.not_authorized" in caplog.text
        router.refused = {WORKER, PROFIT}
        await router.cut()
        await heard.until_state(lambda: "again in 300 s, it needs somebody to act" in caplog.text)
        with pytest.raises(Noticed, match=r"no subscription: wamp\.error\.not_authorized") as caught:
            heard.link.check()
        assert caught.value.kind is SourceFailureKind.REFUSED


@pytest.mark.parametrize("late_s", [None, 0.15])
async def test_a_snapshot_that_does_not_come_is_done_without(
    late_s: float | None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What answers calls hangs, and the topics go on: they are listened to. An answer that comes late harms nobody."""
    timing = replace(QUICK, answer_s=0.1)
    async with fake_router() as router:
        router.late_s = late_s
        wamp = {"preset": "live", "url": router.url, "auth": "anonymous"}
        async with listening(tmp_path, wamp, key=KEY, timing=timing) as heard:
            await heard.until_state(lambda: heard.link.live)
            assert "no snapshot by f_all_miner_updates: no answer within 0.1 s" in caplog.text
            for _ in range(4):
                await router.publish(f"miner_update_diffs_{KEY}", WORKERS)
                await asyncio.sleep(0.1)
            await heard.until(lambda: heard.rows("pool_performance"))
            assert heard.link.connections == 1
            assert heard.link.covers(Subject.WORKERS)


async def test_a_router_that_brings_nothing_at_all_is_left_though_it_has_snapshots(tmp_path: Path) -> None:
    timing = replace(QUICK, answer_s=0.05, quiet_s=0.2)
    async with fake_router() as router:
        wamp = {"preset": "live", "url": router.url, "auth": "anonymous"}
        async with listening(tmp_path, wamp, key=KEY, timing=timing) as heard:
            await heard.until_state(lambda: router.sessions >= 2)


async def test_a_stream_that_is_left_is_not_live_and_no_trouble(tmp_path: Path) -> None:
    """As while the pool is paused by hand: nobody says that it is connected, and nobody that it failed."""
    async with fake_router() as router:
        async with listening(tmp_path, {"url": router.url}, key=KEY) as heard:
            watch = LinkWatch(heard.link)

            def cover() -> str | None:
                return watch.requests[0].covered_by

            assert cover() == "pause", "no stream yet"
            await asyncio.sleep(0)
            assert cover() is None
            await watch.ask(watch.requests[0], 0)  # it waits for the connection that is on its way
            await router.publish(WORKER, WORKERS)
            await heard.until_state(lambda: heard.link.covers(Subject.WORKERS))
        assert not heard.link.live
        assert not heard.link.covers(Subject.WORKERS), "HTTP may ask at once when the pause is over"
        assert cover() == "pause"


async def test_a_router_that_never_lets_in_is_no_endless_wait(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    timing = replace(QUICK, join_s=0.3)
    async with fake_router() as router, listening(tmp_path, {"url": router.url}, key=KEY, timing=timing) as heard:
        router.silent = True
        await heard.until_state(lambda: "not joined within 0.3 s" in caplog.text)
        with pytest.raises(Noticed) as caught:
            heard.link.check()
        assert caught.value.kind is SourceFailureKind.TIMEOUT
        router.silent = False
        await heard.until_state(lambda: heard.link.live)


async def test_updates_without_a_pause_put_no_push_off(tmp_path: Path) -> None:
    """Events are stored within a second: they wait for ``flush_s`` and no longer, however many come after them."""
    assert Timing().flush_s < 1.0
    async with fake_router() as router, listening(tmp_path, {"url": router.url}, key=KEY) as heard:
        await heard.until_state(lambda: heard.link.live)
        number = 0
        while heard.pushes < 5:
            number += 1
            await router.publish(WORKER, {"worker": "w1", "algorithm": "scrypt", "hashrate": number})
            await asyncio.sleep(QUICK.flush_s / 20)  # never so long that there is nothing to gather
    assert len(heard.rows("pool_performance")) < number, "many updates are one row"


async def test_cut_after_cut(tmp_path: Path) -> None:
    """Ten sessions, each cut; what every one told is there, and no connection is left over."""
    async with fake_router() as router, listening(tmp_path, {"url": router.url}, key=KEY) as heard:
        for session in range(1, 11):
            await heard.until_state(lambda: heard.link.live and heard.link.connections == session)  # noqa: B023
            await router.publish(WORKER, {"worker": f"w{session}", "algorithm": "scrypt", "hashrate": session})
            name = f"lodeline.w{session}"
            await heard.until(lambda: any(row["worker_id"] == name for row in heard.rows("pool_performance")))  # noqa: B023
            await router.cut()
            await heard.until_state(lambda: not heard.link.live or heard.link.connections > session)  # noqa: B023
    assert router.sessions >= 10


async def test_what_the_spool_does_not_take_is_not_lost(tmp_path: Path) -> None:
    """The stream ends with the spool's error, is begun anew, and hands on what it had."""
    said = {"api_key": KEY, "wamp": {"url": "ws://127.0.0.1:9/ws"}}
    link = Link("p")
    stream = ProhashingStream(ProhashingSettings.model_validate(said), link, PriceGuard(tmp_path, "p"), timing=QUICK)
    stream._feed.hear(Subject.WORKERS, WORKERS)
    stream._changed.set()
    taken: list[Frame] = []

    async def full(frames: Sequence[Frame]) -> None:
        raise NeedsHuman("the spool is full", remedy="Make room")

    with pytest.raises(NeedsHuman):
        await stream.run(full)

    async def fine(frames: Sequence[Frame]) -> None:
        taken.extend(frames)
        raise NeedsHuman("enough", remedy="End")

    with pytest.raises(NeedsHuman):
        await stream.run(fine)
    assert "pool_performance" in {frame.measurement for frame in taken}


def feed(link: Link | None = None) -> Feed:
    return Feed("p", None, Redaction([KEY]), link or Link("p"))


def test_a_change_that_comes_while_the_snapshot_is_on_its_way_is_newer_than_it() -> None:
    told = feed()
    told.hold()
    told.hear(Subject.WORKERS, {"uuid": "u1", "hashrate": 2.0})
    told.replace(Subject.WORKERS, [{"uuid": "u1", "miner_name": "a", "hashrate": 1.0}])
    told.release()
    records, _ = told.take(60)
    assert [(one.worker_id, one.hashrate_reported_hs) for one in records.workers] == [("a", 2.0)]


def test_two_changes_of_one_second_are_one_row_with_both() -> None:
    told = feed()
    told.hear(Subject.PROFITABILITY, {"1": {"usd": 0.001}})
    first, _ = told.take(60)
    told.hear(Subject.GENERAL, {"total_hashrate_computed_onlys": {"Scrypt": 5.0}})
    second, _ = told.take(60)
    (row,) = second.profitability
    assert first.profitability[0].per_hash_rate_usd_th_day == row.per_hash_rate_usd_th_day == pytest.approx(1000.0)
    assert row.pool_hashrate_hs == 5.0
    assert told.take(61)[0].profitability == ()


def test_a_snapshot_forgets_who_is_gone() -> None:
    told = feed()
    told.replace(Subject.WORKERS, WORKERS)
    told.replace(Subject.WORKERS, WORKERS[:1])
    told.hear(Subject.WORKERS, {"uuid": "u2", "hashrate": 1.0})
    told.take(60)
    assert set(told._table[Subject.WORKERS]["u2"]) == {"uuid", "hashrate"}


@pytest.mark.parametrize("junk", [None, 7, "<html>", [None], {"hashrate": "many"}])
def test_a_snapshot_that_is_none_covers_nothing_and_forgets_nothing(junk: object) -> None:
    """Else the requests that could bring the workers would wait for a stream that does not, for ever."""
    link = Link("p")
    told = feed(link)
    link.joined()
    told.replace(Subject.WORKERS, junk)
    assert not link.covers(Subject.WORKERS)
    told.replace(Subject.WORKERS, [])
    assert link.covers(Subject.WORKERS), "an account without workers has an empty one"
    told.replace(Subject.WORKERS, WORKERS)
    told.replace(Subject.WORKERS, junk)
    assert set(told._table[Subject.WORKERS]) == {"u1", "u2"}


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(Subject), ODD)))
def test_whatever_is_told_can_be_stored(told: list[tuple[Subject, Any]]) -> None:
    heard = feed()
    for subject, payload in told:
        heard.hear(subject, payload)
        heard.replace(subject, payload)
    pool_frames(heard.take(60)[0])
