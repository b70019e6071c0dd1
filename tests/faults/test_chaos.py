"""Trouble around a collector: the state is clear while it lasts, nothing is lost, and it ends without a human."""

from __future__ import annotations

import contextlib
import itertools
import resource
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from storage.delivery import courier
from storage.errors import NeedsHuman
from storage.influx.settings import InfluxSettings
from storage.spool.segment import segments_of
from tasks.miners.collection import LANE
from tasks.shift.slots import Slot
from tests.farm.clock import Clock
from tests.faults.chaos import EVERY_S, LIMITS, Collector, farm_of_all, mounted, on_shift, run, slots
from tests.influx.server import InfluxServer

pytestmark = pytest.mark.faults


async def test_a_farm_without_power_is_unreachable_and_read_again_at_once(tmp_path, influx):
    clock = Clock()
    farm = farm_of_all(clock)
    async with contextlib.AsyncExitStack() as stack:
        async with farm:
            collector = await stack.enter_async_context(on_shift(farm, tmp_path, influx=influx))
            before = await run(collector, clock, 0, 3)
        outage = await run(collector, clock, 3, 3 * LIMITS.breaker_failures)
        async with farm:
            after = await run(collector, clock, 3 + len(outage), 3)
            await collector.ends_with_all_stored()

            everybody = {identity.miner_id for identity in farm.miners}
            for report in (*before, *after):
                assert (report.polled, report.failed, report.missed) == (len(everybody), 0, 0)
            for number, report in enumerate(outage, start=1):
                assert report.failed_by_reason == {"refused": len(everybody)}
                assert (report.polled, report.left_alone) == (len(everybody), 0)
                for miner in report.miners:
                    said = (miner.failure, miner.failures_in_a_row, miner.last_success, miner.breaker)
                    assert said == ("refused", number, before[-1].slot, "closed")
            assert {miner.failures_in_a_row for miner in after[0].miners} == {0}
            rows = collector.telemetry()
            for report in outage:
                for miner_id in everybody:
                    row = rows[miner_id, report.slot]
                    assert (row["state"], row["failure"], row["reachable"]) == ("unreachable", "refused", False)
                    assert (row["hashrate_hs"], row["power_w"], row["shares_accepted"]) == (None, None, None)
            for report in (*before, *after):
                collector.assert_true(report.slot)


async def test_half_the_farm_refused_is_left_alone_and_costs_the_other_half_nothing(tmp_path):
    healthy = ("miner_telemetry", "miner_board", "miner_fan", "miner_pool", "miner_configuration", "miner_event")
    first, refused, longest = 3, 20, LIMITS.breaker_longest_seconds // EVERY_S
    back = longest + 15  # booting takes some minutes
    kept = []
    for trouble in (False, True):
        clock = Clock()
        async with farm_of_all(clock) as farm, on_shift(farm, tmp_path / str(trouble)) as collector:
            ids = [identity.miner_id for identity in farm.miners]
            hurt = set(ids[::2]) if trouble else set()
            await run(collector, clock, 0, first)
            for miner_id in hurt:
                farm.inject(miner_id, "dead")
            during = await run(collector, clock, first, refused)
            farm.clear()
            after = await run(collector, clock, first + refused, back)
            await collector.ends_with_all_stored()
            kept.append({name: collector.rows(name) for name in healthy})
            collector.assert_true(after[-1].slot)

    assert len(ids) > 2 * len(hurt) - 2 > 10
    for report in during[LIMITS.breaker_failures - 1 :]:
        for miner in report.miners:
            assert (miner.breaker == "closed") is (miner.miner_id not in hurt)
            assert miner.failure == ("refused" if miner.miner_id in hurt else None)
            if miner.miner_id in hurt:
                assert miner.open_since == during[LIMITS.breaker_failures - 1].slot
                assert miner.next_poll is not None
                assert miner.next_poll <= report.slot + LIMITS.breaker_longest_seconds + EVERY_S
        assert report.polled + report.left_alone == len(ids)
    assert any(report.left_alone == len(hurt) for report in during)
    asked = [row for row in kept[1]["miner_telemetry"] if row["miner_id"] in hurt and not row["reachable"]]
    assert {(row["state"], row["failure"]) for row in asked} == {("unreachable", "refused")}
    assert len(asked) == sum(report.failed for report in (*during, *after))  # who is not asked has no row
    for report in after[longest + 1 :]:
        assert (report.polled, report.failed, report.left_alone) == (len(ids), 0, 0)
        assert {miner.breaker for miner in report.miners} == {"closed"}

    for name in healthy:
        sound, beside = ([row for row in rows[name] if row["miner_id"] not in hurt] for rows in kept)
        for row in (*sound, *beside):
            row.pop("poll_ms", None)
        assert sound == beside
        assert sound or name == "miner_event"


class SteppedClock:
    """Ticks the slots of a collection by a wall clock that is set while ``true``, which miners go by, goes on."""

    def __init__(self, collector: Collector, true: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ticks: list[tuple[Slot, float]] = []
        self.step_s = 0.0
        self._collector = collector
        self._true = true
        monkeypatch.setattr(collector.collection.slots, "_wall", lambda: true.now + self.step_s)
        monkeypatch.setattr(collector.collection.slots, "_monotonic", true)

    async def go_on(self, count: int) -> None:
        """Tick ``count`` slots, each once and with everybody in it."""
        slots = self._collector.collection.slots
        for _ in range(count):
            slot = slots.due()
            assert slot is not None
            assert slots.due() is None
            report = await self._collector.tick(slot)
            assert (report.slot, report.missed) == (slot.time, slot.missed)
            assert (report.polled, report.failed) == (len(self._collector.farm.miners), 0)
            self.ticks.append((slot, self._true.now))
            self._true.now += EVERY_S

    @property
    def jumps(self) -> list[int]:
        """Between slots that do not follow one another."""
        between = [later.time - sooner.time for (sooner, _), (later, _) in itertools.pairwise(self.ticks)]
        return [jump for jump in between if jump != EVERY_S]

    def growth(self) -> dict[str, int]:
        """Shares that the user's pools accepted from the first tick to the last, by miner."""
        (_, began), (_, ended) = self.ticks[0], self.ticks[-1]
        farm = self._collector.farm
        stands = {miner.miner_id: [farm.truth(miner.miner_id, at) for at in (began, ended)] for miner in farm.miners}
        return {name: after.shares_accepted - before.shares_accepted for name, (before, after) in stands.items()}


async def test_a_wall_clock_set_forward_loses_and_doubles_nothing(tmp_path, influx, monkeypatch):
    true = Clock()
    async with farm_of_all(true) as farm, on_shift(farm, tmp_path, influx=influx) as collector:
        clock = SteppedClock(collector, true, monkeypatch)
        await clock.go_on(3)
        clock.step_s += 7_200
        await clock.go_on(4)
        true.now += 3 * EVERY_S  # what really was missed is told, and only that
        await clock.go_on(3)
        await collector.ends_with_all_stored()

        assert [slot.missed for slot, _ in clock.ticks] == [0] * 7 + [3, 0, 0]
        assert clock.jumps == [7_200 + EVERY_S, 4 * EVERY_S]
        for slot, at in clock.ticks:
            collector.assert_true(slot.time, at)
        assert {row["quality_flags"] for row in collector.rows()} == {None}
        assert collector.growth() == clock.growth()


async def test_a_wall_clock_set_back_is_followed_and_doubles_nothing(tmp_path, influx, monkeypatch):
    true = Clock()
    async with farm_of_all(true) as farm, on_shift(farm, tmp_path, influx=influx) as collector:
        clock = SteppedClock(collector, true, monkeypatch)
        await clock.go_on(12)
        clock.step_s -= 600
        await clock.go_on(13)
        await collector.ends_with_all_stored()

        assert {slot.missed for slot, _ in clock.ticks} == {0}
        assert clock.jumps == [EVERY_S - 600]
        first: dict[int, float] = {}
        for slot, at in clock.ticks:
            first.setdefault(slot.time, at)
        assert len(first) == 12 + 13 - 10  # ten were ticked again: there is one row, the first
        assert set(collector.telemetry()) == {(miner.miner_id, time) for miner in farm.miners for time in first}
        for time, at in first.items():
            collector.assert_true(time, at)
        assert min(collector.growth().values()) >= 0


async def test_a_wall_clock_set_back_leaves_growth_as_it_was(tmp_path, influx, monkeypatch):
    true = Clock()
    async with farm_of_all(true) as farm, on_shift(farm, tmp_path, influx=influx) as collector:
        clock = SteppedClock(collector, true, monkeypatch)
        await clock.go_on(2)
        clock.step_s += 7_200
        await clock.go_on(2)
        clock.step_s -= 600
        await clock.go_on(2)
        await collector.ends_with_all_stored()
        assert collector.growth() == clock.growth()


@contextlib.contextmanager
def full_disk(spool: Path) -> Iterator[None]:
    """The disk of ``spool``, a small one, without a byte left."""
    ballast = spool / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    try:
        yield
    finally:
        ballast.unlink()


@contextlib.contextmanager
def file_size_limit(spool: Path) -> Iterator[None]:
    """No file of this process may grow beyond the size that the lane's newest segment has."""
    segment = segments_of(spool / LANE)[-1].path
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (segment.stat().st_size + 100, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("trouble", [full_disk, file_size_limit])
async def test_a_spool_without_room_says_so_and_takes_the_same_tick_once_there_is_room(tmp_path, influx, trouble):
    fill: Callable[[Path], AbstractContextManager[None]] = trouble
    spool = tmp_path / "spool"
    clock = Clock()
    disk = mounted(spool, "4m") if trouble is full_disk else contextlib.nullcontext()
    with disk:
        async with farm_of_all(clock) as farm, on_shift(farm, tmp_path, influx=influx) as collector:
            await run(collector, clock, 0, 3)
            before = await collector.until(lambda books: books.backlog == 0)
            (time,) = slots(3, 1)
            clock.now = float(time)
            with fill(spool):
                for _ in range(3):  # a task that is tried again
                    with pytest.raises(NeedsHuman, match=r"spool lane .*no room to write.*Free space on the volume"):
                        await collector.tick(Slot(time))
            assert collector.books.accepted == before.accepted
            clock.now += 5.0  # what was read then is spooled, not what there is now
            report = await collector.tick(Slot(time))
            assert (report.failed, report.missed) == (0, 0)
            again = await collector.collection.tick(Slot(time))  # not counted: it must not be there twice
            assert again.points_accepted == report.points_accepted == before.accepted + report.points
            await run(collector, clock, 4, 3)
            await collector.ends_with_all_stored()
            for time in slots(0, 7):
                collector.assert_true(time)
    # Whoever opens the lane next finds it sound.
    if trouble is file_size_limit:
        async with farm_of_all(clock) as farm, on_shift(farm, tmp_path, "successor", influx=influx) as successor:
            (report,) = await run(successor, clock, 7, 1)
            assert (report.points_accepted, report.failed) == (collector.books.accepted, 0)
            assert report.points_accepted == sum(each.points for each in (*collector.reports.values(), report))


@contextlib.contextmanager
def away(lake: Path) -> Iterator[None]:
    """Its volume is gone and something that is no folder is there."""
    elsewhere = lake.with_name("elsewhere")
    lake.rename(elsewhere)
    lake.write_text("not a folder")
    try:
        yield
    finally:
        lake.unlink()
        elsewhere.rename(lake)


@contextlib.contextmanager
def read_only(lake: Path) -> Iterator[None]:
    """Its volume was mounted anew by the system after an error, for reading only."""
    remount = ["mount", "-o", "remount,ro", str(lake)]
    for _ in range(100):  # refused while any file is open for writing
        if (done := subprocess.run(remount, capture_output=True, text=True, check=False)).returncode == 0:
            break
        time.sleep(0.1)
    assert done.returncode == 0, done.stderr
    try:
        yield
    finally:
        subprocess.run(["mount", "-o", "remount,rw", str(lake)], check=True)


@contextlib.contextmanager
def stopped(server: InfluxServer) -> Iterator[None]:
    """It was killed; started again it has the same data and port."""
    server.kill()
    try:
        yield
    finally:
        server.start()


@contextlib.contextmanager
def paused(server: InfluxServer) -> Iterator[None]:
    """It takes connections and answers nothing."""
    server.pause()
    try:
        yield
    finally:
        server.resume()


@pytest.mark.influx
@pytest.mark.parametrize("trouble", [stopped, paused])
async def test_an_influxdb_that_takes_nothing_delays_what_is_collected(tmp_path, influx_server, trouble):
    lose: Callable[[InfluxServer], AbstractContextManager[None]] = trouble
    clock = Clock()
    settings = InfluxSettings(url=influx_server.url, timeout_s=1)
    async with farm_of_all(clock) as farm, on_shift(farm, tmp_path, influx=settings) as collector:
        await run(collector, clock, 0, 2)
        before = await collector.until(lambda books: books.backlog == 0)
        with lose(influx_server):
            first = await run(collector, clock, 2, 1)
            told = await collector.until(lambda books: books.trouble is not None)
            assert influx_server.url in (told.trouble or "")
            later = await run(collector, clock, 3, 4)
            assert all(report.failed == 0 for report in (*first, *later))
            assert all((report.store_trouble or "").startswith("influx: ") for report in later)
            during = collector.books
            assert (during.stored, during.shed, during.dead_lettered) == (before.stored, 0, 0)
            assert during.backlog == sum(report.points for report in (*first, *later))
        await collector.until(lambda books: books.backlog == 0)
        (well,) = await run(collector, clock, 7, 1)
        assert (well.store_trouble, collector.books.trouble) == (None, None)
        await collector.ends_with_all_stored()
        for time in slots(0, 8):
            collector.assert_true(time)


@pytest.mark.parametrize("trouble", [away, read_only])
async def test_a_lake_that_takes_nothing_delays_what_is_collected(tmp_path, monkeypatch, trouble):
    monkeypatch.setattr(courier, "NEEDS_HUMAN_RETRY_S", 0.1)
    lose: Callable[[Path], AbstractContextManager[None]] = trouble
    lake = tmp_path / "lake"
    clock = Clock()
    disk = mounted(lake, "64m") if trouble is read_only else contextlib.nullcontext()
    with disk:
        async with farm_of_all(clock) as farm, on_shift(farm, tmp_path) as collector:
            await run(collector, clock, 0, 2)
            before = await collector.until(lambda books: books.backlog == 0)
            with lose(lake):
                first = await run(collector, clock, 2, 1)
                told = await collector.until(lambda books: books.trouble is not None)
                assert str(lake) in (told.trouble or "")
                later = await run(collector, clock, 3, 4)
                backlogs = [report.backlog for report in (*first, *later)]
                assert backlogs == sorted(set(backlogs))
                for report in later:
                    assert (report.failed, report.polled) == (0, len(farm.miners))
                    assert report.store_trouble is not None
                    assert report.store_trouble.startswith("lake: ")
                during = collector.books
                assert (during.stored, during.shed, during.dead_lettered) == (before.stored, 0, 0)
                assert during.backlog == sum(report.points for report in (*first, *later))
            await collector.until(lambda books: books.backlog == 0 and books.trouble is None)
            (well,) = await run(collector, clock, 7, 1)
            assert well.store_trouble is None
            await collector.ends_with_all_stored()
            for time in slots(0, 8):
                collector.assert_true(time)
