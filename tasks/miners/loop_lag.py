"""How late the event loop is. A poller that is short of CPU makes healthy miners look slow; this number tells."""

from __future__ import annotations

import asyncio
from contextlib import suppress

_EVERY_S = 0.05


class LoopLag:
    """Measures while inside ``async with``; ``worst_ms`` is the longest that the loop came late."""

    def __init__(self) -> None:
        self.worst_ms = 0.0
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> LoopLag:
        self._task = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + _EVERY_S
            await asyncio.sleep(_EVERY_S)
            self.worst_ms = max(self.worst_ms, 1000.0 * (loop.time() - due))
