"""The socket API as a transport, against a scripted device on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx
import pytest

from tasks.miners.cgminer_socket.answers import Reply
from tasks.miners.decode import decode
from tasks.miners.driver import PollFailure
from tasks.miners.exchange import ask
from tasks.miners.socket_transport import SocketTransport
from tasks.miners.transport import transport_for

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def device(script: Script) -> AsyncIterator[str]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await script(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"cgminer://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def sent(url: str, **over: float) -> bytes:
    transport = SocketTransport(**({"deadline_s": 5.0} | over))  # type: ignore[arg-type]
    return (await ask(transport, httpx.Request("POST", f"{url}/stats", content=b'{"command":"stats"}'))).content


async def test_a_command_and_its_answer_in_pieces() -> None:
    commands = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        commands.append(await reader.readuntil(b"}"))
        for part in (b'{"a', b'":1', b"}", b"\x00"):
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0)

    async with device(script) as url:
        assert await sent(url) == b'{"a":1}'
        assert await sent(url) == b'{"a":1}', "a connection each"
    assert commands == [b'{"command":"stats"}'] * 2


async def test_without_a_nul_the_end_is_the_end() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"}")
        writer.write(b'{"a":1}')

    async with device(script) as url:
        assert await sent(url) == b'{"a":1}'


async def test_a_device_that_does_not_close_ends_with_the_nul() -> None:
    over = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"}")
        writer.write(b'{"a":1}\x00')
        await over.wait()

    async with device(script) as url:
        assert await sent(url) == b'{"a":1}'
        over.set()


async def test_failures_have_their_kind() -> None:
    released = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await released.wait()

    async def closes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"}")

    async def resets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'{"a":')
        await writer.drain()
        await reader.readuntil(b"}")
        writer.transport.abort()

    async def floods(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(b" " * 65_536)
            await writer.drain()

    for script, kind, over in (
        (silent, "deadline", {"deadline_s": 0.1}),
        (closes, "truncated", {}),
        (floods, "too_large", {}),
    ):
        async with device(script) as url:
            with pytest.raises(PollFailure) as failure:
                await sent(url, **over)
            assert failure.value.kind == kind
            released.set()
    async with device(closes) as url:
        gone = url
    with pytest.raises(PollFailure) as failure:
        await sent(gone)
    assert failure.value.kind == "refused"
    async with device(resets) as url:  # what came before the reset is an answer cut off, however the system tells
        with pytest.raises(PollFailure) as failure:
            decode(await sent(url), Reply, set(), "stats")
        assert failure.value.kind == "truncated"


async def test_a_url_without_a_port_is_nobodys() -> None:
    with pytest.raises(httpx.UnsupportedProtocol):
        await SocketTransport().handle_async_request(httpx.Request("POST", "cgminer://192.0.2.1/stats"))


def test_the_scheme_chooses_it() -> None:
    opened = transport_for(httpx.URL("cgminer://192.0.2.1:4028"), connect_timeout_s=1.0, deadline_s=3.0)
    assert isinstance(opened, SocketTransport)
