"""One WAMP session over a WebSocket, by autobahn: joined, or the reason why not; lost, or the reason why.

Not autobahn's own runners: they take loop, signals and logging, and retry a wrong secret for ever.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import txaio

txaio.use_asyncio()  # type: ignore[no-untyped-call]  # before autobahn is imported, which picks Twisted where that is installed

from autobahn.asyncio.wamp import ApplicationSession  # noqa: E402
from autobahn.asyncio.websocket import WampWebSocketClientFactory  # noqa: E402
from autobahn.wamp import auth  # noqa: E402
from autobahn.wamp.exception import ApplicationError, TransportLost  # noqa: E402
from autobahn.wamp.serializer import JsonSerializer  # noqa: E402
from autobahn.wamp.types import CallResult  # noqa: E402

from tasks.pools.prohashing.settings import ProhashingWampSettings  # noqa: E402
from tasks.pools.prohashing.timing import Timing  # noqa: E402
from tasks.sources.failure import SourceFailureKind  # noqa: E402

MOST_BYTES = 8 << 20
"""Longest message that is taken."""

_REFUSALS = frozenset({
    "wamp.error.not_authorized", "wamp.error.authorization_failed", "wamp.error.authentication_failed",
    "wamp.error.no_such_realm", "wamp.error.no_such_role", "wamp.error.no_such_principal", "wamp.error.no_auth_method",
    "wamp.error.no_matching_auth_method", "wamp.error.authentication_required", "wamp.error.cannot_authenticate",
    "wamp.error.authentication_denied",
})  # fmt: skip

# What autobahn says by itself, at every loss and with tracebacks of what a router sent, is told here once, in words.
for _name in ("autobahn", "txaio", f"{__name__}.Inner"):
    logging.getLogger(_name).setLevel(logging.CRITICAL + 1)


class CallFailed(Exception):
    """The router or the procedure answered with an error, and the session lives. ``refused``: it may not be had."""

    def __init__(self, reason: str, *, refused: bool) -> None:
        super().__init__(reason)
        self.refused = refused


class Lost(Exception):
    """No session, or no longer: worth another try soon."""

    kind = SourceFailureKind.UNREACHABLE


class TimedOut(Lost):
    """Nothing came in time."""

    kind = SourceFailureKind.TIMEOUT


class Rejected(Lost):
    """The router does not let us in, or is not who it should be: no try helps until somebody acts."""

    kind = SourceFailureKind.REFUSED


def loss_of(error: BaseException) -> Lost:
    """What an error of a call or subscription means for the session."""
    if isinstance(error, Lost):
        return error
    if isinstance(error, ApplicationError):
        kind = Rejected if error.error in _REFUSALS else Lost
        return kind(str(error.error))
    if isinstance(error, TimeoutError):
        return TimedOut("no answer in time")
    return Lost(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)


class Session:
    """A joined session. ``over`` is done when it is lost, with a :class:`Lost` as its result."""

    def __init__(self, inner: Any, over: asyncio.Future[Lost], timing: Timing) -> None:
        self.over = over
        self._inner = inner
        self._timing = timing

    async def subscribe(self, topic: str, hear: Callable[[Any], None]) -> None:
        """Let ``hear`` have the payload of every event of ``topic``. Raises Lost, or CallFailed."""

        def on_event(*positional: Any, **named: Any) -> None:
            hear(positional[0] if positional else named)

        await self._answered(lambda: self._inner.subscribe(on_event, topic))

    async def call(self, procedure: str, arguments: Sequence[str]) -> Any:
        """What ``procedure`` answers, the first of several values. Raises Lost, or CallFailed."""
        try:
            answer = await self._answered(lambda: self._inner.call(procedure, *arguments))
        except TimedOut as error:  # whoever answers it hangs; of the router itself the heartbeat tells
            raise CallFailed(str(error), refused=False) from error
        if isinstance(answer, CallResult):  # several values, or named ones
            return answer.results[0] if answer.results else answer.kwresults
        return answer

    async def _answered(self, ask: Callable[[], asyncio.Future[Any]]) -> Any:
        try:
            future = ask()  # where there is no transport any more it raises at once
            await asyncio.wait({future, self.over}, timeout=self._timing.answer_s, return_when=asyncio.FIRST_COMPLETED)
            if future.done():
                return future.result()
        except TransportLost as error:
            raise loss_of(error) from error
        except ApplicationError as error:
            if self.over.done():
                raise loss_of(error) from error
            raise CallFailed(str(error.error), refused=error.error in _REFUSALS) from error
        future.cancel()  # autobahn tells the router, and drops an answer that comes after all
        if self.over.done():
            raise self.over.result()
        raise TimedOut(f"no answer within {self._timing.answer_s:g} s")


@asynccontextmanager
async def joined(settings: ProhashingWampSettings, timing: Timing) -> AsyncIterator[Session]:
    """A session while the block runs.

    Raises:
        Lost: it could not be had. What happens to it later is told by ``over``.
    """
    loop = asyncio.get_running_loop()
    over: asyncio.Future[Lost] = loop.create_future()
    ready: asyncio.Future[None] = loop.create_future()

    def end(loss: Lost) -> None:
        if not over.done():
            over.set_result(loss)

    class Inner(ApplicationSession):
        def onConnect(self) -> None:  # noqa: N802
            self.join(settings.realm, [settings.auth], settings.auth_id)

        def onChallenge(self, challenge: Any) -> str:  # noqa: N802
            assert settings.auth_secret is not None  # noqa: S101  # the settings saw to it
            secret = settings.auth_secret.get_secret_value()
            if settings.auth == "ticket":
                return secret
            key: str | bytes = secret
            if "salt" in challenge.extra:
                extra = challenge.extra
                key = auth.derive_key(secret, extra["salt"], extra["iterations"], extra["keylen"])
            return str(auth.compute_wcs(key, challenge.extra["challenge"]).decode("ascii"))

        def onJoin(self, _details: Any) -> None:  # noqa: N802
            if not ready.done():
                ready.set_result(None)

        def onLeave(self, details: Any) -> None:  # noqa: N802
            kind = Rejected if details.reason in _REFUSALS else Lost
            end(kind(str(details.reason)))
            super().onLeave(details)

        def onUserError(self, fail: Any, msg: str) -> None:  # noqa: N802
            end(Lost(f"{type(fail.value).__name__} {msg[0].lower()}{msg[1:]}"))

    protocol = await _connected(settings, timing, Inner)
    protocol.is_closed.add_done_callback(
        lambda _: end(Lost(f"the connection ended: {protocol.wasNotCleanReason or 'closed by the router'}"))
    )
    try:
        waiting: set[asyncio.Future[Any]] = {ready, over}
        await asyncio.wait(waiting, timeout=timing.join_s, return_when=asyncio.FIRST_COMPLETED)
        if over.done():
            raise over.result()
        if not ready.done():
            raise TimedOut(f"not joined within {timing.join_s:g} s")
        session = protocol._session
        if session is None:
            raise Lost("the connection ended while joining")
        yield Session(session, over, timing)
    finally:
        transport = protocol.transport
        if transport is not None:
            transport.abort()


async def _connected(settings: ProhashingWampSettings, timing: Timing, make: Callable[[], Any]) -> Any:
    loop = asyncio.get_running_loop()
    make_factory: Any = WampWebSocketClientFactory  # autobahn is untyped
    serializer: Any = JsonSerializer
    factory = make_factory(make, url=settings.url, serializers=[serializer()], loop=loop)
    factory.setProtocolOptions(
        openHandshakeTimeout=timing.join_s, closeHandshakeTimeout=1, tcpNoDelay=True,
        autoPingInterval=timing.heartbeat_s, autoPingTimeout=timing.pong_s, autoPingSize=12,
        maxMessagePayloadSize=MOST_BYTES, maxFramePayloadSize=MOST_BYTES,
    )  # fmt: skip
    parts = urlsplit(settings.url)
    secure = parts.scheme == "wss"
    try:
        trusted = await asyncio.to_thread(_trusting, settings.ca_file) if secure else None
        async with asyncio.timeout(timing.join_s):
            _, protocol = await loop.create_connection(
                factory, parts.hostname or "", parts.port or (443 if secure else 80), ssl=trusted
            )
    except ssl.SSLCertVerificationError as error:
        raise Rejected(f"the router's certificate is not trusted: {error.verify_message}") from error
    except TimeoutError as error:
        raise TimedOut(f"not connected within {timing.join_s:g} s") from error
    except OSError as error:
        raise Lost(str(error)) from error
    return protocol


def _trusting(ca_file: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    except (OSError, ssl.SSLError) as error:
        raise Rejected(f"ca_file {ca_file} cannot be read: {error}") from error
