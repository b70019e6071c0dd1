"""Any order of appends, deliveries, refusals and crashes: every accepted point is in exactly one place."""

from __future__ import annotations

import pkgutil
import shutil
import tempfile
from collections import Counter
from pathlib import Path
from unittest import mock

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from storage.delivery.courier import Courier
from storage.delivery.dead_letters import letters_of
from storage.errors import NeedsHuman, TryAgain
from storage.spool.lane import Lane
from storage.spool.reader import LaneReader
from storage.spool.segment import segments_of
from tests.delivery.sinks import MemorySink, the_books
from tests.spool.batches import batch, points_in

MEMORY = Path("/dev/shm")
SINKS = ("influx", "lake")
CRASHES = ("DeadLetterFile.write", "save_mark", "remove_delivered", "LaneReader.read_after")


class Killed(BaseException):
    """A crash at a chosen place."""


class SpoolAndDelivery(RuleBasedStateMachine):
    """One lane, two sinks. The verdict on a point may differ from try to try, as a store's may after a repair."""

    def __init__(self) -> None:
        super().__init__()
        # Crashes here are exceptions, not power cuts, so that memory will do where there is a file system of it.
        self.root = Path(tempfile.mkdtemp(dir=MEMORY if MEMORY.is_dir() else None))
        self.lane_path = self.root / "miners"
        self.sinks = {name: MemorySink(name) for name in SINKS}
        self.couriers: dict[str, Courier] = {}
        self.accepted: list[str] = []
        self.batches: dict[str, int] = {}

    @initialize(cap=st.sampled_from([1_500, 10**6]), segment_bytes=st.sampled_from([1, 600, 10**6]))
    def begin(self, cap: int, segment_bytes: int) -> None:
        self.cap, self.segment_bytes = cap, segment_bytes
        self.lane = self.opened()

    def opened(self) -> Lane:
        return Lane.open(self.root, "miners", cap_bytes=self.cap, segment_bytes=self.segment_bytes)

    def courier(self, name: str) -> Courier:
        if name not in self.couriers:
            self.couriers[name] = Courier(
                self.lane_path, self.sinks[name], SINKS, holder="test", random=lambda: 0.0, max_points=7
            )
        return self.couriers[name]

    @rule(size=st.integers(0, 6))
    def append(self, size: int) -> None:
        name = f"b{len(self.batches)}"
        points = [f"{name}.{row}" for row in range(size)]
        record = self.lane.append(batch(name, points))
        assert record.points_before == len(self.accepted)
        self.batches[name] = record.sequence
        self.accepted += points

    @rule(data=st.data())
    def append_again(self, data: st.DataObject) -> None:
        newest = list(self.batches)[-1:]
        for name in newest:
            assert self.lane.append(batch(name, ["other"])).sequence == self.batches[name]

    @rule(name=st.sampled_from(SINKS), dead=st.sets(st.integers(0, 5)), times=st.integers(1, 4))
    def deliver(self, name: str, dead: set[int], times: int) -> None:
        self.sinks[name].is_dead = lambda point: int(point.rpartition(".")[2]) in dead
        for _ in range(times):
            self.courier(name).attempt()

    @rule(
        name=st.sampled_from(SINKS), failure=st.sampled_from([TryAgain("x"), NeedsHuman("x", remedy="y"), OSError(5)])
    )
    def refuse(self, name: str, failure: Exception) -> None:
        self.sinks[name].failures = [failure]
        self.courier(name).attempt()
        self.sinks[name].failures = []

    @rule(
        name=st.sampled_from(SINKS),
        dead=st.sets(st.integers(0, 5)),
        crash=st.sampled_from(CRASHES),
        after=st.booleans(),
    )
    def crash_while_delivering(self, name: str, dead: set[int], crash: str, after: bool) -> None:
        self.sinks[name].is_dead = lambda point: int(point.rpartition(".")[2]) in dead
        real = pkgutil.resolve_name(f"storage.delivery.courier:{crash}")

        def crashing(*arguments):
            if after:
                real(*arguments)
            raise Killed

        try:
            with mock.patch(f"storage.delivery.courier.{crash}", crashing):
                self.courier(name).attempt()
        except Killed:
            pass
        self.restart_deliverer(name)

    @rule(name=st.sampled_from(SINKS))
    def restart_deliverer(self, name: str) -> None:
        if name in self.couriers:
            self.couriers.pop(name).close()

    @rule(torn=st.binary(max_size=60), of_a_record=st.booleans())
    def crash_while_appending(self, torn: bytes, of_a_record: bool) -> None:
        self.lane.close()
        with segments_of(self.lane_path)[-1].path.open("ab") as file:
            file.write((b"LDL\xa5\x01" if of_a_record else b"") + torn)
        self.lane = self.opened()

    @invariant()
    def every_point_is_in_one_place(self) -> None:
        if not hasattr(self, "lane"):
            return
        assert LaneReader(self.lane_path).points_accepted == len(self.accepted)
        spooled = points_in(LaneReader(self.lane_path).records_after(0, 10**9))
        assert spooled == self.accepted[len(self.accepted) - len(spooled) :]
        for name in SINKS:
            if not (self.lane_path / f"mark.{name}.json").exists():
                continue
            found = the_books(self.root, name)
            started = len(self.accepted) - found.accepted
            passed = self.accepted[started : len(self.accepted) - found.backlog]
            dead = Counter(x.line for x in letters_of(self.lane_path, name))
            assert set(dead.values()) <= {1}
            stored = self.sinks[name].stored
            assert stored <= set(self.accepted[started:])
            neither = [point for point in passed if point not in stored and point not in dead]
            assert len(neither) <= found.shed
            assert spooled[len(spooled) - found.backlog :] == self.accepted[len(self.accepted) - found.backlog :]

    def teardown(self) -> None:
        if hasattr(self, "lane"):
            self.lane.close()
            for name in list(self.couriers):
                self.restart_deliverer(name)
            for name in SINKS:
                self.sinks[name].is_dead = lambda _: False
                while self.courier(name).attempt() == 0.0:
                    pass
                found = the_books(self.root, name)
                assert found.backlog == 0
                if self.cap > 10**5:
                    dead = {letter.line for letter in letters_of(self.lane_path, name)}
                    assert found.shed == 0
                    assert found.dead_lettered == len(dead)
                    assert self.sinks[name].stored | dead >= set(self.accepted[len(self.accepted) - found.accepted :])
                self.restart_deliverer(name)
        shutil.rmtree(self.root)


SpoolAndDelivery.TestCase.settings = settings(
    max_examples=40, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
test_any_order = SpoolAndDelivery.TestCase
