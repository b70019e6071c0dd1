"""HTTP to one InfluxDB server: credentials, time limits, bounded answers, and which generation it is."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from enum import IntEnum

import httpx

from storage.errors import NeedsHuman, TryAgain
from storage.influx.settings import InfluxSettings

MOST_OF_AN_ERROR = 64 * 1024
"""Bytes read of an error's body: 1.6 echoes refused lines back, 2 MB for 5,000 (reference/influx-portable.md 2.1)."""

LONGEST_RETRY_AFTER_S = 600.0

SOME_USER = "lodeline"
"""Sent where only a token is known: 2.x and 3.x take any user name beside it."""


class Dialect(IntEnum):
    """Generation of the server: the first figure of its version."""

    V1 = 1
    V2 = 2
    V3 = 3


@dataclass(frozen=True, slots=True)
class Server:
    """What answered: ``version`` as it says it, the dialect that follows from it, ``build`` (3.x: Core, Enterprise)."""

    version: str
    dialect: Dialect
    build: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer: ``text`` is at most the first 64 KiB of its body, ``retry_after_s`` is capped at 600 s."""

    status: int
    text: str
    retry_after_s: float | None = None


FRESH_S = 5.0
"""A server that answered so recently is not asked whether it does."""


class Connection:
    """A client of one server, safe to share between threads. Nothing it raises holds a secret."""

    def __init__(self, settings: InfluxSettings) -> None:
        self.settings = settings
        secret = settings.secret
        auth = (settings.username or SOME_USER, secret.get_secret_value()) if secret else None
        self._client = httpx.Client(base_url=settings.url, auth=auth, headers={"User-Agent": "lodeline"})
        self._server: Server | None = None
        self._answered = float("-inf")

    def close(self) -> None:
        """Close the pooled connections."""
        self._client.close()

    def server(self) -> Server:
        """Version and dialect, asked once by ``/ping``, the one probe that 1.x, 2.x and 3.x share.

        Raises:
            TryAgain: no answer.
            NeedsHuman: credentials refused, or something else than InfluxDB answered.
        """
        if self._server is None:
            self._server = self._probed()
        return self._server

    def make_sure(self) -> None:
        """Ask ``/ping`` whether it answers, unless it did a moment ago. A query that may take long is not sent to
        a server that takes connections and says nothing: that would be found out only after all of that time.

        Raises:
            TryAgain: no answer within ``timeout_s``.
            NeedsHuman: something else than InfluxDB answered.
        """
        if time.monotonic() - self._answered > FRESH_S:
            self._server = self._probed()

    def forget_server(self) -> None:
        """Probe again at the next call: the server refused what its dialect should take; it may have been replaced."""
        self._server = None

    def _probed(self) -> Server:
        with self.stream("GET", "/ping") as response:
            answer = read_answer(response, self.settings.timeout_s)
            version = response.headers.get("X-Influxdb-Version", "").removeprefix("v")
            build = response.headers.get("X-Influxdb-Build", "")
        raise_common_troubles(self.settings.url, answer)
        if answer.status not in (200, 204) or version[:1] not in ("1", "2", "3"):
            raise NeedsHuman(
                f"{self.settings.url}/ping answered {answer.status} without the version of an InfluxDB 1, 2 or 3",
                remedy="Check the address, and that a proxy in between lets X-Influxdb-Version pass",
            )
        return Server(version, Dialect(int(version[0])), build)

    def send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        content: bytes | None = None,
        json: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request and its bounded answer, whatever the status. Raises TryAgain when there was none."""
        with self.stream(method, path, params=params, content=content, json=json, headers=headers) as response:
            return read_answer(response, self.settings.timeout_s)

    @contextmanager
    def stream(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        content: bytes | None = None,
        data: Mapping[str, str] | None = None,
        json: object = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
    ) -> Iterator[httpx.Response]:
        """One request whose body is read inside the ``with``; every transport error in it becomes TryAgain.

        ``timeout_s`` (the settings' by default) bounds the wait for the answer and for each part of it.
        """
        url = self.settings.url
        timeout_s = timeout_s or self.settings.timeout_s
        try:
            with self._client.stream(
                method, path, params=params, content=content, data=data, json=json, headers=headers, timeout=timeout_s
            ) as response:
                self._answered = time.monotonic()
                yield response
        except httpx.TimeoutException as error:
            raise TryAgain(f"InfluxDB at {url} did not answer within {timeout_s:g} s") from error
        except httpx.TransportError as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                raise NeedsHuman(
                    f"the certificate of {url} is not trusted",
                    remedy="Install its authority's certificate on this host, or name it in SSL_CERT_FILE",
                ) from error
            why = re.sub(r"\[Errno -?\d+\] ", "", str(error)) or type(error).__name__
            raise TryAgain(f"no answer from InfluxDB at {url}: {why}") from error


def read_answer(response: httpx.Response, timeout_s: float) -> Answer:
    """The answer with at most 64 KiB of its body, read for at most ``timeout_s``; the rest is left unread."""
    body = bytearray()
    deadline = time.monotonic() + timeout_s
    for chunk in response.iter_bytes():
        body += chunk
        if len(body) >= MOST_OF_AN_ERROR or time.monotonic() > deadline:
            break
    text = bytes(body[:MOST_OF_AN_ERROR]).decode("utf-8", errors="replace")
    return Answer(response.status_code, text, retry_after(response.headers.get("Retry-After")))


def retry_after(header: str | None) -> float | None:
    """Seconds asked for by Retry-After (RFC 9110, 10.2.3: seconds or a date), between 0 and 600; None if unreadable."""
    if header is None:
        return None
    if header.strip().isdecimal():
        return min(float(header), LONGEST_RETRY_AFTER_S)
    try:
        seconds = parsedate_to_datetime(header).timestamp() - time.time()
    except ValueError:
        return None
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER_S)


def raise_common_troubles(url: str, answer: Answer) -> None:
    """Raise for the answers that mean the same on every path: credentials, busy, broken.

    Raises:
        NeedsHuman: 401, 403, a redirect.
        TryAgain: 408, 429, 5xx.
    """
    said = answer.text.strip()[:500] or "nothing"
    if answer.status in (401, 403):
        raise NeedsHuman(
            f"InfluxDB at {url} answered {answer.status}, it said: {said}",
            remedy="Check token, or username and password, and that it may do this on the bucket or database",
        )
    if 300 <= answer.status < 400:
        raise NeedsHuman(f"{url} answered with a redirect ({answer.status})", remedy="Set the address it leads to")
    if answer.status in (408, 429) or answer.status >= 500:
        raise TryAgain(
            f"InfluxDB at {url} answered {answer.status}, it said: {said}", retry_after_s=answer.retry_after_s
        )
