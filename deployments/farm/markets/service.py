"""A service on the internet, served over loopback: it answers from one function, and goes wrong on request."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Literal, get_args

from deployments.farm.http import Delivery, HttpConnection, Request, Response
from deployments.farm.listener import Listener

ADDRESS = "127.0.0.1"
_REMEMBERED = 1_000
PAGE = b"<!DOCTYPE html><html><body>We will be back soon</body></html>"

FaultKind = Literal["dead", "html", "html_500", "html_429", "cut", "hanging", "slow", "gone"]
FAULT_KINDS: tuple[FaultKind, ...] = get_args(FaultKind)
"""``dead``: connections are refused; ``html``: a page with status 200; ``html_500``, ``html_429``: a page with that
status; ``cut``: half an answer; ``hanging``: no answer; ``slow``: 100 bytes a second; ``gone``: 410."""


class Service:
    """Listens while the ``async with`` block runs. ``answer`` is what it says; a ``fault`` goes before it.

    ``asked`` has the newest requests that came, newest last; ``count`` how many there were.
    """

    def __init__(self, answer: Callable[[Request], Response], *, port: int = 0) -> None:
        self._answer = answer
        self._listener = Listener(ADDRESS, port, lambda connections: HttpConnection(self._serve, connections))
        self._fault: FaultKind | None = None
        self.asked: deque[Request] = deque(maxlen=_REMEMBERED)
        self.count = 0

    async def __aenter__(self) -> Service:
        """Listen. Raises FarmError where the port is taken."""
        self._listener.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop listening."""
        self._listener.shut()
        await self._listener.finish()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{ADDRESS}:{self._listener.port}"

    @property
    def fault(self) -> FaultKind | None:
        """What is wrong with it now."""
        return self._fault

    @fault.setter
    def fault(self, kind: FaultKind | None) -> None:
        """Raises FarmError where another process has taken its port while it was dead."""
        if kind == "dead":
            self._listener.shut()
        elif self._fault == "dead":
            self._listener.open()
        self._fault = kind

    def _serve(self, request: Request) -> Delivery:
        self.asked.append(request)
        self.count += 1
        match self._fault:
            case None | "dead":
                return Delivery(self._answer(request).wire())
            case "html":
                return Delivery(Response(200, PAGE, "text/html").wire())
            case "html_500":
                return Delivery(Response(500, PAGE, "text/html").wire())
            case "html_429":
                return Delivery(Response(429, PAGE, "text/html").wire())
            case "cut":
                whole = self._answer(request)
                return Delivery(whole._replace(body=whole.body[: len(whole.body) // 2]).wire())
            case "hanging":
                return Delivery(None)
            case "slow":
                return Delivery(self._answer(request).wire(), bytes_per_s=100)
            case "gone":
                return Delivery(Response(410).wire())
