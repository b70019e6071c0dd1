"""The SDK's client with our own way of sending: every request bounded, every answer judged, nothing hidden.

What the SDK (1.4.119) does by itself, and what is done about it here:

- its constructor asks the network up to five times and never raises: it gets the answer that we have already;
- a GET has no time-out, a POST one per read: :meth:`Sdk._request` bounds the whole answer, and gives a body as long as
  a slow line needs for it;
- calls to the proxy hide what went wrong: it is noted before, in ``failure``;
- 429 is not tried again, 5xx by its own rules: its retries are off;
- it changes ``sys.excepthook`` unless told not to.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import requests  # comes with abacusai
import urllib3  # comes with requests
from abacusai import ApiClient
from pydantic import SecretStr

from storage.influx.connection import retry_after
from tasks.miners.redaction import Redaction
from tasks.sources.failure import SourceFailure, SourceFailureKind

SOURCE = "Abacus.AI"
MOST_BYTES = 64 << 20
"""Longest answer that is read."""

SLOWEST_BYTES_S = 32 << 10
"""A line that is slower is taken for dead: a part of 8 MiB may take four minutes and a half, over a quarter Mbit/s."""

SHOWN = 200
_CHUNK = 1 << 16


class Endpoints(NamedTuple):
    """Addresses that the service told: of its API, of predictions and rows online, of uploads."""

    api: str
    predict: str
    proxy: str


class Sdk(ApiClient):  # type: ignore[misc]
    """``failure``: what went wrong last below an answer; ``session`` is to be closed in the end."""

    def __init__(self, key: SecretStr, endpoints: Endpoints, timeout_s: float, redaction: Redaction) -> None:
        self.failure: SourceFailure | None = None
        self._told_endpoints: Endpoints | None = endpoints
        self._timeout_s = timeout_s
        self._redaction = redaction
        self.session = requests.Session()
        self.session.trust_env = False  # no netrc, no proxy of the environment: the key goes to the service only
        super().__init__(api_key=key.get_secret_value(), server=endpoints.api, skip_version_check=True, include_tb=True)
        self._told_endpoints = None

    def _call_api(self, action: str, *args: Any, **kwargs: Any) -> Any:
        if self._told_endpoints is not None:  # the constructor's question, which has been answered
            told = self._told_endpoints
            return {"apiEndpoint": told.api, "predictEndpoint": told.predict, "proxyEndpoint": told.proxy}
        return super()._call_api(action, *args, **kwargs)

    def _request(  # noqa: PLR0917 the SDK's own signature
        self,
        url: str,
        method: str,
        query_params: dict[str, Any] | None = None,
        headers: dict[str, Any] | None = None,
        body: Any = None,
        files: Any = None,
        stream: bool = False,
        timeout: float | None = None,  # noqa: ARG002 ours goes for all
        retry_500: bool = False,  # noqa: ARG002
        data: Any = None,
    ) -> Any:
        """Send one request and read the whole answer within the deadline."""
        what = f"{method} {urlsplit(url).path}"
        try:
            params = query_params
            if method == "GET" and params:
                params = {k: json.dumps(v) if isinstance(v, list | dict) else v for k, v in params.items()}
            sends_json = method in ("POST", "PATCH")
            request = requests.Request(
                method,
                url,
                params=params,
                headers=headers,
                json=body if sends_json else None,
                data=data if sends_json else body,
                files=files,
            )
            with self._failures(what):
                prepared = self.session.prepare_request(request)
                # the time-out of connecting goes for sending, all of the body together
                sending_s = self._timeout_s + int(prepared.headers.get("Content-Length", 0)) / SLOWEST_BYTES_S
                response = self.session.send(
                    prepared,
                    stream=True,
                    timeout=(sending_s, self._timeout_s),
                    allow_redirects=False,  # a key must not follow one to another host
                )
                try:
                    content = self._whole(response, what)
                finally:
                    response.close()
            response._content = content
            self._judge(response, content, what, is_raw=stream)
            if stream:
                response.raw = _Content(content)
            return response
        except SourceFailure as failure:
            self.failure = failure
            raise

    @contextlib.contextmanager
    def _failures(self, what: str) -> Iterator[None]:
        try:
            yield
        except (requests.Timeout, urllib3.exceptions.TimeoutError) as error:
            raise SourceFailure(
                SourceFailureKind.TIMEOUT, f"{SOURCE}: {what}: no answer within {self._timeout_s:g} s"
            ) from error
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            said = self._redaction.text(str(error).encode())[:SHOWN] or type(error).__name__
            raise SourceFailure(SourceFailureKind.UNREACHABLE, f"{SOURCE}: {what}: {said}") from error

    def _whole(self, response: Any, what: str) -> bytes:
        parts: list[bytes] = []
        size, deadline = 0, time.monotonic() + self._timeout_s
        # what has come so far, however little: a read of a whole chunk would wait on while a byte comes now and then
        while part := response.raw.read1(_CHUNK, decode_content=True):
            parts.append(part)
            size += len(part)
            if time.monotonic() > deadline:
                raise SourceFailure(
                    SourceFailureKind.TIMEOUT, f"{SOURCE}: {what}: no whole answer within {self._timeout_s:g} s"
                )
            if size > MOST_BYTES:
                raise SourceFailure(
                    SourceFailureKind.UNEXPECTED, f"{SOURCE}: {what}: the answer is longer than {MOST_BYTES} bytes"
                )
        return b"".join(parts)

    def _judge(self, response: Any, content: bytes, what: str, *, is_raw: bool) -> None:
        """Raise what is no answer of the service's own: by status, or since it is no JSON."""
        status = int(response.status_code)
        said = f"{SOURCE}: {what}: status {status}, {self._redaction.text(content)[:SHOWN]!r}"
        if status == requests.codes.too_many_requests:
            wait = retry_after(response.headers.get("retry-after"))
            raise SourceFailure(SourceFailureKind.RATE_LIMITED, said, retry_after_s=wait)
        if status in (requests.codes.unauthorized, requests.codes.forbidden):
            raise SourceFailure(SourceFailureKind.REFUSED, said)
        if status in (requests.codes.request_timeout, requests.codes.too_early) or status >= 500:
            raise SourceFailure(SourceFailureKind.SERVER_ERROR, said)
        if 300 <= status < 400:
            raise SourceFailure(SourceFailureKind.UNEXPECTED, said)
        if is_raw and status == requests.codes.ok:
            if "text/html" in response.headers.get("content-type", ""):  # no file of ours is a page
                raise SourceFailure(SourceFailureKind.NOT_JSON, said)
            return
        try:
            answer = json.loads(content)
        except ValueError:
            answer = None
        if not isinstance(answer, dict) or "success" not in answer:
            raise SourceFailure(SourceFailureKind.NOT_JSON, said)


class _Content:
    """A body that was read, for those who read it again."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def read(self) -> bytes:
        """All of it."""
        return self._content
