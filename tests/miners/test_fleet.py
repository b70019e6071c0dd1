"""The tick: one bad miner costs only itself. Miners are real sockets, scripted; nothing is slept for."""

from __future__ import annotations

import asyncio
import json
import logging
import resource
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random
from typing import Any

import httpx
import msgspec
import numpy as np
import pytest

from storage.errors import NeedsHuman
from storage.frame import Frame
from storage.records.miner import MinerConfiguration, MinerTelemetry
from tasks.derive.anomaly.stream import Watch
from tasks.miners import open_files
from tasks.miners.driver import PollFailure, Target
from tasks.miners.fleet import Fleet, TickOutcome
from tasks.miners.memory import MemoryFile
from tasks.miners.report import MinerStanding
from tasks.miners.settings import FleetSettings, MinerSettings
from tests.miners.device import Script, SilentPort, answer, closed_port, device, drip, hang, pages
from tests.miners.payloads import SLOT, rest, stats, summary

QUICK = FleetSettings(connect_timeout_s=0.5, request_deadline_s=2.0, miner_deadline_s=2.5, retries=1)

STORED = 2.0**-16
"""Relative error of what is stored (storage/precision.py)."""


def miner(number: int, **over: Any) -> MinerSettings:
    usual = {"id": f"m{number}", "ip": f"127.0.1.{number}", "model": "S19", "polling_interval_seconds": 60}
    return MinerSettings.model_validate(usual | {"adaptive": False} | over)


def rows(outcome: TickOutcome, measurement: str = "miner_telemetry") -> dict[str, dict[str, Any]]:
    """Rows of a measurement by miner (the last one, where there are several)."""
    found: dict[str, dict[str, Any]] = {}
    for frame in outcome.frames:
        if frame.measurement == measurement:
            for row, time in enumerate(frame.times):
                values = {name: column[row] for name, column in frame.columns.items()} | {"time": time}
                found[values["miner_id"]] = values
    return found


BAD: dict[str, tuple[Script, str]] = {
    "hangs": (hang, "deadline"),
    "drips": (drip(answer(summary())), "deadline"),
    "500": (pages({}), "http_status"),
    "HTML": (pages(dict.fromkeys(rest(), answer(b"<html>login</html>"))), "not_json"),
    "cut JSON": (pages(rest(summary=answer(json.dumps(summary()).encode()[:-99]))), "truncated"),
    "too large": (pages(rest(summary=answer(b"x" * 4_300_000))), "too_large"),
    "wrong password": (pages(dict.fromkeys(rest(), answer(b"", 401))), "auth"),
    "another's JSON": (pages({path: [] for path in rest()}), "schema"),
}  # fmt: skip


async def test_bad_miners_cost_only_themselves() -> None:
    healthy = pages(rest())
    async with AsyncExitStack() as stack:
        boxes = [await stack.enter_async_context(device(healthy)) for _ in range(3)]
        bad = {name: await stack.enter_async_context(device(script)) for name, (script, _) in BAD.items()}
        silent = SilentPort()
        stack.callback(silent.close)
        ports = {f"good{i}": box.port for i, box in enumerate(boxes)}
        ports |= {name.replace(" ", "_").replace("'", ""): box.port for name, box in bad.items()}
        ports |= {"refuses": closed_port(), "silent": silent.port}
        miners = [miner(1, id=name, ip="127.0.0.1", port=port) for name, port in ports.items()]
        fleet = Fleet(miners, QUICK, random=Random(1))

        first = await fleet.tick(SLOT)
        expected = {name.replace(" ", "_").replace("'", ""): kind for name, (_, kind) in BAD.items()}
        expected |= {"refuses": "refused", "silent": "connect_timeout"}
        got = rows(first)
        assert {name: row["failure"] for name, row in got.items() if row["failure"]} == expected
        for name in expected:
            row = {key: value for key, value in got[name].items() if value is not None}
            assert row.pop("poll_ms") > 0
            assert row == {"miner_id": name, "model": "S19", "time": SLOT, "reachable": False, "state": "unreachable",
                           "failure": expected[name], "quality": 0.0}, "nulls and why"  # fmt: skip
        for name in ("good0", "good1", "good2"):
            assert got[name]["hashrate_hs"] == pytest.approx(93e12, rel=STORED)
            assert (got[name]["state"], got[name]["reachable"]) == ("mining", True)
        assert (first.polled, first.failed, first.skipped, first.configurations) == (13, 10, 0, 3)
        assert sum(first.failed_by_reason.values()) == 10
        assert set(rows(first, "miner_board")) == {"good0", "good1", "good2"}
        assert rows(first, "miner_configuration")["good0"]["firmware_version"] == "Vnish 1.2.7"

        await fleet.tick(SLOT + 60)
        third = await fleet.tick(SLOT + 120)  # the bad ones are in the second lane now
        assert {name for name, row in rows(third).items() if row["reachable"]} == {"good0", "good1", "good2"}
        standings = {standing.miner_id: standing for standing in third.standings}
        assert standings["hangs"] == MinerStanding(
            miner_id="hangs", last_polled=SLOT + 120, last_success=None, failures_in_a_row=3, failure="deadline",
            driver="vnish-rest", interval_s=60, next_poll=SLOT + 180,
        )  # fmt: skip
        assert (standings["good0"].failures_in_a_row, standings["good0"].last_success) == (0, SLOT + 120)
        assert third.points == sum(len(frame) for frame in third.frames)
        await fleet.aclose()


async def test_a_miner_that_comes_back_is_read_again_and_its_failure_forgotten() -> None:
    """Schnitzel/hass-miner#538: a miner without power kept its last hashrate for two hours."""
    broken = asyncio.Event()
    sound = pages(rest())

    async def script(exchange: Any) -> None:
        if broken.is_set():
            exchange.writer.transport.abort()
        else:
            await sound(exchange)

    async with device(script) as box:
        fleet = Fleet([miner(1, ip="127.0.0.1", port=box.port)], QUICK)
        assert rows(await fleet.tick(SLOT))["m1"]["hashrate_hs"] == pytest.approx(93e12, rel=STORED)
        broken.set()
        for slot in (SLOT + 60, SLOT + 120, SLOT + 180):
            row = rows(await fleet.tick(slot))["m1"]
            assert (row["state"], row.get("hashrate_hs"), row["failure"]) == ("unreachable", None, "truncated")
        broken.clear()
        outcome = await fleet.tick(SLOT + 240)
        assert rows(outcome)["m1"]["hashrate_hs"] == pytest.approx(93e12, rel=STORED)
        assert outcome.standings[0].failures_in_a_row == 0
        await fleet.aclose()


async def test_counters_that_start_again_are_stored_as_they_are() -> None:
    """Canaan-Creative/Avalon-Management-System#5: nothing is subtracted here, so nothing can get negative."""
    answers = rest()
    async with device(pages(answers)) as box:
        fleet = Fleet([miner(1, ip="127.0.0.1", port=box.port)], QUICK)
        assert rows(await fleet.tick(SLOT))["m1"]["shares_accepted"] == 120
        answers |= rest(summary={"miner": stats(pools=[], hw_errors=0)})
        row = rows(await fleet.tick(SLOT + 60))["m1"]
        assert (row["hardware_errors"], row.get("shares_accepted"), row["state"]) == (0, None, "mining")
        await fleet.aclose()


# Everything below needs no socket: drivers that do as they are told


class Told:
    """A driver and its sessions in one; ``does`` is called with miner id and slot for each telemetry read."""

    name = "vnish-rest"

    def __init__(self, does: Callable[[str, int], Any] = lambda *_: None) -> None:
        self.does = does
        self.asked: list[tuple[str, int]] = []
        self.configured: list[tuple[str, int]] = []
        self.running = 0
        self.most_running = 0

    def session(self, target: Target, transport: httpx.AsyncBaseTransport) -> ToldSession:
        return ToldSession(self, target)


class ToldSession:
    def __init__(self, told: Told, target: Target) -> None:
        self._told, self._target = told, target

    async def telemetry(self, slot: int) -> MinerTelemetry:
        told, name = self._told, self._target.miner.miner_id
        told.asked.append((name, slot))
        told.running += 1
        told.most_running = max(told.most_running, told.running)
        try:
            await asyncio.sleep(0)
            found = told.does(name, slot)
            if isinstance(found, Exception):
                raise found
            if asyncio.iscoroutine(found):
                await found
            record = MinerTelemetry(time=slot, miner=self._target.miner, reachable=True, state="mining", power_w=1)
            return msgspec.structs.replace(record, **found) if isinstance(found, dict) else record
        finally:
            told.running -= 1

    async def configuration(self, slot: int) -> MinerConfiguration:
        self._told.configured.append((self._target.miner.miner_id, slot))
        return MinerConfiguration(
            time=slot, miner=self._target.miner, ip_address=self._target.address, driver="vnish-rest"
        )


def fleet_of(told: Told, miners: list[MinerSettings], settings: FleetSettings = QUICK, **over: Any) -> Fleet:
    return Fleet(miners, settings, drivers={"vnish-rest": told}, **over)


async def test_each_miner_is_due_once_in_its_own_interval() -> None:
    told = Told()
    fleet = fleet_of(told, [miner(1), miner(2, polling_interval_seconds=300), miner(3, polling_interval_seconds=90)])
    assert (fleet.usual_s, fleet.grid_s) == (60, 60)
    base = SLOT - SLOT % 900
    for slot in range(base, base + 600, 60):
        await fleet.tick(slot)
    minutes = {
        name: [(slot - base) // 60 for asked, slot in told.asked if asked == name] for name in ("m1", "m2", "m3")
    }
    assert minutes == {"m1": list(range(10)), "m2": [0, 5], "m3": [0, 2, 3, 5, 6, 8, 9]}
    outcome = await fleet.tick(base + 540)
    assert (outcome.polled, outcome.frames) == (0, [])


async def test_a_restart_goes_on_where_it_stood(tmp_path: Path) -> None:
    told = Told(lambda name, _: PollFailure("refused", "no") if name == "m1" else None)
    miners = [miner(1), miner(2)]
    before = fleet_of(told, miners)
    for slot in (SLOT, SLOT + 60):
        outcome = await before.tick(slot)
    file = MemoryFile(tmp_path, "miners")
    file.write(outcome.memories)
    after = fleet_of(told, miners, remembered=MemoryFile(tmp_path, "miners").read())
    assert after.memories == before.memories
    told.asked.clear()
    assert (await after.tick(SLOT + 60)).polled == 0, "this slot has been polled"
    await after.tick(SLOT + 120)
    assert told.asked == [("m2", SLOT + 120), ("m1", SLOT + 120)] or len(told.asked) == 2, "no retry in the second lane"
    assert after.memories[0].failures_in_a_row == 3


@pytest.mark.parametrize(
    ("kind", "tries"),
    [("refused", 3), ("not_json", 3), ("truncated", 3), ("auth", 1), ("http_status", 1), ("schema", 1)],
)
async def test_retries(kind: Any, tries: int) -> None:
    told = Told(lambda *_: PollFailure(kind, "told so"))
    settings = FleetSettings(retries=2)
    outcome = await fleet_of(told, [miner(1)], settings).tick(SLOT)
    assert (len(told.asked), outcome.polled, outcome.failed_by_reason) == (tries, 1, {kind: 1})


async def test_a_retry_that_succeeds_is_a_success() -> None:
    told = Told()
    told.does = lambda *_: PollFailure("refused", "no") if len(told.asked) < 3 else None
    outcome = await fleet_of(told, [miner(1)], FleetSettings()).tick(SLOT)
    assert (outcome.failed, outcome.standings[0].failure, len(told.asked)) == (0, None, 3)


async def test_no_retry_that_cannot_end_within_the_miners_time() -> None:
    now = [0.0]

    def slow(*_: Any) -> PollFailure:
        now[0] += 3.0
        return PollFailure("deadline", "hung")

    told = Told(slow)
    await fleet_of(told, [miner(1)], FleetSettings(retries=5), clock=lambda: now[0]).tick(SLOT)
    assert len(told.asked) == 1


async def test_a_miners_time_is_bounded_whatever_its_driver_does() -> None:
    told = Told(lambda *_: asyncio.Event().wait())
    outcome = await fleet_of(told, [miner(1), miner(2)]).tick(SLOT)
    assert outcome.failed_by_reason == {"deadline": 2}


async def test_so_many_at_once_and_no_more() -> None:
    told = Told()
    outcome = await fleet_of(told, [miner(i) for i in range(1, 101)], FleetSettings(concurrency=7)).tick(SLOT)
    assert (outcome.polled, told.most_running) == (100, 7)


async def test_the_second_lane_does_not_hold_up_the_first() -> None:
    """With every slot of the second lane hanging, all others are done."""
    done: list[str] = []
    release = asyncio.Event()

    def does(name: str, slot: int) -> Any:
        if int(name[1:]) <= 10:
            return PollFailure("refused", "no") if slot < SLOT + 120 else release.wait()
        done.append(name)
        if len(done) == 20:
            release.set()
        return None

    told = Told(does)
    settings = FleetSettings(concurrency=2, second_lane=2, retries=0)
    fleet = fleet_of(told, [miner(i) for i in range(1, 31)], settings)
    for slot in (SLOT, SLOT + 60):
        done.clear()
        release.clear()
        await fleet.tick(slot)
    done.clear()
    release.clear()
    outcome = await fleet.tick(SLOT + 120)
    assert (outcome.polled, outcome.failed) == (30, 0), "the hanging ones waited for the others, not the reverse"


async def test_what_the_tick_has_no_time_for_is_skipped_and_comes_first_next_time() -> None:
    now = [0.0]

    def slow(*_: Any) -> None:
        now[0] += 10.0

    told = Told(slow)
    fleet = fleet_of(
        told, [miner(i) for i in range(1, 9)], FleetSettings(concurrency=1), clock=lambda: now[0], tick_budget_s=45.0
    )
    first = await fleet.tick(SLOT)
    assert (first.polled, first.skipped, first.failed) == (5, 3, 0)
    assert first.failed_by_reason == {"skipped": 3}
    assert set(rows(first)) == {"m1", "m2", "m3", "m4", "m5"}, "no row: nobody asked them, they are not unreachable"
    assert [s.failure for s in first.standings if s.failure] == ["skipped"] * 3
    assert all(s.failures_in_a_row == 0 for s in first.standings)
    second = await fleet.tick(SLOT + 60)
    assert [name for name, slot in told.asked if slot == SLOT + 60] == ["m6", "m7", "m8", "m1", "m2"]
    assert second.skipped == 3


async def test_configurations_are_spread_and_all_have_their_turn() -> None:
    told = Told(lambda name, _: PollFailure("refused", "no") if name in ("m1", "m2") else None)
    fleet = fleet_of(told, [miner(i) for i in range(1, 201)], FleetSettings(retries=0))
    per_tick = [(await fleet.tick(SLOT + 60 * tick)).configurations for tick in range(15)]
    assert per_tick[:4] == [62, 64, 64, 8], "the two that fail had their turn taken, once"
    assert sum(per_tick) == 198
    assert per_tick[4:] == [0] * 11
    assert (await fleet.tick(SLOT + 900)).configurations == 62, "and again after their interval"


async def test_an_error_in_a_driver_costs_its_miner_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    told = Told(lambda name, _: ZeroDivisionError("bug") if name == "m1" else None)
    outcome = await fleet_of(told, [miner(1), miner(2)]).tick(SLOT)
    assert (rows(outcome)["m1"]["failure"], rows(outcome)["m2"]["state"]) == ("schema", "mining")
    assert "driver vnish-rest failed at miner m1" in caplog.text
    assert "ZeroDivisionError" in caplog.text


async def test_a_record_that_cannot_be_stored_costs_its_miner(caplog: pytest.LogCaptureFixture) -> None:
    told = Told(lambda name, _: {"frequency_mhz": "fast"} if name == "m1" else None)
    outcome = await fleet_of(told, [miner(1), miner(2)]).tick(SLOT)
    assert (rows(outcome)["m1"]["failure"], rows(outcome)["m2"]["power_w"]) == ("schema", 1)
    assert (outcome.failed_by_reason, outcome.standings[0].failure) == ({"schema": 1}, "schema")
    assert "could not be judged" in caplog.text
    assert "cannot be stored" in caplog.text


async def test_a_cause_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    fleet = fleet_of(Told(lambda *_: PollFailure("refused", "no")), [miner(1)], FleetSettings(retries=0))
    with caplog.at_level(logging.INFO):
        for tick in range(5):
            await fleet.tick(SLOT + 60 * tick)
    assert len([record for record in caplog.records if record.levelno >= logging.WARNING]) == 1


async def test_a_cancelled_tick_leaves_nothing_running() -> None:
    both_run = asyncio.Barrier(3)

    async def wait_forever() -> None:
        await both_run.wait()
        await asyncio.Event().wait()

    told = Told(lambda *_: wait_forever())
    tick = asyncio.create_task(fleet_of(told, [miner(1), miner(2)], FleetSettings()).tick(SLOT))
    await both_run.wait()
    tick.cancel()
    with pytest.raises(asyncio.CancelledError):
        await tick
    assert told.running == 0


async def test_a_blocked_loop_shows() -> None:
    def block(*_: Any) -> None:
        time.sleep(0.12)

    told = Told(block)
    outcome = await fleet_of(told, [miner(1)], FleetSettings()).tick(SLOT)
    assert outcome.loop_lag_ms > 20


async def test_no_miners() -> None:
    outcome = await Fleet([]).tick(SLOT)
    assert (outcome.polled, outcome.frames, outcome.standings) == (0, list[Frame](), ())


# Open files


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The last entry is the limit; setting appends."""
    found = [(1_024, 4_096)]
    monkeypatch.setattr(resource, "getrlimit", lambda _: found[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _, limit: found.append(limit))
    return found


@pytest.mark.parametrize(("miners", "limit"), [(24, (1_024, 4_096)), (1_000, (1_500, 4_096)), (3_000, (4_000, 4_096))])
def test_the_limit_is_raised_as_needed(limits: list[tuple[int, int]], miners: int, limit: tuple[int, int]) -> None:
    assert open_files.allow_open_files(miners) == limit[0]
    assert limits[-1] == limit


def test_a_limit_too_low_is_named(limits: list[tuple[int, int]]) -> None:
    with pytest.raises(NeedsHuman, match=r"10000 miners need a limit of 12750 open files.*4096.*LimitNOFILE=12750"):
        open_files.allow_open_files(10_000)
    assert limits == [(1_024, 4_096)]


# What is kept of the answers


@pytest.mark.parametrize("keep", ["every", "off"])
async def test_answers_are_kept_without_secrets_and_for_failed_polls_too(keep: Any) -> None:
    async with device(pages(rest())) as sound, device(hang) as hanging:
        miners = [
            miner(1, ip="127.0.0.1", port=sound.port, password="S21 Pro"),  # it stands in the answers
            miner(2, ip="127.0.0.1", port=hanging.port),
        ]
        settings = FleetSettings(connect_timeout_s=0.5, request_deadline_s=0.5, miner_deadline_s=0.6, retries=0)
        fleet = Fleet(miners, settings, payloads=keep)
        outcome = await fleet.tick(SLOT)
        frames = [frame for frame in outcome.frames if frame.measurement == "raw_payload"]
        assert rows(outcome)["m1"]["hashrate_hs"] == pytest.approx(93e12, rel=STORED)
        assert rows(outcome)["m2"]["failure"] == "deadline"
        if keep == "off":
            assert frames == []
        else:
            (frame,) = frames
            kept = list(zip(*(frame.columns[name] for name in ("miner_id", "path", "status", "failure")), strict=True))
            assert ("m1", "/api/v1/summary", 200, None) in kept
            assert ("m2", "/api/v1/info", None, "deadline") in kept
            bodies = "".join(str(body) for body in frame.columns["body"])
            assert "Vnish" in bodies
            assert "S21 Pro" not in bodies
        again = await fleet.tick(SLOT + 60)
        assert sum(frame.measurement == "raw_payload" for frame in again.frames) == (keep == "every")
        await fleet.aclose()


async def test_an_anomaly_is_an_event_is_polled_faster_and_ends(tmp_path: Path) -> None:
    lost = range(SLOT - SLOT % 300 + 1_200, SLOT - SLOT % 300 + 3_600)
    told = Told(lambda name, slot: {"fans_running": 3 if name == "m1" and slot in lost else 4})
    miners = [miner(number, polling_interval_seconds=300, adaptive=True) for number in (1, 2)]
    watch = Watch([one.target().miner for one in miners])
    fleet = fleet_of(told, miners, watch=watch)
    events: list[tuple[str, str, str]] = []
    intervals: dict[int, int] = {}
    scores = 0
    for slot in range(lost.start - 1_200, lost.stop + 3_600, 60):
        outcome = await fleet.tick(slot)
        stored = rows(outcome, "miner_event").values()
        events += [(row["kind"], row["miner_id"], row["severity"]) for row in stored]
        assert [row["kind"] for row in stored] == [event.kind for event in outcome.events]
        scores += len(rows(outcome, "anomaly_score"))
        intervals[slot] = fleet.memories[0].telemetry.interval_s
        if slot == lost.stop - 60:
            memory = fleet.memories[0]
            assert memory.anomaly == "temperature: 3 of 4 fans turn"
            assert memory.events[-1].message == "m1 is odd: temperature: 3 of 4 fans turn"
            # a restart that kept the watch goes on; one that lost it does not call the miner anomalous for ever
            file = MemoryFile(tmp_path, "miners")
            file.write(outcome.memories)
            for kept, says in ((watch, memory.anomaly), (Watch([]), None), (None, None)):
                again = fleet_of(told, miners, remembered=file.read(), watch=kept)
                assert again.memories[0].anomaly == says
    assert events == [("anomaly_began", "m1", "warning"), ("anomaly_ended", "m1", "info")]
    assert scores > 30
    assert intervals[lost.start] == 300
    began = next(slot for slot, interval in intervals.items() if interval == 60)
    assert began == lost.start + 600, "the third odd poll, at 300 s each"
    assert intervals[lost.start + 1_200] == 60
    assert intervals[lost.stop + 3_000] >= 300
    asked = [slot for name, slot in told.asked if name == "m2"]
    assert set(np.diff(asked)) == {300}, "nobody else is asked more often"


async def test_a_detector_that_fails_costs_no_reading(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Watch):
        def look(self, slot: int, records: Any, off: Any = ()) -> Any:
            raise ZeroDivisionError

    outcome = await fleet_of(Told(), [miner(1)], watch=Broken([])).tick(SLOT)
    assert rows(outcome)["m1"]["power_w"] == 1
    assert "could not be looked at for anomalies" in caplog.text
