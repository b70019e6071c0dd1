"""One request and its whole answer; every failure on the way becomes a :class:`PollFailure`."""

from __future__ import annotations

from typing import NamedTuple, cast

import httpx

from tasks.miners.bounds import ResponseTooLarge
from tasks.miners.driver import FailureKind, PollFailure


class Answer(NamedTuple):
    """Status, body and header, the body as it came: drivers never ask for compression."""

    status: int
    content: bytes
    headers: httpx.Headers


async def ask(transport: httpx.AsyncBaseTransport, request: httpx.Request) -> Answer:
    """Send ``request`` and read the whole answer, whatever its status.

    The stream is read here and not by ``Response.aread``, which costs as much again as all the rest of a request.

    Raises:
        PollFailure: no whole answer came.
    """
    try:
        response = await transport.handle_async_request(request)
        stream = cast("httpx.AsyncByteStream", response.stream)
        parts = [part async for part in stream]
    except httpx.HTTPError as error:
        raise PollFailure(kind_of(error), f"{request.method} {request.url.path}: {error}") from error
    return Answer(response.status_code, parts[0] if len(parts) == 1 else b"".join(parts), response.headers)


def body_of(answer: Answer, path: str) -> bytes:
    """The body of a 200.

    Raises:
        PollFailure: ``auth`` for 401 and 403, ``http_status`` for every other status.
    """
    if answer.status == httpx.codes.OK:
        return answer.content
    kind: FailureKind = "auth" if answer.status in (401, 403) else "http_status"
    raise PollFailure(
        kind, f"{path} answered {answer.status}", asked_for_less=answer.status == httpx.codes.TOO_MANY_REQUESTS
    )


def kind_of(error: httpx.HTTPError) -> FailureKind:
    """What an error of a transport is called."""
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
