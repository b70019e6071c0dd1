"""A look as a task run."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, cast

from prefect import State, task
from prefect.cache_policies import NO_CACHE
from prefect.states import Completed

from tasks.alerts.watch import Watch
from tasks.shift.slots import Slot

_log = logging.getLogger(__name__)


def look_step(watch: Watch) -> Callable[[Slot], Awaitable[None]]:
    """One look as one task run. A look that fails is logged and fails its run; the next one comes a minute later."""

    @task(name="look", task_run_name="look {time}", cache_policy=NO_CACHE, persist_result=False)
    async def look(time: int) -> State[None]:
        return Completed(message=(await asyncio.to_thread(watch.look, float(time))).in_words())

    async def run(slot: Slot) -> None:
        # Prefect's types miss that an async task with return_state is awaited
        state = await cast("Awaitable[State[Any]]", look(slot.time, return_state=True))
        if not state.is_completed():
            _log.error("look %d failed: %s", slot.time, state.message)

    return run
