"""HTTP towards services on the internet: one client per source, a whole answer within a deadline, failures told apart.

For miners there is a transport of its own (tasks/miners/transport.py); here are few hosts, TLS, big answers and keys.
"""

from __future__ import annotations

import asyncio
import email.utils
import json
import logging
import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, NoReturn, Protocol
from urllib.parse import urlsplit

import httpx
from pydantic import SecretStr

from tasks.miners.redaction import Redaction
from tasks.resilience.backoff import Backoff
from tasks.sources.failure import SourceFailure, SourceFailureKind

MOST_BYTES = 8 << 20
"""Longest answer that is read; the longest known, 5,000 listed coins, has some 4 MB."""

DEADLINE_S = 20.0
TRIES = 3
SLOWED_S = 60.0
"""What a service is left alone for that says that it was asked too fast, and not for how long."""
LONGEST_WAIT_S = 10.0
"""A longer wait that a service asks for is not slept here: the request is due again when it is over."""

_SHOWN = 200
_REPEATABLE = frozenset({SourceFailureKind.UNREACHABLE, SourceFailureKind.TIMEOUT, SourceFailureKind.SERVER_ERROR})


class _Outage(SourceFailure):
    """A page instead of the service, with a status that says so: it may be over at the next try."""


for _name in ("httpx", "httpcore"):  # they tell of each request with its whole address, where some services want a key
    logging.getLogger(_name).setLevel(logging.WARNING)

Value = str | int | float | bool


class Pace(Protocol):
    """Says when a request may go out; see tasks/sources/pace.py."""

    async def wait(self) -> None:
        """Return when the next request may be sent.

        Raises:
            SourceFailure: the wait would be too long.
        """
        ...

    def close_for(self, seconds: float) -> None:
        """Let nobody who shares it send for ``seconds``: the service said so."""
        ...


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer that is JSON. ``text`` is it with secrets masked; ``received_ms``: Unix time; ``tries``: requests
    sent for it. ``kept_s``: its age where it is one of before; such a one has no text."""

    status: int
    data: Any
    text: str
    size: int
    headers: Mapping[str, str]
    address: str
    received_ms: int
    tries: int
    kept_s: float | None = None


class Api:
    """One service as one account sees it.

    Args:
        source: name of the source, for messages.
        base_url: address that all paths are put behind.
        headers: sent with every request; a SecretStr is masked wherever it would be shown.
        secrets: further values to mask, e.g. keys that stand in paths.
        pace: asked before every request, tries after a failure too.
        ca_file: certificates to trust instead of the system's. There is no way to switch verification off; a file that
            cannot be read is told by every request, so that it costs this service alone.
        deadline_s: for one request, from connecting until the last byte.
        taken: statuses besides 2xx whose JSON is an answer, not a failure: some services tell errors with codes of
            their own in a body.
    """

    def __init__(
        self,
        source: str,
        base_url: str,
        *,
        headers: Mapping[str, SecretStr | str] | None = None,
        secrets: Iterable[SecretStr | str | None] = (),
        pace: Pace | None = None,
        ca_file: Path | None = None,
        deadline_s: float = DEADLINE_S,
        most_bytes: int = MOST_BYTES,
        taken: Iterable[int] = (),
        transport: httpx.AsyncBaseTransport | None = None,
        backoff: Backoff | None = None,
        random: Random | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._source = source
        self._base = base_url.rstrip("/")
        self._pace = pace
        self._deadline_s = deadline_s
        self._most_bytes = most_bytes
        self._taken = frozenset(taken)
        self._backoff = backoff or Backoff(first_s=0.5, cap_s=LONGEST_WAIT_S)
        self._random = random or Random()
        self._clock = clock
        trusted, self._unusable = _trusted(ca_file, source)
        given = headers or {}
        self._redaction = Redaction([*secrets, *(value for value in given.values() if isinstance(value, SecretStr))])
        self._client = httpx.AsyncClient(
            headers={name: _shown(value) for name, value in given.items()},
            timeout=deadline_s,
            follow_redirects=False,  # a key must not follow one to another host
            verify=trusted,
            transport=transport,
            trust_env=False,
        )

    async def get(
        self, path: str, params: Mapping[str, Value | SecretStr] | None = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """GET ``path``, tried again after failures that may pass.

        Raises:
            SourceFailure: no JSON came, and why.
        """
        return await self._request("GET", path, params, headers, None)

    async def post(
        self, path: str, body: Any, params: Mapping[str, Value | SecretStr] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:  # fmt: skip
        """POST ``body`` as JSON to ``path``; for calls that only read, since it is tried again like a GET.

        Raises:
            SourceFailure: no JSON came, and why.
        """
        return await self._request("POST", path, params, headers, body)

    async def slow_down(self, seconds: float | None) -> None:
        """The service said that it was asked too fast: for ``seconds``, or SLOWED_S, nobody who shares the pace asks.

        It counts by key or by address, so other accounts of this host would only be told the same.
        """
        if self._pace is not None:
            await asyncio.to_thread(self._pace.close_for, seconds or SLOWED_S)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _request(
        self,
        method: str,
        path: str,
        params: Mapping[str, Value | SecretStr] | None,
        headers: Mapping[str, str] | None,
        body: Any,
    ) -> Reply:
        if self._unusable is not None:
            raise SourceFailure(SourceFailureKind.REFUSED, self._unusable)
        for value in (params or {}).values():
            if isinstance(value, SecretStr):
                self._redaction.learn(value.get_secret_value())
        request = self._client.build_request(
            method,
            f"{self._base}/{path.lstrip('/')}" if path else self._base,
            params={name: _shown(value) for name, value in params.items()} if params else None,
            headers=headers,
            json=body,
        )
        address = self.masked(str(request.url))
        tries = 0
        while True:
            tries += 1
            if self._pace is not None:
                await self._pace.wait()
            try:
                return await self._once(request, address, tries)
            except SourceFailure as failure:
                if failure.kind is SourceFailureKind.RATE_LIMITED:
                    await self.slow_down(failure.retry_after_s)
                wait = failure.retry_after_s or self._backoff.wait_s(tries, self._random)
                passes = failure.kind in _REPEATABLE or isinstance(failure, _Outage)
                if not passes or tries >= TRIES or wait > LONGEST_WAIT_S:
                    raise
            await asyncio.sleep(wait)

    async def _once(self, request: httpx.Request, address: str, tries: int) -> Reply:
        what = f"{self._source}: {request.method} {address}"
        try:
            async with asyncio.timeout(self._deadline_s):
                response = await self._client.send(request, stream=True)
                try:
                    content = await self._whole(response, what)
                finally:
                    await response.aclose()
        except (TimeoutError, httpx.TimeoutException) as error:
            raise SourceFailure(
                SourceFailureKind.TIMEOUT, f"{what}: no whole answer within {self._deadline_s:g} s"
            ) from error
        except httpx.HTTPError as error:
            raise SourceFailure(
                SourceFailureKind.UNREACHABLE, f"{what}: {self.masked(str(error)) or type(error).__name__}"
            ) from error
        received_ms = int(self._clock() * 1000)
        status = response.status_code
        data, readable = _json(content)
        if not (200 <= status < 300 or (readable and status in self._taken)):
            self._refuse(what, response, content, readable)
        if not readable:
            raise SourceFailure(
                SourceFailureKind.NOT_JSON,
                f"{what}: status {status} without JSON, it begins {self._beginning(content)!r}",
                retry_after_s=self._asked_wait(response),
            )
        return Reply(
            status=status,
            data=data,
            text=self._redaction.text(content),
            size=len(content),
            headers={name.lower(): value for name, value in response.headers.items()},
            address=address,
            received_ms=received_ms,
            tries=tries,
        )

    async def _whole(self, response: httpx.Response, what: str) -> bytes:
        parts: list[bytes] = []
        size = 0
        async for part in response.aiter_bytes():
            size += len(part)
            if size > self._most_bytes:
                raise SourceFailure(
                    SourceFailureKind.UNEXPECTED, f"{what}: the answer is longer than {self._most_bytes} bytes"
                )
            parts.append(part)
        return b"".join(parts)

    def _refuse(self, what: str, response: httpx.Response, content: bytes, readable: bool) -> NoReturn:
        status = response.status_code
        to = self._other_host(response)
        text = f"{what}: status {status}{to}, {self._beginning(content)!r}"
        wait = self._asked_wait(response)
        if status == httpx.codes.TOO_MANY_REQUESTS:
            raise SourceFailure(SourceFailureKind.RATE_LIMITED, text, retry_after_s=wait)
        if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            raise SourceFailure(SourceFailureKind.REFUSED, text, retry_after_s=wait)
        if status == httpx.codes.GONE:
            raise SourceFailure(SourceFailureKind.GONE, text)
        if status >= 500 and content and not readable:
            raise _Outage(SourceFailureKind.NOT_JSON, text, retry_after_s=wait)
        if status in (httpx.codes.REQUEST_TIMEOUT, httpx.codes.TOO_EARLY) or status >= 500:
            raise SourceFailure(SourceFailureKind.SERVER_ERROR, text, retry_after_s=wait)
        raise SourceFailure(SourceFailureKind.UNEXPECTED, text, retry_after_s=wait)

    def _other_host(self, response: httpx.Response) -> str:
        """Where an answer leads to, in words; of its address the host alone: the key may stand anywhere in the rest."""
        if not response.has_redirect_location:
            return ""
        try:
            host = urlsplit(response.headers["location"]).hostname
        except ValueError:
            host = None
        return f" to {self.masked(host)[:_SHOWN]}, which is not followed" if host else ""

    def masked(self, text: str) -> str:
        """``text`` without this account's secrets."""
        return self._redaction.text(text.encode("utf-8", "replace"))

    def _beginning(self, content: bytes) -> str:
        return self._redaction.text(content)[:_SHOWN]

    def _asked_wait(self, response: httpx.Response) -> float | None:
        """Retry-After in seconds, of either form (RFC 9110, 10.2.3); None where it is missing or past."""
        said = response.headers.get("retry-after", "").strip()
        if said.isdecimal():
            return float(said)
        try:
            return max(0.0, email.utils.parsedate_to_datetime(said).timestamp() - self._clock()) or None
        except (ValueError, TypeError):
            return None


def _json(content: bytes) -> tuple[Any, bool]:
    """The value of ``content``, and whether it is JSON. NaN is none (RFC 8259, 6)."""
    try:
        return json.loads(content, parse_constant=_not_json), True
    except ValueError:  # also of bytes that are no text
        return None, False


def _not_json(word: str) -> NoReturn:
    raise ValueError(word)


def _shown(value: Value | SecretStr) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return str(value).lower() if isinstance(value, bool) else str(value)


def _trusted(ca_file: Path | None, source: str) -> tuple[ssl.SSLContext | bool, str | None]:
    """What httpx is to verify by, and why that cannot be had."""
    try:
        return True if ca_file is None else ssl.create_default_context(cafile=str(ca_file)), None
    except (OSError, ssl.SSLError) as error:
        return True, f"{source}: ca_file {ca_file} cannot be read: {error}"
