"""HTTP to devices: an httpx transport that costs a tenth of the stock one, because it does only what a miner needs.

One :class:`DeviceTransport` belongs to one miner and holds at most one connection. It speaks plain HTTP/1.1 over
asyncio and httptools, and raises httpx's exceptions, so that everything above it works with any httpx transport and
with ``httpx.MockTransport`` in tests. What it adds to httpx: the deadline covers the whole exchange, where httpx's
time-outs are per read and a slow drip never ends; and an answer has a largest size. What it leaves out: redirects,
cookies, proxies, the environment, and decompression unless the request asks for it.

https goes through httpx's own transport inside :class:`BoundedTransport`, which adds the same two bounds.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
from functools import cache
from typing import cast

import httptools
import httpx

from tasks.miners.asic_rs.transport import AsicRsTransport
from tasks.miners.base_url import ASIC_RS, AUTO
from tasks.miners.bounds import ResponseTooLarge
from tasks.miners.socket_transport import SCHEME as SOCKET
from tasks.miners.socket_transport import SocketTransport

__all__ = ["MOST_BYTES", "AnyTransport", "BoundedTransport", "DeviceTransport", "ResponseTooLarge", "transport_for"]

MOST_BYTES = 4 * 1024 * 1024
"""Largest answer, head and body together. The largest known, chips of every board, has some 20 kB."""


def transport_for(base_url: httpx.URL, *, connect_timeout_s: float, deadline_s: float) -> httpx.AsyncBaseTransport:
    """The transport of one miner: the own one for http, the stock one, bounded and verifying, for https; ``cgminer://``
    is the socket API, ``asic-rs://`` the library, ``auto+http://`` whichever a request asks for."""
    if base_url.scheme.startswith(AUTO):
        return AnyTransport(connect_timeout_s=connect_timeout_s, deadline_s=deadline_s)
    if base_url.scheme == SOCKET:
        return SocketTransport(connect_timeout_s=connect_timeout_s, deadline_s=deadline_s)
    if base_url.scheme == ASIC_RS:
        return AsicRsTransport(deadline_s=deadline_s)
    if base_url.scheme == "https":
        limits = httpx.Limits(max_connections=1, max_keepalive_connections=1)
        stock = httpx.AsyncHTTPTransport(verify=_verifying(), trust_env=False, limits=limits)
        return BoundedTransport(stock, connect_timeout_s=connect_timeout_s, deadline_s=deadline_s)
    return DeviceTransport(connect_timeout_s=connect_timeout_s, deadline_s=deadline_s)


class DeviceTransport(httpx.AsyncBaseTransport):
    """Plain HTTP to one device over one kept connection; requests go one after the other.

    Raises, from :meth:`handle_async_request`:
        httpx.ConnectTimeout: no connection within ``connect_timeout_s``.
        httpx.ConnectError: refused, no route, name not known; the cause is the OSError.
        httpx.ReadTimeout: the answer was not whole ``deadline_s`` after the request was handed over.
        httpx.RemoteProtocolError: the connection ended before the answer was whole, or what came is not HTTP.
        ResponseTooLarge: more than ``most_bytes``.
        httpx.UnsupportedProtocol: the URL is not ``http://``, or the method neither GET nor POST.
    """

    def __init__(
        self, *, connect_timeout_s: float = 1.0, deadline_s: float = 3.0, most_bytes: int = MOST_BYTES
    ) -> None:
        self._connect_timeout_s = connect_timeout_s
        self._deadline_s = deadline_s
        self._most_bytes = most_bytes
        self._connection: _Connection | None = None
        self._busy = asyncio.Lock()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send ``request`` and return the response with its whole body."""
        if request.url.scheme != "http" or request.method not in ("GET", "POST"):
            message = f"{request.method} {request.url.scheme}:// is not for this transport"
            raise httpx.UnsupportedProtocol(message, request=request)
        try:
            async with asyncio.timeout(self._deadline_s), self._busy:
                wire = _wire(request, await request.aread())
                return await self._exchange(request, wire)
        except TimeoutError:
            raise httpx.ReadTimeout(f"no whole answer within {self._deadline_s:g} s", request=request) from None

    async def _exchange(self, request: httpx.Request, wire: bytes) -> httpx.Response:
        kept = self._connection
        if kept is not None and kept.usable:
            try:
                return await self._over(kept, request, wire)
            except httpx.RemoteProtocolError:
                # The device closed the idle connection while the request was on its way. Not a byte came, so it is
                # as good as never sent; but only a GET may be sent twice.
                if kept.received or request.method != "GET":
                    raise
        return await self._over(await self._connect(request), request, wire)

    async def _connect(self, request: httpx.Request) -> _Connection:
        host, port = request.url.host, request.url.port or 80
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                _, connection = await asyncio.get_running_loop().create_connection(_Connection, host, port)
        except TimeoutError:
            message = f"no connection to {host} port {port} within {self._connect_timeout_s:g} s"
            raise httpx.ConnectTimeout(message, request=request) from None
        except OSError as error:
            raise httpx.ConnectError(f"no connection to {host} port {port}: {error}", request=request) from error
        self._connection = connection
        return connection

    async def _over(self, connection: _Connection, request: httpx.Request, wire: bytes) -> httpx.Response:
        try:
            answer = await connection.exchange(wire, self._most_bytes)
        except httpx.RequestError as error:
            error.request = request
            raise
        finally:
            if not connection.usable:  # broken, or cancelled while half an answer may still come
                connection.abort()
                self._connection = None
        return _response(request, answer.status, answer.headers, answer.body)

    async def aclose(self) -> None:
        """Close the kept connection, if there is one."""
        if self._connection is not None:
            self._connection.abort()
            self._connection = None


class AnyTransport(httpx.AsyncBaseTransport):
    """One device whose dialect is not known yet: a transport for each scheme that is asked for, opened when it is."""

    def __init__(self, *, connect_timeout_s: float = 1.0, deadline_s: float = 3.0) -> None:
        self._connect_timeout_s = connect_timeout_s
        self._deadline_s = deadline_s
        self._by_scheme: dict[str, httpx.AsyncBaseTransport] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """As of the transport for the scheme of ``request``."""
        transport = self._by_scheme.get(request.url.scheme)
        if transport is None:
            transport = transport_for(
                request.url, connect_timeout_s=self._connect_timeout_s, deadline_s=self._deadline_s
            )
            self._by_scheme[request.url.scheme] = transport
        return await transport.handle_async_request(request)

    async def aclose(self) -> None:
        """Close all."""
        for transport in self._by_scheme.values():
            await transport.aclose()


class BoundedTransport(httpx.AsyncBaseTransport):
    """Another transport with a deadline over the whole exchange and a largest size of the body."""

    def __init__(
        self,
        inner: httpx.AsyncBaseTransport,
        *,
        connect_timeout_s: float = 1.0,
        deadline_s: float = 3.0,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self._inner = inner
        self._timeouts = {"connect": connect_timeout_s, "read": deadline_s, "write": deadline_s, "pool": deadline_s}
        self._deadline_s = deadline_s
        self._most_bytes = most_bytes

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """As of the inner transport, with httpx.ReadTimeout and ResponseTooLarge where a bound is passed."""
        request.extensions = {**request.extensions, "timeout": self._timeouts}
        try:
            async with asyncio.timeout(self._deadline_s):
                response = await self._inner.handle_async_request(request)
                try:
                    body = await self._body(request, response)
                finally:
                    await response.aclose()
        except TimeoutError:
            raise httpx.ReadTimeout(f"no whole answer within {self._deadline_s:g} s", request=request) from None
        return _response(request, response.status_code, response.headers.raw, body)

    async def _body(self, request: httpx.Request, response: httpx.Response) -> bytes:
        body = bytearray()
        async for part in response.aiter_raw():
            body += part
            if len(body) > self._most_bytes:
                raise ResponseTooLarge(f"more than {self._most_bytes} bytes", request=request)
        return bytes(body)

    async def aclose(self) -> None:
        """Close the inner transport."""
        await self._inner.aclose()


class _Connection(asyncio.BufferedProtocol):
    """One connection: one exchange at a time, then idle. Any byte or end that comes while idle ends it."""

    def __init__(self) -> None:
        self.received = False
        """Whether the exchange under way, or the last one, got any byte."""
        self._buffer = _receive_buffer()
        self._transport: asyncio.Transport | None = None
        self._answer: _Answer | None = None
        self._keep = False

    @property
    def usable(self) -> bool:
        """Whether another request may go over it."""
        return self._keep and self._transport is not None and not self._transport.is_closing()

    async def exchange(self, wire: bytes, most_bytes: int) -> _Answer:
        """Send ``wire`` and wait for the whole answer; usable afterwards only if it came and the device keeps it."""
        self.received = self._keep = False
        if self._transport is None or self._transport.is_closing():
            raise httpx.RemoteProtocolError("the device closed the connection")
        answer = self._answer = _Answer(most_bytes)
        try:
            self._transport.write(wire)
            await answer.whole
        finally:
            self._answer = None
            answer.forget_parser()
        self._keep = answer.keep_alive
        return answer

    def abort(self) -> None:
        """Drop the connection at once."""
        self._keep = False
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        if self._answer is None or self._answer.whole.done():
            if self._answer is not None:
                self._answer.keep_alive = False
            self.abort()  # nobody asked for this byte, so nobody can say which request it answers
            return
        self.received = True
        self._answer.feed(self._buffer[:nbytes])

    def eof_received(self) -> bool:
        if self._answer is not None:
            self._answer.end()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._keep = False
        if self._answer is not None:
            because = f": {exc}" if exc is not None else ""
            self._answer.fail(httpx.RemoteProtocolError(f"the connection ended before the answer was whole{because}"))


class _Answer:
    """The answer to one request as it comes in; methods ``on_...`` are called by httptools."""

    def __init__(self, most_bytes: int) -> None:
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.keep_alive = False
        self.whole: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._body: list[bytes] = []
        self._room = most_bytes
        self._head_is_whole = False
        self._parser = httptools.HttpResponseParser(self)

    @property
    def body(self) -> bytes:
        return self._body[0] if len(self._body) == 1 else b"".join(self._body)

    def feed(self, data: memoryview) -> None:
        self._room -= len(data)
        if self._room < 0:
            self.fail(ResponseTooLarge("the answer goes beyond the largest size"))
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self.keep_alive = False
            self.fail(httpx.RemoteProtocolError(f"the answer is not HTTP/1.1: {error}"))

    def end(self) -> None:
        """The device closed its side, which is how an answer without a length ends."""
        names = {name.lower() for name, _ in self.headers}
        has_length = bool(names & {b"content-length", b"transfer-encoding"})
        if self._head_is_whole and not has_length and not self.whole.done():
            self.whole.set_result(None)

    def fail(self, error: Exception) -> None:
        if not self.whole.done():
            self.whole.set_exception(error)

    def forget_parser(self) -> None:
        """Cut the cycle between parser and answer, so that the answer's bytes are freed at once."""
        del self._parser

    def on_message_begin(self) -> None:
        if self.whole.done():
            self.keep_alive = False  # more than the answer came along

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()
        self._head_is_whole = self.status >= 200

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        if self.status < 200:  # 100 Continue and its like: the answer is still to come
            self.headers.clear()
        elif not self.whole.done():
            self.keep_alive = self._parser.should_keep_alive()
            self.whole.set_result(None)


_LOCAL = threading.local()


def _receive_buffer() -> memoryview:
    """One buffer for all connections of a thread: it is filled and parsed within one callback of the thread's loop.

    A buffer per read is what asyncio's plain Protocol does, and costs up to 18 microseconds each.
    """
    buffer: memoryview | None = getattr(_LOCAL, "buffer", None)
    if buffer is None:
        buffer = _LOCAL.buffer = memoryview(bytearray(64 * 1024))
    return buffer


def _wire(request: httpx.Request, body: bytes) -> bytes:
    head = [b"%b %b HTTP/1.1\r\n" % (request.method.encode("ascii"), request.url.raw_path)]
    head += [b"%b: %b\r\n" % field for field in request.headers.raw]
    return b"".join([*head, b"\r\n", body])


def _response(request: httpx.Request, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> httpx.Response:
    names = [name.lower() for name, _ in headers]
    if b"content-encoding" in names and "accept-encoding" not in request.headers:
        # a small compressed answer can unfold to gigabytes, and this one nobody asked for
        headers = [field for field, name in zip(headers, names, strict=True) if name != b"content-encoding"]
    extensions = {"http_version": b"HTTP/1.1"}
    return httpx.Response(
        status, headers=headers, stream=httpx.ByteStream(body), request=request, extensions=extensions
    )


@cache
def _verifying() -> ssl.SSLContext:
    """One TLS context for all: building it takes 20 ms."""
    return httpx.create_ssl_context(trust_env=False)
