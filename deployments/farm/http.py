"""As much HTTP/1.1 as a miner speaks: keep-alive, one request at a time, whole answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, NamedTuple

import msgspec

from deployments.farm.listener import Connection

_REQUEST_LIMIT = 64 * 1024
_DRIP_EVERY_S = 0.1

_shared_buffer = bytearray(_REQUEST_LIMIT)
_shared_view = memoryview(_shared_buffer)


class Request(NamedTuple):
    """A request: header names in lower case, ``query`` without the question mark."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes


class Response(NamedTuple):
    """An answer, not yet on the wire."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()

    def wire(self) -> bytes:
        """The bytes to send."""
        extra = "".join(f"{name}: {value}\r\n" for name, value in self.headers)
        kind = f"Content-Type: {self.content_type}\r\n" if self.body else ""
        return (
            f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}\r\n{kind}{extra}"
            f"Content-Length: {len(self.body)}\r\n\r\n"
        ).encode() + self.body


class Delivery(NamedTuple):
    """How an answer travels: after ``delay_s``, at ``bytes_per_s`` (None: at once); without data never."""

    data: bytes | None
    delay_s: float = 0.0
    bytes_per_s: float | None = None


def answer(value: Any, status: int = 200) -> Response:
    """A JSON answer."""
    return Response(status, msgspec.json.encode(value))


def error(status: int, message: str) -> Response:
    """An error in VNish's words: ``{"err": "..."}``."""
    return Response(status, json.dumps({"err": message}).encode())


class HttpConnection(Connection, asyncio.BufferedProtocol):
    """One connection of a client; ``serve`` turns a request into what is sent back."""

    def __init__(self, serve: Callable[[Request], Delivery], connections: set[Connection]) -> None:
        super().__init__(connections)
        self._serve = serve
        self._pending = b""
        self._waiting = False
        self._last = False
        self._timer: asyncio.TimerHandle | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio."""
        super().connection_lost(exc)
        if self._timer is not None:
            self._timer.cancel()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002
        """One buffer for all connections: what arrives is copied out before the next read."""
        return _shared_view

    def buffer_updated(self, nbytes: int) -> None:
        """See asyncio."""
        received = bytes(_shared_view[:nbytes])
        self._pending = self._pending + received if self._pending else received
        if not self._waiting:
            self._advance()

    def _advance(self) -> None:
        while self._pending and not self._waiting and self.transport is not None:
            end = self._pending.find(b"\r\n\r\n")
            if end < 0:
                if len(self._pending) >= _REQUEST_LIMIT:
                    self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
                return
            try:
                request, length = _parse(self._pending[:end])
            except ValueError:
                self._refuse(HTTPStatus.BAD_REQUEST)
                return
            if length > _REQUEST_LIMIT:
                self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
                return
            if len(self._pending) < end + 4 + length:
                return
            if length:
                request = request._replace(body=self._pending[end + 4 : end + 4 + length])
            self._pending = self._pending[end + 4 + length :]
            self._last = request.headers.get("connection", "").lower() == "close"
            self._send(self._serve(request))

    def _send(self, delivery: Delivery) -> None:
        data, delay, pace = delivery
        if data is None:
            self._waiting = True
        elif delay or pace:
            self._waiting = True
            step = max(1, round(pace * _DRIP_EVERY_S)) if pace else len(data)
            self._timer = asyncio.get_running_loop().call_later(delay, self._drip, data, step)
        else:
            self._write(data)

    def _drip(self, data: bytes, step: int) -> None:
        if self.transport is None:
            return
        if len(data) > step:
            self.transport.write(data[:step])
            self._timer = asyncio.get_running_loop().call_later(_DRIP_EVERY_S, self._drip, data[step:], step)
            return
        self._timer = None
        self._waiting = False
        self._write(data)
        self._advance()

    def _write(self, data: bytes) -> None:
        if self.transport is None:
            return
        self.transport.write(data)
        if self._last:
            self.transport.close()

    def _refuse(self, status: HTTPStatus) -> None:
        self._last = True
        self._write(error(status, status.phrase).wire())


def _parse(head: bytes) -> tuple[Request, int]:
    """The request without its body, and the body's length. Raises ValueError where it is not HTTP/1.1."""
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, version = first.split(" ")
    if not version.startswith("HTTP/1."):
        raise ValueError(version)
    headers = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            raise ValueError(line)
        headers[name.lower()] = value.strip()
    if "transfer-encoding" in headers:
        raise ValueError("chunked requests are not understood")
    path, _, query = target.partition("?")
    length = int(headers.get("content-length", "0"))
    if length < 0:
        raise ValueError(length)
    return Request(method, path, query, headers, b""), length
