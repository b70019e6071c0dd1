"""A router that says what no real one would: a WAMP handshake, then frames as they are given."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.server import ServerConnection, serve

_WELCOME = [2, 4711, {"roles": {"broker": {}, "dealer": {}}, "realm": "realm1", "authid": "a", "authrole": "a"}]


class FakeRouter:
    """Answers HELLO and SUBSCRIBE, and a call after ``late_s``, None: never.

    ``sessions`` counts those that joined; ``silent``: no answer to anything; ``refused``: topics that nobody may
    subscribe to.
    """

    def __init__(self) -> None:
        self.url = ""
        self.sessions = 0
        self.silent = False
        self.refused: set[str] = set()
        self.late_s: float | None = None
        self._now: ServerConnection | None = None
        self._topics: dict[str, int] = {}

    async def send(self, frame: str | bytes) -> None:
        """Send a frame as it is."""
        assert self._now is not None
        await self._now.send(frame)

    async def publish(self, topic: str, *arguments: Any, **named: Any) -> None:
        """Send an event of ``topic``."""
        event = [36, self._topics[topic], 1, {}, list(arguments), named]
        await self.send(json.dumps(event if named else event[:5]))

    async def cut(self) -> None:
        """End the connection without a word."""
        assert self._now is not None
        self._now.transport.abort()

    async def serve(self, connection: ServerConnection) -> None:
        async for frame in connection:
            kind, *rest = json.loads(frame)
            if self.silent:
                continue
            if kind == 1:
                await connection.send(json.dumps(_WELCOME))
                self._now = connection
                self._topics = {}
                self.sessions += 1
            elif kind == 48 and self.late_s is not None:
                await asyncio.sleep(self.late_s)
                await connection.send(json.dumps([50, rest[0], {}, [[]]]))
            elif kind == 32 and rest[2] in self.refused:
                await connection.send(json.dumps([8, 32, rest[0], {}, "wamp.error.not_authorized"]))
            elif kind == 32:
                number = len(self._topics) + 1
                self._topics[rest[2]] = number
                await connection.send(json.dumps([33, rest[0], number]))


@asynccontextmanager
async def fake_router() -> AsyncIterator[FakeRouter]:
    fake = FakeRouter()

    async def handle(connection: ServerConnection) -> None:
        await asyncio.gather(fake.serve(connection), return_exceptions=True)

    async with serve(handle, "127.0.0.1", 0, subprotocols=["wamp.2.json"]) as server:  # type: ignore[list-item]
        (listening,) = server.sockets
        fake.url = f"ws://127.0.0.1:{listening.getsockname()[1]}/ws"
        yield fake
