"""The library as an httpx transport, so that what wraps a transport (recording, replay) does so for it too.

A request ``GET asic-rs://address/reading`` is answered with the library's reading as JSON; 404 where it knows no miner,
502 where it failed or its process ended. A login goes along as HTTP Basic.
"""

from __future__ import annotations

import asyncio
import base64

import httpx

from tasks.miners.asic_rs.children import Child, ChildGone, Children, children
from tasks.miners.base_url import ASIC_RS

READING = "/reading"
_STATUS = {"read": 200, "unknown": 404, "failed": 502}


class AsicRsTransport(httpx.AsyncBaseTransport):
    """One miner, asked through a child process that it shares with others; one question at a time.

    Raises, from :meth:`handle_async_request`:
        httpx.ReadTimeout: no reading within ``deadline_s``.
    """

    def __init__(self, *, deadline_s: float, shared: Children | None = None) -> None:
        self._deadline_s = deadline_s
        self._shared = shared
        self._child: Child | None = None
        self._busy = asyncio.Lock()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Read the miner that ``request`` names."""
        if request.url.scheme != ASIC_RS:
            raise httpx.UnsupportedProtocol(f"{request.url.scheme}:// is not for this transport", request=request)
        try:
            async with asyncio.timeout(self._deadline_s), self._busy:
                reply = await self._joined().ask(request.url.host, self._deadline_s, *_login(request))
        except TimeoutError:
            raise httpx.ReadTimeout(f"no whole reading within {self._deadline_s:g} s", request=request) from None
        except ChildGone as error:
            return httpx.Response(502, text=str(error), request=request)
        if reply.outcome == "deadline":
            raise httpx.ReadTimeout(reply.detail, request=request)
        content = bytes(reply.data) if reply.outcome == "read" else reply.detail.encode()
        return httpx.Response(_STATUS[reply.outcome], content=content, request=request)

    def _joined(self) -> Child:
        if self._child is None:
            if self._shared is None:
                self._shared = children()
            self._child = self._shared.join()
        return self._child

    async def aclose(self) -> None:
        """Leave the child to the others; the last one ends it."""
        child, self._child = self._child, None
        if child is not None and self._shared is not None:
            await self._shared.leave(child)


def _login(request: httpx.Request) -> tuple[str | None, str | None]:
    scheme, _, said = request.headers.get("authorization", "").partition(" ")
    if scheme != "Basic":
        return None, None
    username, _, password = base64.b64decode(said).decode().partition(":")
    return username, password
