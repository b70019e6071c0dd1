"""One request and its whole answer; every failure on the way becomes a :class:`PollFailure`."""

from __future__ import annotations

import httpx

from tasks.miners.driver import FailureKind, PollFailure
from tasks.miners.transport import ResponseTooLarge


async def ask(transport: httpx.AsyncBaseTransport, request: httpx.Request) -> httpx.Response:
    """Send ``request`` and read the whole answer, whatever its status.

    Raises:
        PollFailure: no whole answer came.
    """
    try:
        response = await transport.handle_async_request(request)
        await response.aread()
    except httpx.HTTPError as error:
        raise PollFailure(_kind(error), f"{request.method} {request.url.path}: {error}") from error
    return response


def body_of(response: httpx.Response, path: str) -> bytes:
    """The body of a 200.

    Raises:
        PollFailure: ``auth`` for 401 and 403, ``http_status`` for every other status.
    """
    if response.status_code == httpx.codes.OK:
        return response.content
    kind: FailureKind = "auth" if response.status_code in (401, 403) else "http_status"
    raise PollFailure(kind, f"{path} answered {response.status_code}")


def _kind(error: httpx.HTTPError) -> FailureKind:
    if isinstance(error, httpx.ConnectTimeout):
        return "connect_timeout"
    if isinstance(error, httpx.TimeoutException):
        return "deadline"
    if isinstance(error, httpx.ConnectError):
        return "refused" if _was_refused(error) else "unreachable"
    if isinstance(error, ResponseTooLarge):
        return "too_large"
    return "truncated"  # the connection broke, or brought what is not HTTP, before the answer was whole


def _was_refused(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ConnectionRefusedError):
            return True
        if isinstance(error, BaseExceptionGroup):
            return any(_was_refused(each) for each in error.exceptions)
        error = error.__cause__ or error.__context__
    return False
