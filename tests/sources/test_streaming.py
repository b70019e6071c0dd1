"""Streams live as long as the shift; one that fails begins anew and takes nobody with it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from storage.frame import Frame, build_frame
from tasks.sources.source import Push
from tasks.sources.streaming import streaming

FRAME = build_frame("market_global", [60], {"source": ["x"], "market_cap_usd": [1.0]})


class Talking:
    def __init__(self, name: str, fails: int = 0) -> None:
        self.name = name
        self.began = 0
        self.ended = False
        self._fails = fails

    async def run(self, push: Push) -> None:
        self.began += 1
        if self.began <= self._fails:
            raise RuntimeError("broken")
        try:
            await push([FRAME])
            await asyncio.Event().wait()
        finally:
            self.ended = True


async def test_a_stream_that_fails_begins_anew_beside_another(caplog: pytest.LogCaptureFixture) -> None:
    pushed = asyncio.Semaphore(0)

    async def push(frames: Sequence[Frame]) -> None:
        assert list(frames) == [FRAME]
        pushed.release()

    bad, good = Talking("bad", fails=2), Talking("good")
    async with streaming([bad, good], push, again_after_s=0):
        await pushed.acquire()
        await pushed.acquire()
    assert (bad.began, good.began) == (3, 1)
    assert bad.ended
    assert good.ended
    assert "bad: the stream failed" in caplog.text
