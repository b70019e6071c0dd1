"""cgminer's socket API as an httpx transport, so that what wraps or replaces a transport does so for sockets too.

A request ``POST cgminer://address:4028/<command>`` carries the JSON of the command as its body; the response is a 200
with what the device sent before it closed the connection, without the NUL at its end. One connection a command, as the
devices want it.
"""

from __future__ import annotations

import asyncio

import httpx

from tasks.miners.bounds import ResponseTooLarge

SCHEME = "cgminer"
MOST_BYTES = 1024 * 1024
"""Largest answer. The largest known, ``stats`` of sixteen boards, has some 20 kB."""

_READ = 64 * 1024


class SocketTransport(httpx.AsyncBaseTransport):
    """Commands to one device, one connection each.

    Raises, from :meth:`handle_async_request`, what DeviceTransport (tasks/miners/transport.py) does in the same cases.
    """

    def __init__(
        self, *, connect_timeout_s: float = 1.0, deadline_s: float = 3.0, most_bytes: int = MOST_BYTES
    ) -> None:
        self._connect_timeout_s = connect_timeout_s
        self._deadline_s = deadline_s
        self._most_bytes = most_bytes

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the body of ``request`` and return all that comes back."""
        host, port = request.url.host, request.url.port
        if request.url.scheme != SCHEME or port is None:
            raise httpx.UnsupportedProtocol(f"{request.url.scheme}:// is not for this transport", request=request)
        try:
            async with asyncio.timeout(self._deadline_s):
                reader, writer = await self._connected(request, host, port)
                try:
                    writer.write(await request.aread())
                    body = await self._all(request, reader)
                finally:
                    writer.transport.abort()
        except TimeoutError:
            raise httpx.ReadTimeout(f"no whole answer within {self._deadline_s:g} s", request=request) from None
        except OSError as error:
            raise httpx.RemoteProtocolError(f"the connection broke: {error}", request=request) from error
        return httpx.Response(200, stream=httpx.ByteStream(body), request=request)

    async def _connected(
        self, request: httpx.Request, host: str, port: int
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                return await asyncio.open_connection(host, port)
        except TimeoutError:
            message = f"no connection to {host} port {port} within {self._connect_timeout_s:g} s"
            raise httpx.ConnectTimeout(message, request=request) from None
        except OSError as error:
            raise httpx.ConnectError(f"no connection to {host} port {port}: {error}", request=request) from error

    async def _all(self, request: httpx.Request, reader: asyncio.StreamReader) -> bytes:
        """What comes up to the end of the connection or the NUL, which no JSON holds; some devices never close."""
        body = bytearray()
        while not body.endswith(b"\x00"):
            part = await reader.read(_READ)
            if not part:
                break
            body += part
            if len(body) > self._most_bytes:
                raise ResponseTooLarge("the answer goes beyond the largest size", request=request)
        if not body:
            raise httpx.RemoteProtocolError("the connection ended before an answer came", request=request)
        return bytes(body.rstrip(b"\x00"))

    async def aclose(self) -> None:
        """Nothing is kept open."""
