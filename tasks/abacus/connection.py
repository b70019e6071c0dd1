"""The service through its SDK (sdk.py): its addresses found, calls tried again as data_ingestion says, failures told
apart.

The key is sent in a header only, to the addresses below alone: https, or this host.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from random import Random
from typing import Any, TypeVar
from urllib.parse import urlsplit

from abacusai.client import ApiException
from pydantic import SecretStr

from storage.errors import LodelineError, NeedsHuman, TryAgain
from storage.loopback import is_loopback
from tasks.abacus.sdk import SHOWN, SOURCE, Endpoints, Sdk
from tasks.abacus.settings import AbacusSettings, IngestionSettings
from tasks.miners.redaction import Redaction
from tasks.resilience.http import Api
from tasks.sources.failure import SourceFailure, SourceFailureKind

LONGEST_WAIT_S = 60.0
"""A longer wait that the service asks for is left to the next run."""

_FIRST_WAIT_S = 1.0
_REPEATED = frozenset({
    SourceFailureKind.UNREACHABLE, SourceFailureKind.TIMEOUT, SourceFailureKind.SERVER_ERROR,
    SourceFailureKind.RATE_LIMITED, SourceFailureKind.NOT_JSON,
})  # fmt: skip

Result = TypeVar("Result")
_KEY_REMEDY = "Check general.api_key of abacus_integration_config.yaml"


class Busy(TryAgain):
    """The service says that it was asked too fast (429): what it was asked for was not done."""


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
        self._sdk = Sdk(key, endpoints, ingestion.timeout_seconds, self._redaction)

    def close(self) -> None:
        """Close the connections."""
        self._sdk.session.close()

    def call(self, what: str, function: Callable[[Any], Result], *, once: bool = False) -> Result:
        """``function`` of the SDK, tried again as data_ingestion says where that can help; with ``once`` only where the
        service says that it did nothing.

        Raises:
            Refusal: the service says no. Busy: it says not now.
            TryAgain: it did not answer. NeedsHuman: it does not know the key.
        """
        tries = 0
        while True:
            self.require_wanted()
            tries += 1
            try:
                return self._once(what, function)
            except SourceFailure as failure:
                wait = failure.retry_after_s or self._wait_s(tries)
                is_last = tries > self._ingestion.max_retries
                repeated = {SourceFailureKind.RATE_LIMITED} if once else _REPEATED
                if failure.kind not in repeated or is_last or wait > LONGEST_WAIT_S:
                    raise _told(failure) from failure
            self.wait(wait)

    def told(self, what: str, function: Callable[[Any], Result], *, once: bool = False) -> Result:
        """As :meth:`call`, where the answer has to hold something.

        Raises:
            TryAgain: it holds nothing. Refusal, NeedsHuman: as call.
        """
        found = self.call(what, function, once=once)
        if found is None:
            raise TryAgain(f"{SOURCE}: {what}: the service says that it went well, and tells nothing of it")
        return found

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
            said = self._redaction.text(str(error.message).encode())[:SHOWN]
            raise Refusal(f"{SOURCE}: {what}: {error.exception}: {said}", error.exception, error.http_status) from error
        except SourceFailure as failure:
            raise SourceFailure(failure.kind, f"{what}: {failure}", retry_after_s=failure.retry_after_s) from failure


def _told(failure: SourceFailure) -> LodelineError:
    if failure.kind is SourceFailureKind.REFUSED:
        return NeedsHuman(str(failure), remedy=_KEY_REMEDY)
    if failure.kind in (SourceFailureKind.GONE, SourceFailureKind.UNEXPECTED):
        return NeedsHuman(str(failure), remedy="Check general.api_url of abacus_integration_config.yaml")
    error = Busy if failure.kind is SourceFailureKind.RATE_LIMITED else TryAgain
    return error(str(failure), retry_after_s=failure.retry_after_s)
