"""The reader over a store in files: what it joins, how seldom it asks, and what it says when the store is away."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest

from deployments.page.answer import Answer, Answers
from deployments.page.history import SPANS
from deployments.page.model import Condition, RosterEntry
from deployments.page.reading import PageReader
from storage.errors import NeedsHuman
from tasks.miners.report import MinerStanding, TickReport
from tests.page.fleet_rows import configurations_at, frames_at
from tests.page.frames_store import FramesStore, write

T = 1_795_478_400


class Clock:
    def __init__(self) -> None:
        self.now = T + 20.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def reader(tmp_path, clock):
    write(tmp_path / "store", [*configurations_at(T - 600), *frames_at(T - 60), *frames_at(T)])
    made = PageReader(
        lambda: FramesStore(tmp_path / "store"), tmp_path / "state", assumed_interval_s=60, patience_s=60, clock=clock
    )
    yield made
    made.close()


async def test_fleet_from_the_store(reader):
    answer = await reader.fleet()
    assert answer.away_since is None
    assert {total.algorithm: total.hashrate_hs for total in answer.value.totals} == {
        "sha256d": pytest.approx(155e12, rel=2e-5),
        "scrypt": pytest.approx(9e9, rel=2e-5),
    }


async def test_history_and_detail_from_the_store(reader):
    history = (await reader.history(SPANS["1h"])).value
    assert history.hashrate_hs["sha256d"][-1] == pytest.approx(155e12, rel=2e-5)
    assert history.hashrate_hs["sha256d"][0] is None
    detail = (await reader.detail("a2")).value
    assert {parts.title: len(parts.rows) for parts in detail.parts} == {
        "Boards": 3, "Pools": 1, "Fans": 4, "Errors of the last day": 1,
    }  # fmt: skip
    assert next(n.text for n in detail.settings if n.label == "Firmware") == "Vnish 1.2.6"
    assert (await reader.detail("nobody")).value is None


async def test_a_missed_poll_of_a_miner_is_interpolated_and_told_apart(reader, tmp_path, clock):
    write(tmp_path / "store", frames_at(T + 120))
    clock.now = T + 180
    history = (await reader.miner_history("a1", SPANS["1h"])).value
    read, put_in = history.lines["hashrate_hs_mean"], history.interpolated["hashrate_hs_mean"]
    assert (read[-4:-2], read[-2], put_in[-4:-2], put_in[-1]) == ((read[-4], read[-3]), None, (None, None), None)
    assert put_in[-2] == pytest.approx((read[-3] + read[-1]) / 2)


async def test_an_unreachable_miner_keeps_its_parts_with_their_age_but_no_numbers(reader, tmp_path, clock):
    gone = [frame for frame in frames_at(T + 60) if frame.measurement == "miner_telemetry"]
    gone[0].columns["reachable"][:] = [False] * 5
    for name in ("hashrate_hs", "power_w"):
        gone[0].columns[name][:] = [None] * 5
    write(tmp_path / "store", gone)
    clock.now = T + 70
    detail = (await reader.detail("a1")).value
    assert detail.line.condition is Condition.UNREACHABLE
    assert next(n for n in detail.numbers if n.label == "Hashrate").text == "–"  # noqa: RUF001
    boards = detail.parts[0].rows
    assert [board.time for board in boards] == [T] * 3
    assert boards[0].cells[2] == "31.7 TH/s"


async def test_many_browsers_cost_one_question(tmp_path, clock):
    asked = []

    class Counting(FramesStore):
        def newest(self, measurement, since, *, before=None, where=None):
            asked.append(measurement.name)
            return super().newest(measurement, since, before=before, where=where)

    write(tmp_path / "store", [*configurations_at(T), *frames_at(T)])
    reader = PageReader(lambda: Counting(tmp_path / "store"), tmp_path / "state", patience_s=60, clock=clock)
    answers = await asyncio.gather(*(reader.fleet() for _ in range(50)))
    assert len({id(answer.value) for answer in answers}) == 1
    assert asked.count("miner_telemetry") == 1
    clock.now += 6
    await asyncio.gather(*(reader.fleet() for _ in range(50)))
    assert asked.count("miner_telemetry") == 2
    assert asked.count("miner_configuration") == 1  # seldom changes, so seldom asked
    reader.close()


async def test_a_store_that_is_away_keeps_the_last_numbers_and_says_since_when(reader, tmp_path, clock):
    before = await reader.fleet()
    (tmp_path / "store" / "away").touch()
    clock.now += 10
    away = await reader.fleet()
    clock.now += 600
    later = await reader.fleet()
    assert later.value is away.value is before.value
    assert (later.away_since, later.read_at) == (T + 30, T + 20)
    assert later.trouble == "the store refused the connection"
    (tmp_path / "store" / "away").unlink()
    clock.now += 10
    back = await reader.fleet()
    assert back.away_since is None
    assert {line.condition for line in back.value.lines} == {Condition.STALE}


async def test_a_store_that_cannot_be_opened_yet(tmp_path, clock):
    def refuse():
        raise NeedsHuman("no bucket mining_raw", remedy="Run lodeline deploy")

    reader = PageReader(refuse, tmp_path / "state", [RosterEntry("a1", "", "", 60)], patience_s=60, clock=clock)
    answer = await reader.fleet()
    assert (answer.value, answer.away_since) == (None, clock.now)
    assert answer.trouble == "no bucket mining_raw. Run lodeline deploy"
    assert (await reader.detail("a1")).trouble == answer.trouble
    reader.close()


async def test_a_store_that_hangs_costs_patience_and_not_the_page(clock):
    release = threading.Event()
    executor = ThreadPoolExecutor(1)
    answers = Answers(executor, patience_s=0.01, clock=clock)
    assert (await answers.get("x", 5, lambda: "old")).value == "old"
    clock.now += 10
    slow = await answers.get("x", 5, lambda: release.wait(30) and "new")
    assert (slow.value, slow.away_since) == ("old", clock.now)
    clock.now += 30
    still = await answers.get("x", 5, lambda: "never asked: one question at a time")
    assert still.trouble == "no answer for 30 s"
    release.set()
    executor.shutdown(wait=True)
    await asyncio.sleep(0)
    done = await answers.get("x", 50, lambda: "unused")
    assert (done.value, done.away_since) == ("new", None)


async def test_answers_do_not_pile_up(clock):
    executor = ThreadPoolExecutor(1)
    answers = Answers(executor, patience_s=60, clock=clock)
    for number in range(600):
        await answers.get(f"miner {number}", 5, lambda: number)  # noqa: B023
    assert len(answers._kept) <= 256
    executor.shutdown()


async def test_a_torn_state_file_costs_only_itself(reader, tmp_path):
    standing = MinerStanding(
        miner_id="a3", last_polled=T, last_success=T - 1_440, failures_in_a_row=24, failure="deadline", driver="x"
    )
    report = TickReport(
        lane="miners", host="edge-1", slot=T, finished=T + 2.5, polled=5, failed=1, failed_by_reason={"deadline": 1},
        points=60, points_accepted=600, points_stored=540, points_dead_lettered=0, points_shed=0, backlog=60,
        tick_s=2.5, loop_lag_ms=3.0, store="embedded", miners=(standing,),
    )  # fmt: skip
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "miners.json").write_bytes(msgspec.json.encode(report))
    (tmp_path / "state" / "pools.json").write_bytes(b'{"lane": "pools", "ho')
    silent = next(line for line in (await reader.fleet()).value.lines if line.miner_id == "a3")
    assert silent.reason == "deadline, 24 polls in a row"
    told = (await reader.health()).value.status.reasons[0]
    assert "pools.json cannot be read" in told


async def finished(answers: Answers, key: str) -> None:
    running = answers._kept[key].running
    assert running is not None
    await running


async def test_what_is_read_in_the_background_is_waited_for_by_nobody(clock):
    release = threading.Event()
    executor = ThreadPoolExecutor(1)
    answers = Answers(executor, patience_s=0.0, clock=clock)
    first = answers.peek("x", 300, lambda: release.wait(30) and "old")
    assert (first.value, first.trouble) == (None, None)
    release.set()
    await finished(answers, "x")
    assert answers.peek("x", 300, lambda: "not due").value == "old"
    clock.now += 301

    def fail():
        raise NeedsHuman("no bucket", remedy="Run lodeline deploy")

    answers.peek("x", 300, fail)
    await finished(answers, "x")
    away = answers.peek("x", 300, fail)
    assert (away.value, away.away_since, away.read_at) == ("old", clock.now, clock.now - 301)
    clock.now += 21
    answers.peek("x", 300, lambda: "new")
    await finished(answers, "x")
    assert (answers.peek("x", 300, fail).value, answers.peek("x", 300, fail).away_since) == ("new", None)
    answers.close()
    executor.shutdown()
    clock.now += 900
    assert answers.peek("x", 300, fail).value == (await answers.get("x", 300, fail)).value == "new"  # while it ends


async def test_a_store_that_hangs_over_a_day_does_not_hold_up_the_states(tmp_path, clock):
    release, asked = threading.Event(), threading.Event()

    class Slow(FramesStore):
        def read(self, measurement, tier, start, stop, *, where=None, columns=None):
            asked.set()
            release.wait(30)
            return super().read(measurement, tier, start, stop, where=where, columns=columns)

    write(tmp_path / "store", [*configurations_at(T), *frames_at(T)])
    reader = PageReader(lambda: Slow(tmp_path / "store"), tmp_path / "state", patience_s=60, clock=clock)
    assert reader.background.day() == Answer(None, None)
    assert await asyncio.to_thread(asked.wait, 30)
    fleet = (await reader.fleet()).value
    assert fleet is not None
    assert fleet.power_counted == 4  # while the day is being read
    assert reader.background.day().value is None
    release.set()
    await finished(reader.background._answers, "day")
    day = reader.background.day()
    assert day.value is not None
    assert (day.value.algorithms, day.read_at) == ((), clock.now)
    reader.close()
