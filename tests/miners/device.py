"""A scripted device: a real socket on loopback whose every answer is written down by the test."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

Script = Callable[["Exchange"], Awaitable[None]]


@dataclass
class Exchange:
    """One request and the means to answer it. ``number`` counts requests of the device from 1."""

    number: int
    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()


@dataclass
class Device:
    """What a device saw, and where it is."""

    script: Script
    scheme: str = "http"
    port: int = 0
    connections: int = 0
    requests: list[Exchange] = field(default_factory=list)
    lost: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a connection has ended from the other side."""
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    @property
    def paths(self) -> list[str]:
        return [request.path for request in self.requests]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writers.append(writer)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                method, path, _ = head[0].split(" ", 2)
                headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in head[1:] if line)}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                exchange = Exchange(len(self.requests) + 1, method, path, headers, body, writer)
                self.requests.append(exchange)
                await self.script(exchange)
                if writer.is_closing():
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            self.lost.set()
        finally:
            writer.close()


@asynccontextmanager
async def device(script: Script, tls: ssl.SSLContext | None = None) -> AsyncIterator[Device]:
    """Serve ``script`` on a free port of loopback."""
    scripted = Device(script, "http" if tls is None else "https")
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await scripted.serve(reader, writer)
        except asyncio.CancelledError:
            pass
        finally:
            tasks.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    scripted.port = server.sockets[0].getsockname()[1]
    try:
        yield scripted
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for writer in scripted.writers:
            writer.close()
        await server.wait_closed()


def answer(body: bytes | Any, status: int = 200, *headers: str) -> bytes:
    """A whole HTTP/1.1 answer; what is not bytes is sent as JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} Status", f"content-length: {len(data)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + data


def always(data: bytes) -> Script:
    """The same bytes to every request."""

    async def script(exchange: Exchange) -> None:
        await exchange.send(data)

    return script


def pages(answers: dict[str, Any]) -> Script:
    """By path: bytes are sent as they are, all else as JSON; 404 for other paths."""

    async def script(exchange: Exchange) -> None:
        found = answers.get(exchange.path)
        if exchange.path not in answers:
            await exchange.send(answer({"err": "not found"}, 404))
        else:
            await exchange.send(found if isinstance(found, bytes) else answer(found))

    return script


async def hang(_: Exchange) -> None:
    """Never answer."""
    await asyncio.Event().wait()


def drip(data: bytes) -> Script:
    """A byte at a time, faster than any limit per read, slower than any deadline."""

    async def script(exchange: Exchange) -> None:
        for byte in data:
            await exchange.send(bytes([byte]))
            await asyncio.sleep(0.05)

    return script


def closed_port() -> int:
    """A port of loopback on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class SilentPort:
    """A port that drops every SYN: a listener whose queue is full."""

    def __init__(self) -> None:
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(0)
        self.port: int = self._listener.getsockname()[1]
        self._queued = []
        for _ in range(4):
            waiting = socket.socket()
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", self.port))
            self._queued.append(waiting)

    def close(self) -> None:
        for each in (*self._queued, self._listener):
            each.close()
