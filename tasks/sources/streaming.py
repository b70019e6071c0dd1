"""Streams beside a shift: started with it, ended with it, and none of them able to end it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from tasks.sources.source import Push, Stream

AGAIN_AFTER_S = 60.0
LOOK_EVERY_S = 5.0
"""How soon a stream that is paused by hand is left, and one that is no more is taken up again."""

_log = logging.getLogger(__name__)


@asynccontextmanager
async def streaming(
    streams: Sequence[Stream],
    push: Push,
    *,
    paused: Callable[[str], bool] = lambda _: False,
    again_after_s: float = AGAIN_AFTER_S,
    look_every_s: float = LOOK_EVERY_S,
) -> AsyncIterator[None]:
    """Run ``streams`` until the end of the block. One that fails is begun anew after ``again_after_s``; one that is
    ``paused``, by its name, is not connected."""
    running = [
        asyncio.create_task(
            _unless_paused(stream, push, paused, again_after_s, look_every_s), name=f"stream {stream.name}"
        )
        for stream in streams
    ]
    try:
        yield
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def _unless_paused(
    stream: Stream, push: Push, paused: Callable[[str], bool], again_after_s: float, look_every_s: float
) -> None:
    running: asyncio.Task[None] | None = None
    try:
        while True:
            if paused(stream.name):
                if running is not None:
                    _log.info("%s: the stream is paused by hand", stream.name)
                    await _ended(running)
                    running = None
            elif running is None:
                running = asyncio.create_task(_kept_running(stream, push, again_after_s), name=stream.name)
            await asyncio.sleep(look_every_s)
    finally:
        if running is not None:
            await _ended(running)


async def _ended(running: asyncio.Task[None]) -> None:
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def _kept_running(stream: Stream, push: Push, again_after_s: float) -> None:
    while True:
        try:
            await stream.run(push)
            _log.error("%s: the stream ended by itself", stream.name)
        except Exception:  # noqa: BLE001 - logged whole; requests take over what the stream does not bring
            _log.exception("%s: the stream failed, it begins anew in %g s", stream.name, again_after_s)
        await asyncio.sleep(again_after_s)
