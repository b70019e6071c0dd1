"""What a miner answered, kept beside the readings made from it: a transport that takes notes, and the rows of them.

What is kept is enough to run the same driver again over the same poll (tasks/replay): every path asked, with its
answer or with why none came. Answers that let somebody in, and settings as a whole, are never noted
(tasks/miners/redaction.py).
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import Literal, cast

import httpx
import msgspec
from pydantic import SecretStr

from storage.frame import Frame, Value, build_frame
from storage.records.miner import Miner
from tasks.miners.driver import FailureKind
from tasks.miners.exchange import kind_of
from tasks.miners.redaction import Redaction, is_recorded

Keep = Literal["every", "changed", "off"]
"""Which polls are kept: all, those that differ from the last one kept in more than numbers, or none.

Measured on the farm at a poll a minute, per miner and day: *every* 4.1 MB as text, 0.97 MB through the spool, 0.28 MB
in the lake; *changed* 1.1, 0.25 and 0.08 MB. Either costs under 80 microseconds a poll.
"""

MOST_BYTES = 256 * 1024
"""Longest answer that is kept; the longest known has some 20 kB. Of a longer one the beginning is kept, as cut off."""

KEPT_AT_LEAST_EVERY_S = 3_600
"""A poll is kept so often though only its numbers change."""

_NUMBERS = b"0123456789.+-"
_LONGEST_PATH = 200


class Payload(msgspec.Struct, frozen=True, kw_only=True):
    """One answer. ``failure`` says why no whole answer came (FailureKind); then the rest is None.

    ``received_ms``: Unix time. ``size``: bytes as they came; ``body`` may be shorter (MOST_BYTES) or masked.
    """

    path: str
    received_ms: int
    status: int | None = None
    failure: FailureKind | None = None
    body: str | None = None
    size: int | None = None


@dataclass(frozen=True, slots=True)
class PolledPayloads:
    """What one poll of one miner received, by the driver named ``driver``."""

    miner: Miner
    address: str
    driver: str
    payloads: Sequence[Payload]


class _Noted(msgspec.Struct, frozen=True):
    path: str
    received_ms: int
    status: int | None
    failure: FailureKind | None
    body: bytes
    size: int


class Recording(httpx.AsyncBaseTransport):
    """``inner``, and notes of what goes through it. One per miner.

    Args:
        inner: the transport that asks; closed with this one.
        keep: which polls :meth:`taken` gives.
        secrets: values that must not be kept, wherever they stand; credentials of requests are learnt along the way.
        clock: Unix time in seconds.
    """

    def __init__(
        self,
        inner: httpx.AsyncBaseTransport,
        *,
        keep: Keep = "every",
        secrets: Iterable[SecretStr | str | None] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._inner = inner
        self._keep = keep
        self._redaction = Redaction(secrets)
        self._clock = clock
        self._noted: dict[str, _Noted] = {}
        self._shape: int | None = None
        self._kept_at = 0.0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """As of the inner transport; the answer is read whole, or its failure raised, either noted."""
        if self._keep == "off":
            return await self._inner.handle_async_request(request)
        self._redaction.of_request(request.headers.raw)
        path = path_of(request)
        try:
            response = await self._inner.handle_async_request(request)
            stream = cast("httpx.AsyncByteStream", response.stream)
            body = b"".join([part async for part in stream])
        except BaseException as error:  # a caller whose time is up cancels
            self._note(path, None, kind_of(error) if isinstance(error, httpx.HTTPError) else "deadline", b"")
            raise
        self._note(path, response.status_code, None, body)
        return httpx.Response(
            response.status_code,
            headers=response.headers.raw,
            stream=httpx.ByteStream(body),
            request=request,
            extensions=response.extensions,
        )

    def taken(self) -> list[Payload]:
        """What was noted since the last call, the last answer of each path, masked; nothing if it is not to be kept."""
        noted, self._noted = self._noted, {}
        if not noted or not self._wanted(noted.values()):
            return []
        return [self._payload(each) for each in noted.values()]

    async def aclose(self) -> None:
        """Close the inner transport."""
        await self._inner.aclose()

    def _note(self, path: str, status: int | None, failure: FailureKind | None, body: bytes) -> None:
        if is_recorded(path):
            self._noted.pop(path, None)  # paths stay in the order of their last answers
            received_ms = round(1000 * self._clock())
            self._noted[path] = _Noted(path, received_ms, status, failure, body[:MOST_BYTES], len(body))

    def _wanted(self, noted: Iterable[_Noted]) -> bool:
        if self._keep == "every":
            return True
        # Paths are asked at their own pace, so the shape is that of what tells the state: words, not numbers.
        shape = hash(frozenset((n.path, n.status, n.failure, n.body.translate(None, _NUMBERS)) for n in noted))
        now = self._clock()
        if shape == self._shape and 0 <= now - self._kept_at < KEPT_AT_LEAST_EVERY_S:
            return False
        self._shape, self._kept_at = shape, now
        return True

    def _payload(self, noted: _Noted) -> Payload:
        answered = noted.failure is None
        return Payload(
            path=self._redaction.text(noted.path.encode())[:_LONGEST_PATH],
            received_ms=noted.received_ms,
            status=noted.status,
            failure=noted.failure,
            body=self._redaction.text(noted.body) if answered else None,
            size=noted.size if answered else None,
        )


def path_of(request: httpx.Request) -> str:
    """What a request asks, as it is kept: path and query, and the method when it is not GET."""
    path = request.url.raw_path.decode("ascii", "replace")
    return path if request.method == "GET" else f"{request.method} {path}"


def payload_frames(slot: int, polls: Sequence[PolledPayloads]) -> list[Frame]:
    """The frame of ``raw_payload`` at ``slot`` (Unix seconds), or none where nothing was kept."""
    rows = [(poll, payload) for poll in polls for payload in poll.payloads]
    if not rows:
        return []
    columns: dict[str, list[Value]] = {
        "miner_id": [poll.miner.miner_id for poll, _ in rows],
        "model": [poll.miner.model for poll, _ in rows],
        "site": [poll.miner.site for poll, _ in rows],
        "path": [payload.path for _, payload in rows],
        "status": [payload.status for _, payload in rows],
        "failure": [payload.failure for _, payload in rows],
        "body": [payload.body for _, payload in rows],
        "sha256": [content_id(payload.body) for _, payload in rows],
        "size": [payload.size for _, payload in rows],
        "address": [poll.address for poll, _ in rows],
        "driver": [poll.driver for poll, _ in rows],
        "version": [lodeline_version()] * len(rows),
        "received_ms": [payload.received_ms for _, payload in rows],
    }
    return [build_frame("raw_payload", [slot] * len(rows), columns)]


def content_id(body: str | None) -> str | None:
    """SHA-256 of a kept body, in hex."""
    return None if body is None else hashlib.sha256(body.encode()).hexdigest()


@cache
def lodeline_version() -> str:
    """Version of what asks and reads."""
    return version("lodeline")
