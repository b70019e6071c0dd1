"""The shift as a flow, with real processes: outage of the server, hand-over, kill, orderly stop."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from deployments.up import processes
from deployments.up.child import Child
from storage.spool.lane import LaneReader
from tasks.miners.report import TickReport
from tasks.shift.baton import Baton
from tasks.shift.journal import Journal
from tests.prefect_server import PrefectServer, until

pytestmark = pytest.mark.prefect

INTERVAL_S = 2
OUTAGE_TICKS = 4
SHIFT = ["-m", "tests.flows.run_shift"]


@pytest.fixture(scope="module")
def configuration(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Configuration of three simulated miners that are there."""
    folder = tmp_path_factory.mktemp("farm")
    farm = Child("farm", processes.farm_command(3, 1, INTERVAL_S, folder / "config"), os.environ, folder)
    until(lambda: "{" in farm.log.read_text(), "the farm")
    yield folder / "config"
    farm.kill()


class Host:
    """One host's files, read as everybody reads them."""

    def __init__(self, server: PrefectServer, data: Path, configuration: Path) -> None:
        self.environ = server.flow_environment(data, configuration)
        self.spool = data / "spool"
        self.journal = Journal(data / "state", "miners")
        self.baton = Baton(data / "locks", "miners")

    def ticks(self, run_id: str | None = None) -> list[TickReport]:
        return [tick for tick in self.journal.since(0) if run_id in (None, tick.run_id)]

    def await_ticks(self, number: int, run_id: str | None = None) -> None:
        until(lambda: len(self.ticks(run_id)) >= number, f"tick {number}")

    def runs(self) -> list[str]:
        return list(dict.fromkeys(tick.run_id for tick in self.ticks()))

    def assert_no_tick_is_missing(self) -> None:
        """Every tick came when the one before said that the next is due, whichever run made it."""
        ticks = self.ticks()
        assert [b.slot for _, b in pairwise(ticks)] == [a.next_slot for a, _ in pairwise(ticks)]
        assert [tick.missed for tick in ticks] == [0] * len(ticks)

    def assert_nothing_is_lost(self) -> None:
        ticks = self.ticks()
        accepted = LaneReader(self.spool / "miners").points_accepted
        assert accepted == sum(tick.points for tick in ticks) == ticks[-1].points_accepted > 0


@pytest.fixture
def host(api: PrefectServer, tmp_path: Path, configuration: Path) -> Host:
    return Host(api, tmp_path / "data", configuration)


async def state_of(run_id: str) -> tuple[str, str | None]:
    from prefect.client.orchestration import get_client

    async with get_client() as client:
        state = (await client.read_flow_run(run_id)).state  # type: ignore[arg-type]
    assert state is not None
    return state.type.value, state.message


async def ticks_recorded(run_id: str) -> list[str]:
    """Types of state of the task runs that the server knows of a flow run."""
    from uuid import UUID

    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId

    async with get_client() as client:
        runs = await client.read_task_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[UUID(run_id)])))
    return [run.state_type.value if run.state_type else "" for run in runs]


def test_no_tick_is_missing_while_the_server_is_away_nor_over_a_hand_over(
    api: PrefectServer, host: Host, children: Callable[..., Child]
):
    first = children("first", SHIFT, host.environ)
    host.await_ticks(2)
    api.stop()
    host.await_ticks(2 + OUTAGE_TICKS)
    api.start()
    back = len(host.ticks())
    host.await_ticks(back + 2)
    second = children("second", SHIFT, host.environ)
    until(lambda: not first.alive, "the first shift's end")
    until(lambda: len(host.runs()) == 2, "the second shift")
    run, successor = host.runs()
    host.await_ticks(2, successor)
    with host.baton.stopping():
        until(lambda: not second.alive, "the second shift's end")

    host.assert_no_tick_is_missing()
    host.assert_nothing_is_lost()
    assert asyncio.run(state_of(run)) == ("COMPLETED", "relieved by the next shift")
    assert asyncio.run(state_of(successor)) == ("COMPLETED", "stopped without a successor")
    ticks = len(host.ticks(run))
    until(lambda: len(asyncio.run(ticks_recorded(run))) == ticks, f"the record of all {ticks} ticks")
    assert asyncio.run(ticks_recorded(run)) == ["COMPLETED"] * ticks


@pytest.mark.skipif(sys.platform != "linux", reason="looks for a process in /proc")
def test_a_killed_shift_is_followed_and_an_orderly_stop_is_told(
    api: PrefectServer, host: Host, children: Callable[..., Child], record_property: Callable[[str, object], None]
):
    from deployments.prefect.deploy import register
    from deployments.prefect.plan import read_plan
    from deployments.prefect.runs import Runs

    async def start() -> None:
        await register(read_plan())
        runs = await Runs("lodeline").open()
        await runs.start(processes.SHIFT)
        await runs.close()

    worker = children("worker", processes.worker_command("lodeline"), host.environ)
    asyncio.run(start())
    host.await_ticks(2)
    killed, pid = host.ticks()[-1].run_id, host.baton.holder
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    began = time.time()
    until(lambda: len(host.runs()) == 2, "a shift after the killed one")
    gap = next(tick for tick in host.ticks() if tick.run_id != killed).finished - began
    record_property("seconds_from_kill_to_tick", round(gap, 1))
    print(json.dumps({"name": "seconds from the kill of a shift to the next one's tick", "value": round(gap, 1)}))
    assert asyncio.run(state_of(killed))[0] == "CRASHED"

    host.await_ticks(2, host.runs()[1])
    pid = host.baton.holder
    assert pid is not None
    os.kill(pid, signal.SIGTERM)  # flow first, then worker: docs say so
    until(lambda: not Path(f"/proc/{pid}").exists(), "the end of the flow's process")
    asyncio.run(worker.stop(30))
    assert asyncio.run(state_of(host.runs()[1]))[0] == "CRASHED"
    host.assert_nothing_is_lost()


def test_a_second_run_that_is_not_needed_says_so(host: Host, children: Callable[..., Child]):
    with host.baton.stopping():
        shift = children("shift", SHIFT, host.environ)
        until(lambda: not shift.alive, "the end of a shift that is not needed")
    assert "Skipped" in shift.log.read_text()
    assert host.ticks() == []


def test_a_wrong_configuration_fails_the_run_with_its_faults(
    api: PrefectServer, tmp_path: Path, children: Callable[..., Child]
):
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "data_collection_config.yaml").write_text("miners:\n  - {id: m1, ip: 300.1.1.1, model: X}\n")
    shift = children("shift", SHIFT, api.flow_environment(tmp_path / "data", tmp_path / "config"))
    until(lambda: not shift.alive, "the end of a shift with a wrong configuration")
    assert "data_collection_config.yaml:2" in shift.log.read_text()
