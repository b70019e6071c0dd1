"""A stream under test: what it pushed, and waiting for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from storage.frame import Frame
from tasks.pools.price_guard import PriceGuard
from tasks.pools.prohashing.link import Link
from tasks.pools.prohashing.settings import ProhashingSettings
from tasks.pools.prohashing.stream import ProhashingStream
from tasks.pools.prohashing.timing import Timing

QUICK = Timing(flush_s=0.05, first_wait_s=0.05, longest_wait_s=0.4, proven_s=0.2)


class Listening:
    """What a stream pushed."""

    def __init__(self, stream: ProhashingStream, link: Link) -> None:
        self.stream = stream
        self.link = link
        self.frames: list[Frame] = []
        self.pushes = 0
        self._more = asyncio.Condition()
        self.before_push: Callable[[], object] = lambda: None

    async def push(self, frames: Sequence[Frame]) -> None:
        waited = self.before_push()
        if isinstance(waited, asyncio.Event):
            await waited.wait()
        async with self._more:
            self.frames += frames
            self.pushes += 1
            self._more.notify_all()

    def rows(self, measurement: str) -> list[dict[str, Any]]:
        return [
            {"time": frame.times[row], **{name: values[row] for name, values in frame.columns.items()}}
            for frame in self.frames
            if frame.measurement == measurement
            for row in range(len(frame))
        ]

    async def until(self, holds: Callable[[], object], within_s: float = 30.0) -> None:
        """Return when ``holds``, looked at after every push."""
        async with asyncio.timeout(within_s), self._more:
            await self._more.wait_for(holds)

    async def until_state(self, holds: Callable[[], object], within_s: float = 30.0) -> None:
        """Return when ``holds``, which no push tells."""
        async with asyncio.timeout(within_s):
            while not holds():  # noqa: ASYNC110  # states of a connection, nobody to notify us
                await asyncio.sleep(0.02)


@asynccontextmanager
async def listening(
    state: Path, wamp: dict[str, Any], *, key: str, timing: Timing = QUICK, clock: Callable[[], float] = time.time
) -> AsyncIterator[Listening]:
    """A stream that runs while the block does; ``clock`` stamps what comes."""
    settings = ProhashingSettings.model_validate({"api_key": key, "account": "lodeline", "wamp": wamp})
    link = Link("p", quiet_s=timing.quiet_s)
    stream = ProhashingStream(settings, link, PriceGuard(state, "p"), timing=timing, clock=clock)
    found = Listening(stream, link)
    task = asyncio.create_task(stream.run(found.push))
    try:
        yield found
        if task.done():
            task.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
