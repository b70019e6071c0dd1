"""Streams beside a shift: started with it, ended with it, and none of them able to end it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from tasks.sources.source import Push, Stream

AGAIN_AFTER_S = 60.0

_log = logging.getLogger(__name__)


@asynccontextmanager
async def streaming(
    streams: Sequence[Stream], push: Push, *, again_after_s: float = AGAIN_AFTER_S
) -> AsyncIterator[None]:
    """Run ``streams`` until the end of the block. One that fails is begun anew after ``again_after_s``."""
    running = [
        asyncio.create_task(_kept_running(stream, push, again_after_s), name=f"stream {stream.name}")
        for stream in streams
    ]
    try:
        yield
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def _kept_running(stream: Stream, push: Push, again_after_s: float) -> None:
    while True:
        try:
            await stream.run(push)
            _log.error("%s: the stream ended by itself", stream.name)
        except Exception:  # noqa: BLE001 - logged whole; requests take over what the stream does not bring
            _log.exception("%s: the stream failed, it begins anew in %g s", stream.name, again_after_s)
        await asyncio.sleep(again_after_s)
