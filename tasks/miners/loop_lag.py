"""How late the event loop is. A poller that is short of CPU makes healthy miners look slow; this number tells."""

from __future__ import annotations

import asyncio

_EVERY_S = 0.05


class LoopLag:
    """Measures while inside ``async with``; ``worst_ms`` is the most that the loop was late, ``newest_ms`` the last."""

    def __init__(self) -> None:
        self.worst_ms = 0.0
        self.newest_ms = 0.0
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> LoopLag:
        self._again()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._note()
        if self._timer is not None:
            self._timer.cancel()

    def _again(self) -> None:
        loop = asyncio.get_running_loop()
        self._due = loop.time() + _EVERY_S
        self._timer = loop.call_at(self._due, self._late)

    def _late(self) -> None:
        self._note()
        self._again()

    def _note(self) -> None:
        self.newest_ms = max(0.0, 1000.0 * (asyncio.get_running_loop().time() - self._due))
        self.worst_ms = max(self.worst_ms, self.newest_ms)
