"""The same troubles where every miner is polled at its own pace: what is stored is true, and all come back."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from storage.delivery import courier
from storage.errors import NeedsHuman
from storage.influx.settings import InfluxSettings
from tasks.miners.report import TickReport
from tests.farm.clock import Clock
from tests.faults.chaos import EVERY_S, LIMITS, Collector, farm_of_all, on_shift, standings
from tests.faults.test_chaos import away, file_size_limit, stopped

pytestmark = pytest.mark.faults

SLOWEST_S = 2 * EVERY_S


class Shift:
    """A collector whose slots come as those of a shift do, by a clock that the test moves."""

    def __init__(self, collector: Collector, clock: Clock, folder: Path, server: Any) -> None:
        self.collector = collector
        self.folder = folder
        self.server = server
        self.step_s = 0.0
        self.hurt: set[str] = set()
        self.polled_at: list[tuple[int, float]] = []
        """Slots that are spooled, and the true time of their polls."""
        self._clock = clock

    def wall(self) -> float:
        """The host's clock."""
        return self._clock.now + self.step_s

    async def works(self, minutes: int) -> list[TickReport]:
        """Tick what is due; a tick that the spool does not take is lost, as to a shift."""
        slots = self.collector.collection.slots
        reports = []
        for _ in range(minutes * 60 // slots.interval_s):
            self.collector.farm.settle()
            slot = slots.due()
            if slot is not None:
                with contextlib.suppress(NeedsHuman):
                    reports.append(await self.collector.tick(slot))
                    self.polled_at.append((slot.time, self._clock.now))
            self._clock.now += slots.interval_s
        return reports


@asynccontextmanager
async def half_refuses(shift: Shift) -> AsyncIterator[None]:
    farm = shift.collector.farm
    shift.hurt = {identity.miner_id for identity in farm.miners[::2]}
    for miner_id in shift.hurt:
        farm.inject(miner_id, "dead")
    yield
    farm.clear()


@asynccontextmanager
async def all_refuse(shift: Shift) -> AsyncIterator[None]:
    farm = shift.collector.farm
    shift.hurt = {identity.miner_id for identity in farm.miners}
    for miner_id in shift.hurt:
        farm.inject(miner_id, "dead")
    yield
    farm.clear()


@asynccontextmanager
async def spool_is_full(shift: Shift) -> AsyncIterator[None]:
    with file_size_limit(shift.folder / "spool"):
        yield


@asynccontextmanager
async def store_is_away(shift: Shift) -> AsyncIterator[None]:
    lost = away(shift.folder / "lake") if shift.server is None else stopped(shift.server)
    with lost:
        yield
        assert shift.collector.books.backlog > 0


@asynccontextmanager
async def clock_is_set_forward(shift: Shift) -> AsyncIterator[None]:
    shift.step_s += 7_200
    yield


@pytest.mark.parametrize("trouble", [half_refuses, all_refuse, spool_is_full, store_is_away, clock_is_set_forward])
async def test_all_that_is_stored_is_true_and_everybody_is_read_again(
    tmp_path: Path,
    influx: InfluxSettings | None,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    trouble: Callable[[Shift], AbstractAsyncContextManager[None]],
) -> None:
    monkeypatch.setattr(courier, "NEEDS_HUMAN_RETRY_S", 0.1)
    server = None if influx is None else request.getfixturevalue("influx_server")
    clock = Clock()
    async with farm_of_all(clock) as farm, on_shift(farm, tmp_path, influx=influx, adaptive=True) as collector:
        shift = Shift(collector, clock, tmp_path, server)
        monkeypatch.setattr(collector.collection.slots, "_wall", shift.wall)
        monkeypatch.setattr(collector.collection.slots, "_monotonic", clock)
        before = await shift.works(8)
        assert all(report.failed == 0 for report in before)
        await collector.until(lambda books: books.backlog == 0)
        async with trouble(shift):
            during = await shift.works(6)
        await collector.until(lambda books: books.backlog == 0)
        after = await shift.works(LIMITS.breaker_longest_seconds // 60 + 10)
        await collector.ends_with_all_stored()

        last = standings(after[-1])
        for miner_id, miner in last.items():
            assert (miner.failure, miner.breaker, miner.failures_in_a_row) == (None, "closed", 0), miner_id
            assert miner.last_success is not None
            assert miner.last_success >= after[-1].slot - SLOWEST_S
        refused = {row["miner_id"] for row in collector.rows() if not row["reachable"]}
        assert refused == shift.hurt
        assert (during == []) is (trouble is spool_is_full)
        assert all(report.failed == 0 for report in during) is not bool(shift.hurt)

        true_time = dict(shift.polled_at)
        rows = collector.rows()
        polls = {miner_id: sorted(row["time"] for row in rows if row["miner_id"] == miner_id) for miner_id in last}
        for row in rows:
            truth = farm.truth(row["miner_id"], true_time[row["time"]])
            if not row["reachable"]:
                assert (truth.answering, row["hashrate_hs"], row["state"]) == (False, None, "unreachable")
            elif row["miner_id"] not in shift.hurt:
                assert row["shares_accepted"] == truth.shares_accepted
                assert row["hashrate_hs"] == pytest.approx(truth.hashrate_hs, rel=1e-4)
        # Who was untouched is asked less often, by steps up to the slowest; who came back is followed closely.
        for miner_id, times in polls.items():
            gaps = [later - sooner for sooner, later in itertools.pairwise(times)]
            assert max(gaps[-5:]) <= SLOWEST_S
            if miner_id in shift.hurt:
                assert min(gaps) == collector.collection.slots.interval_s < EVERY_S
