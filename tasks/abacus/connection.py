"""The service through its SDK, made safe: start-up bounded, every call with a deadline, failures told apart and tried
again.

What the SDK (1.4.119) does by itself, and what is done about it here:

- its constructor asks the network up to five times and never raises: the service is asked by us first
  (:func:`find_endpoints`), and the constructor gets that answer;
- a GET has no time-out, a POST one per read: :meth:`_Sdk._request` bounds the whole answer;
- calls to the proxy hide what went wrong: it is noted before, and told;
- 429 is not tried again, 5xx by its own rules: its retries are off, ours (:meth:`Abacus.call`) follow data_ingestion;
- it changes ``sys.excepthook`` unless told not to.

The key is sent in a header only, to the addresses below alone: https, or this host.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from random import Random
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

import requests  # comes with abacusai
from abacusai import ApiClient
from abacusai.client import ApiException
from pydantic import SecretStr

from storage.errors import LodelineError, NeedsHuman, TryAgain
from storage.loopback import is_loopback
from tasks.abacus.settings import AbacusSettings, IngestionSettings
from tasks.miners.redaction import Redaction
from tasks.resilience.http import Api
from tasks.sources.failure import SourceFailure, SourceFailureKind

SOURCE = "Abacus.AI"
LONGEST_WAIT_S = 60.0
"""A longer wait that the service asks for is left to the next run."""

MOST_BYTES = 64 << 20
"""Longest answer that is read."""

_FIRST_WAIT_S = 1.0
_SHOWN = 200
_CHUNK = 1 << 16
_REPEATED = frozenset({
    SourceFailureKind.UNREACHABLE, SourceFailureKind.TIMEOUT, SourceFailureKind.SERVER_ERROR,
    SourceFailureKind.RATE_LIMITED, SourceFailureKind.NOT_JSON,
})  # fmt: skip

Result = TypeVar("Result")
_KEY_REMEDY = "Check general.api_key of abacus_integration_config.yaml"


class Endpoints(NamedTuple):
    """Addresses that the service told: of its API, of predictions and rows online, of uploads."""

    api: str
    predict: str
    proxy: str


class Refusal(LodelineError):
    """The service understood and says no. ``kind`` is its word for why, e.g. DataNotFoundError, AlreadyExistsError."""

    def __init__(self, message: str, kind: str, status: int) -> None:
        super().__init__(message)
        self.kind = kind
        self.status = status

    @property
    def is_missing(self) -> bool:
        """What was asked for does not exist."""
        return self.kind in ("DataNotFoundError", "Generic404Error")

    @property
    def is_there_already(self) -> bool:
        """What was to be made exists."""
        return self.kind in ("AlreadyExistsError", "ConflictError")


async def find_endpoints(settings: AbacusSettings) -> Endpoints:
    """Ask the service where it is to be asked; at most some data_ingestion.timeout_seconds for each of three tries.

    Raises:
        TryAgain: it does not answer. NeedsHuman: it does not know the key, or wants it sent where it is not safe.
    """
    general = settings.general
    api = Api(SOURCE, general.api_url, headers={"apiKey": general.api_key},
              deadline_s=settings.data_ingestion.timeout_seconds)  # fmt: skip
    try:
        answer = (await api.get("api/v0/getApiEndpoint")).data
    except SourceFailure as failure:
        raise _told(failure) from failure
    finally:
        await api.aclose()
    told = answer.get("result") if isinstance(answer, dict) else None
    names = ("apiEndpoint", "predictEndpoint", "proxyEndpoint")
    if not isinstance(told, dict) or not all(isinstance(told.get(name), str) for name in names):
        raise TryAgain(f"{SOURCE}: getApiEndpoint of {general.api_url} did not tell {', '.join(names)}")
    for name in names:
        require_safe(told[name], f"{name}, as {general.api_url} told it,")
    return Endpoints(*(told[name].rstrip("/") for name in names))


def require_safe(address: str, what: str) -> None:
    """Refuse an address that the key would reach in the clear.

    Raises:
        NeedsHuman: it is neither https nor of this host.
    """
    parts = urlsplit(address)
    if parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or "")):
        return
    raise NeedsHuman(f"{what} is {address}: the API key would be sent in the clear", remedy="Use an https address")


class Abacus:
    """One account at the service, for one thread.

    Args:
        sleep: waits between tries; replaced in tests.
        stop: asked while waiting; once true the work ends with TryAgain.
    """

    def __init__(
        self,
        key: SecretStr,
        endpoints: Endpoints,
        ingestion: IngestionSettings,
        *,
        sleep: Callable[[float], None] = time.sleep,
        stop: Callable[[], bool] = lambda: False,
        random: Random | None = None,
    ) -> None:
        self._ingestion = ingestion
        self._sleep = sleep
        self._stop = stop
        self._random = random or Random()
        self._redaction = Redaction([key])
        self._sdk = _Sdk(key, endpoints, ingestion.timeout_seconds, self._redaction)

    def close(self) -> None:
        """Close the connections."""
        self._sdk.session.close()

    def call(self, what: str, function: Callable[[Any], Result], *, once: bool = False) -> Result:
        """``function`` of the SDK, tried again as data_ingestion says where that can help; ``once``: never.

        Raises:
            Refusal: the service says no.
            TryAgain: it did not answer, or is busy. NeedsHuman: it does not know the key.
        """
        tries = 0
        while True:
            self.require_wanted()
            tries += 1
            try:
                return self._once(what, function)
            except SourceFailure as failure:
                wait = failure.retry_after_s or self._wait_s(tries)
                is_last = once or tries > self._ingestion.max_retries
                if failure.kind not in _REPEATED or is_last or wait > LONGEST_WAIT_S:
                    raise _told(failure) from failure
            self.wait(wait)

    def _wait_s(self, failures: int) -> float:
        whole = _FIRST_WAIT_S * self._ingestion.retry_backoff_factor ** min(failures - 1, 32)
        return min(LONGEST_WAIT_S, whole) * self._random.uniform(0.5, 1.0)

    def wait(self, seconds: float) -> None:
        """Wait, in pieces, for as long as the work is wanted.

        Raises:
            TryAgain: it is not.
        """
        while seconds > 0:
            self.require_wanted()
            piece = min(seconds, 1.0)
            self._sleep(piece)
            seconds -= piece
        self.require_wanted()

    def require_wanted(self) -> None:
        """Raise TryAgain once the work was stopped."""
        if self._stop():
            raise TryAgain(f"{SOURCE}: stopped; the next run goes on where this one was")

    def _once(self, what: str, function: Callable[[Any], Result]) -> Result:
        self._sdk.failure = None
        try:
            return function(self._sdk)
        except ApiException as error:
            if self._sdk.failure is not None:  # hidden behind "Unknown error" by a call to the proxy
                raise SourceFailure(
                    self._sdk.failure.kind,
                    f"{what}: {self._sdk.failure}",
                    retry_after_s=self._sdk.failure.retry_after_s,
                ) from error
            said = self._redaction.text(str(error.message).encode())[:_SHOWN]
            raise Refusal(f"{SOURCE}: {what}: {error.exception}: {said}", error.exception, error.http_status) from error
        except SourceFailure as failure:
            raise SourceFailure(failure.kind, f"{what}: {failure}", retry_after_s=failure.retry_after_s) from failure


def _told(failure: SourceFailure) -> LodelineError:
    if failure.kind is SourceFailureKind.REFUSED:
        return NeedsHuman(str(failure), remedy=_KEY_REMEDY)
    if failure.kind in (SourceFailureKind.GONE, SourceFailureKind.UNEXPECTED):
        return NeedsHuman(str(failure), remedy="Check general.api_url of abacus_integration_config.yaml")
    return TryAgain(str(failure), retry_after_s=failure.retry_after_s)


class _Sdk(ApiClient):  # type: ignore[misc]
    """The SDK's client with our own way of sending. ``failure``: what went wrong last below an answer."""

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
            with self._failures(what):
                response = self.session.request(
                    method,
                    url,
                    params=params,
                    headers=headers,
                    json=body if sends_json else None,
                    data=data if sends_json else body,
                    files=files,
                    stream=True,
                    timeout=self._timeout_s,
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
        except requests.Timeout as error:
            raise SourceFailure(
                SourceFailureKind.TIMEOUT, f"{SOURCE}: {what}: no answer within {self._timeout_s:g} s"
            ) from error
        except requests.RequestException as error:
            said = self._redaction.text(str(error).encode())[:_SHOWN] or type(error).__name__
            raise SourceFailure(SourceFailureKind.UNREACHABLE, f"{SOURCE}: {what}: {said}") from error

    def _whole(self, response: Any, what: str) -> bytes:
        parts: list[bytes] = []
        size, deadline = 0, time.monotonic() + self._timeout_s
        for part in response.iter_content(_CHUNK):
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
        said = f"{SOURCE}: {what}: status {status}, {self._redaction.text(content)[:_SHOWN]!r}"
        if status == requests.codes.too_many_requests:
            after = response.headers.get("retry-after", "")
            wait = float(after) if after.isdecimal() else None
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
