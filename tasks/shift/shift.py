"""The loop of a shift: tick at every slot until somebody takes over, a human stops it, or it served too long.

A shift ends because it is relieved, not because of the clock: while the Prefect server is away no successor comes, and
the shift works on.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

from tasks.shift.baton import Baton
from tasks.shift.slots import Slot, Slots
from tasks.shift.watchdog import Watchdog


class RunSeen(StrEnum):
    """What the orchestrator says of this run when asked."""

    GOES_ON = "goes on"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"
    """The server is away. Nothing follows from it."""


class End(StrEnum):
    """Why a shift ended."""

    RELIEVED = "relieved by the next shift"
    STOPPED = "stopped without a successor"
    CANCELLED = "cancelled"
    OVERDUE = "served the longest time allowed and nobody relieved it"


@dataclass(frozen=True, slots=True)
class Terms:
    """How long a shift serves, in seconds.

    ``least_s``: else several runs that started together would relieve each other in turn. ``longest_s``: then it ends
    unrelieved, for a fresh process to follow; never while the server is away, since then none could.
    ``look_every_s``: how often the run's own state is read; after an outage of the server no other cancel reaches it.
    """

    least_s: float = 300.0
    longest_s: float = 6 * 3600.0
    look_every_s: float = 60.0


async def serve(
    baton: Baton,
    slots: Slots,
    tick: Callable[[Slot], Awaitable[object]],
    *,
    look: Callable[[], Awaitable[RunSeen]],
    watchdog: Watchdog,
    terms: Terms | None = None,
) -> End:
    """Tick until the end. The caller holds the baton; ``tick`` is awaited to its end and must not raise."""
    terms = terms or Terms()
    began = time.monotonic()
    end: asyncio.Future[End] = asyncio.get_running_loop().create_future()

    async def look_after_run() -> None:
        while not end.done():
            await asyncio.sleep(terms.look_every_s)
            seen = await look()
            if end.done():
                return
            if seen is RunSeen.CANCELLED:
                end.set_result(End.CANCELLED)
            elif seen is RunSeen.GOES_ON and time.monotonic() - began >= terms.longest_s:
                end.set_result(End.OVERDUE)

    def over() -> bool:
        watchdog.tick_finished()  # asked while waiting for a slot: nothing hangs, however far away the slot is
        if not end.done() and baton.stopped:
            end.set_result(End.STOPPED)
        if not end.done() and time.monotonic() - began >= terms.least_s and baton.wanted:
            end.set_result(End.RELIEVED)
        return end.done()

    looking = asyncio.create_task(look_after_run())
    try:
        while (slot := await slots.wait(over)) is not None:
            await tick(slot)
            watchdog.tick_finished()
    finally:
        looking.cancel()
        with suppress(asyncio.CancelledError):
            await looking
    return end.result()
