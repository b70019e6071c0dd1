"""Shifts follow overrides within a tick: what is paused is not asked, and the rest goes on."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx

from tasks.derive.anomaly.stream import Watch, Watched
from tasks.miners.driver import Target as Asked
from tasks.miners.fleet import Fleet
from tasks.miners.memory import MemoryFile
from tasks.overrides.override import Kind, Override, Overrides, Target
from tasks.shift.slots import Slot
from tasks.sources.source import Push, Request
from tasks.sources.streaming import streaming
from tests.miners.device import device, pages
from tests.miners.payloads import rest
from tests.miners.told import Told, ToldSession, fleet_of, miner, rows
from tests.overrides.given import T, override
from tests.sources.test_collection import SLOT, Host, Scripted

BASE = T - T % 900


def by_hand(*overrides: Override) -> Any:
    return lambda now: Overrides.at([one for one in overrides if one.made <= now], now)


async def test_a_paused_miner_is_not_asked_and_both_ends_are_events(tmp_path: Path) -> None:
    told = Told()
    pause = override("m1", made=BASE + 60.0, until=BASE + 180.0)
    fleet = fleet_of(told, [miner(1), miner(2)], overrides=by_hand(pause))
    seen = {}
    for minute in range(5):
        slot = BASE + 60 * minute
        outcome = await fleet.tick(slot)
        seen[minute] = (sorted(name for name, at in told.asked if at == slot), rows(outcome, "miner_event"))
        assert outcome.failed == 0
        file = MemoryFile(tmp_path, "miners")
        file.write(outcome.memories)  # killed here, the next shift goes on and tells nothing twice
        remembered = MemoryFile(tmp_path, "miners").read()
        fleet = fleet_of(told, [miner(1), miner(2)], overrides=by_hand(pause), remembered=remembered)
    assert [seen[minute][0] for minute in range(5)] == [["m1", "m2"], ["m2"], ["m2"], ["m1", "m2"], ["m1", "m2"]]
    events = {minute: {row["kind"]: row["message"] for row in seen[minute][1].values()} for minute in range(5)}
    assert {minute: list(kinds) for minute, kinds in events.items() if kinds} == {
        1: ["override_began"],
        3: ["override_ended"],
    }
    assert events[1]["override_began"].startswith("paused by hand until ")
    assert events[1]["override_began"].endswith("by ana: fan swap")


async def test_a_miner_forced_to_a_state_is_asked_as_ever() -> None:
    told = Told()
    forced = override("m1", Kind.FORCE, made=float(BASE), state="maintenance")
    outcome = await fleet_of(told, [miner(1), miner(2)], overrides=by_hand(forced)).tick(BASE)
    assert outcome.polled == 2
    assert rows(outcome, "miner_event")["m1"]["new"].startswith("maintenance by hand until")


async def test_the_detector_of_anomalies_is_told_at_once_who_is_off_on_purpose() -> None:
    class Listening(Watch):
        def look(self, slot: int, records: Any, off: Any = ()) -> Watched:
            seen.append((slot - BASE, sorted(off)))
            return Watched()

    seen: list[Any] = []
    hands = [
        override("m1", made=BASE + 60.0, until=BASE + 120.0),
        override("m2", Kind.FORCE, made=BASE + 60.0, state="maintenance"),
        override("m3", Kind.FORCE, made=BASE + 60.0, state="stopped"),
        override("m4", Kind.FORCE, made=BASE + 60.0, state="failed"),
        override("m5", Kind.REDETECT, made=BASE + 60.0),
    ]
    miners = [miner(number) for number in range(1, 6)]
    fleet = fleet_of(Told(), miners, overrides=by_hand(*hands), watch=Listening([]))
    for slot in range(BASE, BASE + 180, 60):
        await fleet.tick(slot)
    assert seen == [(0, []), (60, ["m1", "m2", "m3"]), (120, ["m2", "m3"])]


async def test_where_all_are_paused_ticks_go_on_at_the_usual_interval() -> None:
    told = Told()
    fleet = fleet_of(told, [miner(1, polling_interval_seconds=300)], overrides=by_hand(override("m1", made=BASE - 1.0)))
    assert (fleet.grid_s, fleet.usual_s) == (300, 300)
    quick = fleet_of(
        told,
        [miner(1, polling_interval_seconds=300, adaptive=True)],
        overrides=by_hand(override("m1", made=BASE - 1.0)),
    )
    assert (quick.grid_s, quick.usual_s) == (60, 300)
    ticked = []
    for slot in range(BASE, BASE + 901, 60):
        if quick.wanted(slot):
            outcome = await quick.tick(slot)
            ticked.append((slot - BASE, outcome.next_slot, outcome.polled))
    assert ticked == [(at, BASE + at + 300, 0) for at in (0, 300, 600, 900)]
    assert told.asked == []


async def test_silence_of_all_others_is_still_an_outage() -> None:
    from tasks.miners.driver import PollFailure

    told = Told(lambda _name, _slot: PollFailure("refused", "no"))
    paused = override("m3", made=BASE - 1.0)
    fleet = fleet_of(told, [miner(1), miner(2), miner(3)], overrides=by_hand(paused))
    for minute in range(8):
        await fleet.tick(BASE + 60 * minute)
    assert {memory.breaker.open_since for memory in fleet.memories} == {None}, "the cause is not these miners"


async def test_an_order_to_detect_anew_is_followed_once() -> None:
    class Finding(Told):
        def session(self, target: Asked, transport: httpx.AsyncBaseTransport) -> ToldSession:
            session = ToldSession(self, target)
            session.detected = None  # type: ignore[attr-defined]
            sessions.append(session)
            return session

    sessions: list[Any] = []
    order = override("m1", Kind.REDETECT, made=BASE + 60.0)
    fleet = Fleet([miner(1), miner(2)], drivers={"vnish-rest": Finding()}, overrides=by_hand(order))
    seen = []
    for minute in range(4):
        for session in sessions:
            session.detected = session.detected or f"found at {minute}"
        await fleet.tick(BASE + 60 * minute)
        seen.append([session.detected for session in sessions])
    assert seen == [
        ["found at 0", "found at 0"],
        [None, "found at 0"],
        ["found at 2", "found at 0"],
        ["found at 2", "found at 0"],
    ]


async def test_a_host_told_to_shed_reads_telemetry_and_leaves_out_the_rest() -> None:
    shed = override("edge-1", Kind.SHED, Target.HOST, made=float(SLOT + 60), until=SLOT + 1_000.0)
    async with device(pages(rest())) as box:
        miners = [miner(number, ip="127.0.0.1", port=box.port) for number in range(20)]

        def collector(host: str) -> Fleet:
            return Fleet(miners, payloads="every", overrides=by_hand(shed), host=host)

        for host, after in (("edge-1", (20, 2, 18, 20, 0)), ("edge-2", (20, 20, 0, 0, 20))):
            fleet = collector(host)
            outcome = await fleet.tick(SLOT + 60)
            answered = {row for frame in outcome.frames if frame.measurement == "raw_payload" for row in _miners(frame)}
            got = (outcome.polled, outcome.configurations, outcome.configurations_dropped, outcome.payloads_dropped)
            assert (*got, len(answered)) == after, host
            assert outcome.failed == 0
            await fleet.aclose()


def _miners(frame: Any) -> list[str]:
    return [str(name) for name in frame.columns["miner_id"]]


async def test_a_paused_source_is_not_asked_and_its_lane_does_not_stand_still(tmp_path: Path) -> None:
    host = Host(tmp_path)
    gecko, cap = Scripted("gecko"), Scripted("cap")
    pause = override("gecko", target=Target.SOURCE, made=SLOT + 60.0, until=SLOT + 180.0)
    both = override("cap", target=Target.SOURCE, made=SLOT + 60.0, until=SLOT + 120.0)
    async with host.shift(gecko, cap, overrides=by_hand(pause, both)) as shift:
        told = {}
        for second in range(0, 360, 15):
            host.now = SLOT + second
            if shift.slots._wanted(SLOT + second):
                report = await shift.tick(Slot(SLOT + second))
                told[second] = (report.polled, report.next_slot)
    asked = {source.name: [slot - SLOT for _, slot in source.asked] for source in (gecko, cap)}
    assert not [second for second in asked["gecko"] if 60 <= second < 180]
    assert not [second for second in asked["cap"] if 60 <= second < 120]
    for name, until in (("gecko", 180), ("cap", 120)):
        assert min(asked[name]) < 60
        assert until <= min(second for second in asked[name] if second >= 60) < until + 60
    idle = [second for second, (polled, _) in told.items() if not polled]
    assert idle, "with nothing to ask there is a tick all the same"
    assert all(told[second][1] is not None for second in idle)


async def test_both_ends_of_a_sources_pause_are_events_and_told_once(tmp_path: Path) -> None:
    """Each tick in a shift of its own: what is told is told once over restarts, and within a slot of its time."""
    host = Host(tmp_path)
    gecko = Scripted("gecko", Request("price", 3_600))
    pause = override("gecko", target=Target.SOURCE, made=SLOT + 40.0, until=SLOT + 130.0)
    for second in range(0, 181, 15):
        host.now = SLOT + second
        async with host.shift(gecko, overrides=by_hand(pause)) as shift:
            if shift.slots._wanted(SLOT + second):
                await shift.tick(Slot(SLOT + second))
    began, ended = host.rows("source_event")
    assert (began["time"], began["kind"], ended["time"], ended["kind"]) == (
        SLOT + 45, "override_began", SLOT + 135, "override_ended",
    )  # fmt: skip
    assert (began["host"], began["source"], began.get("old"), ended.get("new")) == ("h", "gecko", None, None)
    assert began["new"] == began["message"] == ended["old"]
    assert str(began["new"]).startswith("paused by hand until ")
    assert str(began["new"]).endswith("by ana: fan swap")


async def test_the_pause_of_a_source_that_is_configured_no_more_has_an_end(tmp_path: Path) -> None:
    host, pause = Host(tmp_path), override("gecko", target=Target.SOURCE, made=SLOT - 1.0)
    for source in ("gecko", "other"):
        async with host.shift(Scripted(source), overrides=by_hand(pause)) as shift:
            await shift.tick(Slot(SLOT + 60 * (source == "other")))
    assert [(row["kind"], row["time"]) for row in host.rows("source_event")] == [
        ("override_began", SLOT), ("override_ended", SLOT + 60),
    ]  # fmt: skip


async def test_a_paused_stream_is_left_and_taken_up_again() -> None:
    stream, state = Leaving("pool"), {"paused": True}
    turns = asyncio.Semaphore(0)

    def paused(name: str) -> bool:
        turns.release()
        return state["paused"] and name == "pool"

    async def push(_: object) -> None:
        pass

    async with streaming([stream], push, paused=paused, look_every_s=0.0):
        for _ in range(3):
            await turns.acquire()
        assert stream.began == 0
        state["paused"] = False
        await stream.here.wait()
        state["paused"] = True
        await stream.left.wait()
        stream.here.clear()
        state["paused"] = False
        await stream.here.wait()
    assert stream.began == 2


class Leaving:
    """A stream that tells when it is connected and when it is left."""

    def __init__(self, name: str) -> None:
        self.name, self.began = name, 0
        self.here, self.left = asyncio.Event(), asyncio.Event()

    async def run(self, push: Push) -> None:
        self.began += 1
        self.here.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.left.set()
