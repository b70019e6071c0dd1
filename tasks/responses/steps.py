"""Responding after a look as a task run."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, cast

from prefect import State, task
from prefect.cache_policies import NO_CACHE
from prefect.states import Completed

from tasks.responses.responding import Responder
from tasks.shift.slots import Slot

_log = logging.getLogger(__name__)


def then_respond(look: Callable[[Slot], Awaitable[None]], responder: Responder) -> Callable[[Slot], Awaitable[None]]:
    """``look``, and after it the responses to what it found, as a task run of their own.

    One that fails is logged and fails its run; the next comes after the next look.
    """

    @task(name="respond", task_run_name="respond {time}", cache_policy=NO_CACHE, persist_result=False)
    async def respond(time: int) -> State[None]:
        return Completed(message=(await asyncio.to_thread(responder.respond, float(time))).in_words())

    async def run(slot: Slot) -> None:
        await look(slot)
        if not responder.has_work:
            return
        # Prefect's types miss that an async task with return_state is awaited
        state = await cast("Awaitable[State[Any]]", respond(slot.time, return_state=True))
        if not state.is_completed():
            _log.error("responding at %d failed: %s", slot.time, state.message)

    return run
