"""The tick over drivers that do as they are told: who is asked, how often, how many at once, and what a fault costs."""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from storage.frame import Frame
from storage.records.miner import MinerConfiguration
from tasks.miners.driver import PollFailure, Target
from tasks.miners.fleet import Fleet
from tasks.miners.memory import MemoryFile
from tasks.miners.settings import FleetSettings
from tests.miners.payloads import SLOT
from tests.miners.told import Told, ToldSession, fleet_of, miner, rows


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


async def test_a_configuration_that_cannot_be_stored_costs_itself() -> None:
    class Odd(ToldSession):
        async def configuration(self, slot: int) -> MinerConfiguration:
            record = await super().configuration(slot)
            return msgspec.structs.replace(record, serial=7) if record.miner.miner_id == "m1" else record

    class OddDriver(Told):
        def session(self, target: Target, transport: httpx.AsyncBaseTransport) -> Odd:
            return Odd(self, target)

    outcome = await fleet_of(OddDriver(), [miner(1), miner(2)]).tick(SLOT)
    assert set(rows(outcome, "miner_configuration")) == {"m2"}
    assert {row["power_w"] for row in rows(outcome).values()} == {1}
    assert (outcome.failed, outcome.configurations, outcome.configurations_failed) == (0, 1, 1)
    assert [memory.configuration_failures for memory in outcome.memories] == [1, 0]


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
