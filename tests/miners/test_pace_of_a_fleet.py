"""Pace, breaker, overload and memory in the tick: scripted drivers, no socket, clocks that the test sets."""

from __future__ import annotations

import itertools
from pathlib import Path
from random import Random
from typing import Any

import httpx
import msgspec
import pytest
from pydantic import ValidationError

from storage.records.miner import MinerConfiguration, MinerTelemetry
from tasks.miners.cadence import Bounds
from tasks.miners.driver import PollFailure, Target
from tasks.miners.fleet import Fleet
from tasks.miners.loop_lag import LoopLag
from tasks.miners.memory import MemoryFile
from tasks.miners.settings import FleetSettings, MinerSettings
from tests.miners.payloads import SLOT
from tests.miners.told import Told, ToldSession, fleet_of, rows

ONCE = FleetSettings(retries=0)
START = SLOT - SLOT % 900


def miner(number: int, **over: Any) -> MinerSettings:
    usual = {"id": f"m{number}", "ip": f"127.0.1.{number}", "model": "S19", "polling_interval_seconds": 60}
    return MinerSettings.model_validate(usual | over)


async def run(fleet: Fleet, minutes: float, start: int = START) -> list[int]:
    """Tick as a shift does, at every slot of the grid that is wanted; the slots ticked."""
    ticked = []
    for slot in range(start, start + int(60 * minutes), fleet.grid_s):
        if fleet.wanted(slot):
            await fleet.tick(slot)
            ticked.append(slot)
    return ticked


def steady(slot: int) -> dict[str, Any]:
    return {"uptime_s": 100_000 + slot - START}


def gaps(told: Told, name: str) -> list[int]:
    asked = [slot for each, slot in told.asked if each == name]
    return [after - before for before, after in itertools.pairwise(asked)]


async def test_steady_miners_are_asked_less_and_restless_ones_more() -> None:
    told = Told(lambda name, slot: {"state": "degraded"} if name == "m2" else steady(slot))
    fleet = fleet_of(told, [miner(1), miner(2)], ONCE)
    assert (fleet.usual_s, fleet.grid_s) == (60, 12)
    await run(fleet, 40)
    assert (gaps(told, "m1")[0], gaps(told, "m1")[-1]) == (60, 120)
    assert set(gaps(told, "m2")[:29]) == {12}, "at once, and as long as it is worth it"
    assert set(gaps(told, "m2")[-10:]) == {60}, "what lasts is how it is by now"
    assert fleet.memories[1].telemetry.why == "for long: it is degraded"


async def test_a_start_and_what_happens_are_followed_closely() -> None:
    def does(_: str, slot: int) -> dict[str, Any]:
        since = slot - START
        return {"uptime_s": 100_000 + since if since < 600 else since - 600, "state": "mining"}

    told = Told(does)
    fleet = fleet_of(told, [miner(1)], ONCE)
    await run(fleet, 11)
    assert gaps(told, "m1")[-3:] == [12, 12, 12]
    assert fleet.memories[0].telemetry.why == "it started less than 15 minutes ago"


async def test_an_event_is_a_row_of_its_tick_and_has_the_configuration_read_at_once(tmp_path: Path) -> None:
    told = Told(lambda _, slot: {"uptime_s": 100_000 + slot - START if slot < START + 300 else 20})
    before = fleet_of(told, [miner(1), miner(2)], ONCE)
    await before.tick(START)
    MemoryFile(tmp_path, "miners").write(before.memories)
    fleet = fleet_of(told, [miner(1), miner(2)], ONCE, remembered=MemoryFile(tmp_path, "miners").read())
    calm = await fleet.tick(START + 240)
    assert (calm.events, calm.configurations, rows(calm, "miner_event")) == ((), 0, {})
    outcome = await fleet.tick(START + 300)
    assert {(event.miner.miner_id, event.kind) for event in outcome.events} == {("m1", "started"), ("m2", "started")}
    assert set(rows(outcome, "miner_event")) == {"m1", "m2"}
    assert outcome.configurations == 2, "though they are due in ten minutes"
    assert [happened.time for happened in fleet.memories[0].events] == [START + 300]
    assert fleet.memories[0].telemetry.why == "it told of started"


async def test_a_dialect_that_was_found_out_is_remembered_and_found_out_anew_after_another_firmware(
    tmp_path: Path,
) -> None:
    class Finding(ToldSession):
        detected: str | None = None
        finds = 0

        async def telemetry(self, slot: int) -> MinerTelemetry:
            if self.detected is None:
                Finding.finds += 1
                self.detected = f"dialect {Finding.finds}"
            return await super().telemetry(slot)

        async def configuration(self, slot: int) -> MinerConfiguration:
            firmware = "1" if slot < START + 1_800 else "2"
            return msgspec.structs.replace(await super().configuration(slot), firmware_version=firmware)

    class FindingDriver(Told):
        def session(self, target: Target, transport: httpx.AsyncBaseTransport) -> Finding:
            return Finding(self, target)

    told, file = FindingDriver(lambda _, slot: steady(slot)), MemoryFile(tmp_path, "miners")
    found = []
    for slot in range(START, START + 3_600, 300):
        fleet = fleet_of(told, [miner(1)], ONCE, remembered=file.read())
        await fleet.tick(slot)
        file.write(fleet.memories)
        found.append(fleet.memories[0].detected)
    assert (found[0], found[5], found[-1]) == ("dialect 1", "dialect 1", "dialect 2")
    assert Finding.finds == 2


async def test_a_fault_in_judging_or_telling_costs_no_reading(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("bug")

    monkeypatch.setattr("tasks.miners.member.judge", broken)
    monkeypatch.setattr("tasks.miners.member.events_between", broken)
    outcome = await fleet_of(Told(), [miner(1), miner(2)], ONCE).tick(START)
    assert {row["power_w"] for row in rows(outcome).values()} == {1}
    assert (outcome.failed, outcome.configurations) == (0, 2)
    assert "could not be judged" in caplog.text
    assert "could not be told" in caplog.text


async def test_nothing_is_ticked_when_nothing_is_due() -> None:
    told = Told(lambda _, slot: steady(slot))
    fleet = fleet_of(told, [miner(1, adaptive=False), miner(2, polling_interval_seconds=300)], ONCE)
    assert await run(fleet, 10) == [START + 60 * minute for minute in range(10)]
    outcome = await fleet.tick(START + 600)
    assert outcome.next_slot == START + 660


async def test_a_dead_miner_is_left_alone_and_probed_and_has_no_rows_in_between() -> None:
    told = Told(lambda name, slot: PollFailure("refused", "no") if name == "m1" else steady(slot))
    fleet = fleet_of(told, [miner(1), *(miner(i) for i in range(2, 6))], ONCE, random=Random(2))
    outcomes = []
    for slot in range(START, START + 7_200, 12):
        if fleet.wanted(slot):
            outcomes.append(await fleet.tick(slot))
    asked = gaps(told, "m1")
    assert all(gap >= 12 for gap in asked)
    assert asked[4] < asked[5] + 120
    assert all(450 <= gap <= 912 for gap in asked[-5:])
    assert len(told.asked) > 250, "the others are polled as ever"
    quiet = [outcome for outcome in outcomes if outcome.left_alone]
    assert len(quiet) > 30
    assert not any("m1" in rows(outcome) for outcome in quiet), "no new fact, no row"
    standing = outcomes[-1].standings[0]
    assert (standing.breaker, standing.failure) == ("open", "refused")
    assert standing.open_since is not None
    assert standing.next_poll is not None
    assert standing.open_since < outcomes[-1].slot < standing.next_poll

    told.does = lambda _, slot: steady(slot)
    await run(fleet, 20, START + 7_200)
    assert fleet.memories[0].breaker.open_since is None
    assert (await fleet.tick(START + 9_000)).left_alone == 0


async def test_an_outage_of_all_is_not_held_against_each() -> None:
    """The collector's cable, not fifty miners: when it is back, all are asked at the next usual time."""
    told = Told(lambda *_: PollFailure("unreachable", "no route"))
    fleet = fleet_of(told, [miner(i) for i in range(1, 51)], ONCE)
    for minute in range(60):
        outcome = await fleet.tick(START + 60 * minute)
        assert (outcome.polled, outcome.failed, outcome.left_alone) == (50, 50, 0)
    told.does = lambda _, slot: steady(slot)
    assert (await fleet.tick(START + 3_600)).failed == 0


async def test_a_single_miner_has_its_breaker_too() -> None:
    told = Told(lambda *_: PollFailure("refused", "no"))
    fleet = fleet_of(told, [miner(1)], ONCE)
    await run(fleet, 60)
    assert 6 < len(told.asked) < 16


async def test_a_miner_that_asks_for_less_is_asked_at_its_slowest() -> None:
    told = Told(lambda name, _: PollFailure("http_status", "429", asked_for_less=True) if name == "m1" else None)
    fleet = fleet_of(told, [miner(1), miner(2)], FleetSettings(retries=0, breaker_failures=1_000))
    await run(fleet, 20)
    assert set(gaps(told, "m1")) == {120}


class Late(LoopLag):
    """The loop of a host that is short of processor time, all the time."""

    async def __aenter__(self) -> LoopLag:
        self.newest_ms = 5_000.0
        return self

    async def __aexit__(self, *_: object) -> None:
        pass


@pytest.mark.parametrize("busy", [False, True])
async def test_configurations_are_given_up_before_telemetry_when_the_host_is_busy(
    monkeypatch: pytest.MonkeyPatch, busy: bool
) -> None:
    if busy:
        monkeypatch.setattr("tasks.miners.fleet.LoopLag", Late)
    told = Told()
    outcome = await fleet_of(told, [miner(i) for i in range(1, 31)], ONCE).tick(START)
    read, dropped = (3, 27) if busy else (30, 0)
    assert (outcome.polled, outcome.configurations, outcome.configurations_dropped) == (30, read, dropped)


async def test_a_host_that_is_always_busy_reads_every_configuration_in_its_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tasks.miners.fleet.LoopLag", Late)
    told = Told(lambda _, slot: steady(slot))
    fleet = fleet_of(told, [miner(i, adaptive=False) for i in range(1, 31)], ONCE)
    for tick in range(20):
        outcome = await fleet.tick(START + 60 * tick)
        assert (outcome.polled, outcome.failed) == (30, 0)
        due = outcome.configurations + outcome.configurations_dropped
        assert outcome.configurations == -(-due // 10) or due == 0
    read = [name for name, _ in told.configured]
    assert set(read[:30]) == {f"m{i}" for i in range(1, 31)}, "nobody twice before everybody once"


async def test_configurations_are_given_up_when_the_tick_runs_out_of_time_and_read_later() -> None:
    now = [0.0]

    def slow(*_: Any) -> None:
        now[0] += 3.0

    told = Told(slow)
    fleet = fleet_of(
        told, [miner(i) for i in range(1, 11)], FleetSettings(concurrency=1, retries=0), clock=lambda: now[0],
        tick_budget_s=40.0,
    )  # fmt: skip
    outcome = await fleet.tick(START)
    assert (outcome.polled, outcome.skipped) == (10, 0), "all telemetry was read"
    assert (outcome.configurations, outcome.configurations_dropped) == (7, 3)
    told.does = lambda *_: None
    later = await fleet.tick(START + 120)
    assert later.configurations == 3
    assert {name for name, slot in told.configured if slot == START + 120} == {"m7", "m8", "m9"}


async def test_miners_that_do_not_answer_hide_no_telemetry_that_still_waits() -> None:
    """Those of the second lane are no telemetry that waits, and asking them makes nobody else's wait shorter."""
    now = [0.0]

    def does(name: str, slot: int) -> Any:
        if int(name[1:]) >= 10:
            return PollFailure("refused", "no")
        now[0] += 3.0 if slot == START + 900 else 0.0
        return None

    told = Told(does)
    miners = [miner(i, adaptive=False) for i in range(1, 20)]
    settings = FleetSettings(concurrency=1, retries=0, breaker_failures=1_000)
    fleet = fleet_of(told, miners, settings, clock=lambda: now[0], tick_budget_s=40.0)
    for turn in range(2):
        await fleet.tick(START + 60 * turn)
    outcome = await fleet.tick(START + 900)
    # Nine miners of 3 s each: when half of the budget of 40 s is over, the seventh and the eighth have others behind.
    assert (outcome.configurations, outcome.configurations_dropped) == (7, 2)


async def test_a_restart_goes_on_at_the_same_pace(tmp_path: Path) -> None:
    def does(name: str, slot: int) -> Any:
        return {"m1": PollFailure("refused", "no"), "m2": {"state": "degraded"}}.get(name, steady(slot))

    miners = [miner(i) for i in range(1, 6)]
    file = MemoryFile(tmp_path, "miners")
    without, restarted = Told(does), Told(does)
    whole = fleet_of(without, miners, ONCE, random=Random(1))
    part = fleet_of(restarted, miners, ONCE, random=Random(1))
    for slot in range(START, START + 3_600, 12):
        if whole.wanted(slot):
            await whole.tick(slot)
        if part.wanted(slot):
            await part.tick(slot)
            file.write(part.memories)
            part = fleet_of(
                restarted, miners, ONCE, random=part._random, remembered=MemoryFile(tmp_path, "miners").read()
            )
    assert restarted.asked == without.asked
    assert part.memories == whole.memories


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        (b'{"miner_id":"m1","driver":"other","polled":7,"a field of tomorrow":{"x":1}}', {"polled": 7}),
        (b'{"miner_id":"m1","polled":7,"telemetry":{"pace":"fast"}}', {"polled": 7}),
        (b'{"miner_id":"m1","polled":7,"breaker":null,"history":[1]}', {"polled": 7}),
        (b'{"miner_id":"m1","polled":"yesterday","succeeded":5}', {"succeeded": 5}),
        (b'{"miner_id":"m1","polled":7', {}),
        (b"\xff\x00", {}),
        (b"[]", {}),
        (b"", {}),
    ],
)
def test_what_another_version_wrote_costs_no_more_than_that(tmp_path: Path, line: bytes, kept: dict[str, int]) -> None:
    file = MemoryFile(tmp_path, "miners")
    file.path.write_bytes(line + b"\n" + b'{"miner_id":"m2","polled":9}\n')
    fleet = fleet_of(Told(), [miner(1), miner(2)], remembered=file.read())
    fresh = fleet_of(Told(), [miner(1), miner(2)]).memories
    assert fleet.memories[0] == msgspec.structs.replace(fresh[0], **kept)
    assert fleet.memories[1].polled == 9


def test_a_tick_adds_what_it_changed_and_the_file_does_not_grow_for_ever(tmp_path: Path) -> None:
    file = MemoryFile(tmp_path / "state", "miners")
    memories = list(fleet_of(Told(), [miner(i) for i in range(1, 21)]).memories)
    sizes = []
    for turn in range(300):
        memories[turn % 20] = msgspec.structs.replace(memories[turn % 20], polled=turn)
        file.write(memories)
        sizes.append(file.path.stat().st_size)
        assert file.memories() == {memory.miner_id: memory for memory in memories}
    steps = [after - before for before, after in itertools.pairwise(sizes) if after > before]
    assert max(steps) < sizes[0] / 10, "one line, not the whole file"
    assert max(sizes) < 6 * sizes[0]

    with file.path.open("ab") as torn:
        torn.write(msgspec.json.encode(msgspec.structs.replace(memories[0], polled=999))[:-20])
    assert file.memories() == {memory.miner_id: memory for memory in memories}
    file.write(memories[1:])
    assert file.memories() == {memory.miner_id: memory for memory in memories[1:]}, "who is configured no more is gone"


def test_a_disk_that_takes_nothing_costs_the_memory_only(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    memories = fleet_of(Told(), [miner(1)]).memories
    folder = tmp_path / "state"
    folder.touch()
    file = MemoryFile(folder, "miners")
    file.write(memories)
    assert "cannot be kept" in caplog.text
    folder.unlink()
    file.write(memories)
    assert file.memories() == {"m1": memories[0]}
    file.path.unlink()
    file.write([msgspec.structs.replace(memories[0], polled=5)])
    file.write([msgspec.structs.replace(memories[0], polled=6)])
    assert file.memories()["m1"].polled == 6, "a file that was deleted comes back"


async def test_a_pace_of_other_settings_comes_back_within_the_bounds(tmp_path: Path) -> None:
    told = Told(lambda _, slot: steady(slot))
    before = fleet_of(told, [miner(1, polling_interval_seconds=600)], ONCE)
    await before.tick(START)
    file = MemoryFile(tmp_path, "miners")
    file.write(before.memories)
    after = fleet_of(told, [miner(1)], ONCE, remembered=file.read())
    assert after.memories[0].telemetry.interval_s == 60


@pytest.mark.parametrize(
    ("settings", "telemetry", "configuration"),
    [
        ({}, (12, 60, 120), (180, 900, 1_800)),
        ({"polling_interval_seconds": 300}, (60, 300, 300), (180, 900, 1_800)),
        ({"polling_interval_seconds": 200}, (40, 200, 300), (180, 900, 1_800)),
        ({"polling_interval_seconds": 600}, (120, 600, 600), (180, 900, 1_800)),
        ({"polling_interval_seconds": 3}, (1, 3, 6), (180, 900, 1_800)),
        ({"configuration_interval_seconds": 1_800}, (12, 60, 120), (360, 1_800, 1_800)),
        ({"fastest_polling_interval_seconds": 30, "slowest_polling_interval_seconds": 900}, (30, 60, 900),
         (180, 900, 1_800)),
        ({"adaptive": False}, (60, 60, 60), (900, 900, 900)),
    ],
)  # fmt: skip
def test_bounds_come_from_the_settings(
    settings: dict[str, Any], telemetry: tuple[int, int, int], configuration: tuple[int, int, int]
) -> None:
    made = miner(1, **settings)
    assert (made.telemetry_bounds(), made.configuration_bounds()) == (Bounds(*telemetry), Bounds(*configuration))


@pytest.mark.parametrize("wrong", [{"fastest_polling_interval_seconds": 61}, {"slowest_polling_interval_seconds": 59}])
def test_bounds_that_exclude_the_usual_interval_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValidationError, match="fastest_polling_interval_seconds <= polling_interval_seconds"):
        miner(1, **wrong)
