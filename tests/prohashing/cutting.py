"""A wire between a client and a router that can be cut, or go dead without a word."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit


class Wire:
    """Passes on what comes. ``dead``: sockets stay open, nothing comes through (half-open connections)."""

    def __init__(self, router_url: str) -> None:
        parts = urlsplit(router_url)
        self._router = (parts.hostname or "", parts.port or 0)
        self._path = parts.path
        self._ends: set[asyncio.StreamWriter] = set()
        self._alive = asyncio.Event()
        self._alive.set()
        self.url = ""

    def cut(self) -> None:
        """End all connections without a farewell."""
        for end in list(self._ends):
            end.transport.abort()

    def die(self) -> None:
        """Let nothing through from now on."""
        self._alive.clear()

    def live(self) -> None:
        """Let everything through again."""
        self._alive.set()

    def listens_at(self, port: int) -> None:
        """Where clients find it."""
        self.url = f"ws://127.0.0.1:{port}{self._path}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection."""
        to_router = None
        try:
            from_router, to_router = await asyncio.open_connection(*self._router)
            self._ends |= {writer, to_router}
            await asyncio.gather(self._pass(reader, to_router), self._pass(from_router, writer))
        finally:
            for end in (writer, to_router):
                if end is not None:
                    self._ends.discard(end)
                    end.transport.abort()

    async def _pass(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await source.read(1 << 16):
                await self._alive.wait()
                sink.write(data)
                await sink.drain()
        sink.transport.abort()


@asynccontextmanager
async def wire(router_url: str) -> AsyncIterator[Wire]:
    """A wire to a router, while the block runs."""
    between = Wire(router_url)
    carried: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(between.serve(reader, writer))
        carried.add(task)
        task.add_done_callback(carried.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    between.listens_at(server.sockets[0].getsockname()[1])
    try:
        yield between
    finally:
        server.close()
        between.live()
        between.cut()
        await asyncio.gather(*carried, return_exceptions=True)
        await server.wait_closed()
