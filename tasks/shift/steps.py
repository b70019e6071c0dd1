"""Prefect's part of a shift: a tick as a task run, and what the server says of the run."""

from __future__ import annotations

import asyncio
import logging
import time as clock
from collections.abc import Awaitable, Callable
from typing import Any, cast
from uuid import UUID

import httpx
from prefect import State, Task, runtime, task
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import TaskRun
from prefect.exceptions import ObjectNotFound
from prefect.states import Completed
from prefect.tasks import exponential_backoff

from tasks.miners.report import TickReport
from tasks.shift.shift import RunSeen
from tasks.shift.slots import Slot

RETRIES = 4
FIRST_DELAY_S = 0.5
LOOK_TIMEOUT_S = 10.0
SHORTEST_TIMEOUT_S = 30

_log = logging.getLogger(__name__)


def tick_step(
    name: str, work: Callable[[Slot], Awaitable[TickReport]], interval_s: int
) -> Callable[[Slot], Awaitable[None]]:
    """``work`` as one task run per slot, tried again with exponential back-off and jitter as long as its slot lasts.

    A tick that fails for good fails its task run and is logged; the shift goes on with the next slot. It needs no
    server: task runs are made here and told to the server whenever it is there.
    """

    async def slot_lasts(_task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:
        _log.warning("%s: try %d failed: %s", run.name, run.run_count, state.message)
        return clock.time() < slot_now.time + interval_s

    @task(
        name=name,
        task_run_name="slot {time}",
        retries=RETRIES,
        retry_delay_seconds=exponential_backoff(FIRST_DELAY_S),
        retry_jitter_factor=0.5,
        retry_condition_fn=slot_lasts,
        timeout_seconds=max(SHORTEST_TIMEOUT_S, 2 * interval_s),
        cache_policy=NO_CACHE,
        persist_result=False,
    )
    async def tick(time: int, missed: int) -> State[None]:
        return Completed(message=in_words(await work(Slot(time, missed))))

    slot_now = Slot(0)

    async def run(slot: Slot) -> None:
        nonlocal slot_now
        slot_now = slot
        # Prefect's types miss that an async task with return_state is awaited
        state = await cast("Awaitable[State[Any]]", tick(slot.time, slot.missed, return_state=True))
        if not state.is_completed():
            _log.error("slot %d is lost: %s", slot.time, state.message)

    return run


def in_words(report: TickReport) -> str:
    """A tick in one line."""
    reasons = ", ".join(f"{kind} {number}" for kind, number in sorted(report.failed_by_reason.items()))
    missed = f", {report.missed} slots missed before" if report.missed else ""
    return (
        f"{report.polled} polled, {report.failed} failed{f' ({reasons})' if reasons else ''}, "
        f"{report.points} points, backlog {report.backlog}, {report.tick_s:.2f} s{missed}"
    )


async def look_at_own_run() -> RunSeen:
    """What the server says of the flow run that calls this; never longer than LOOK_TIMEOUT_S, never an error."""
    try:
        async with asyncio.timeout(LOOK_TIMEOUT_S), get_client() as client:
            run = await client.read_flow_run(UUID(runtime.flow_run.id))
    except (httpx.HTTPError, TimeoutError, ObjectNotFound) as error:
        _log.info("the Prefect server does not answer (%s); the shift goes on", type(error).__name__)
        return RunSeen.UNKNOWN
    if run.state is None:
        return RunSeen.UNKNOWN
    return RunSeen.CANCELLED if run.state.is_cancelling() or run.state.is_cancelled() else RunSeen.GOES_ON
