"""The door of the page: who may look, and how that is known.

Without a password only this machine may look: the page is bound to loopback and answers only requests that name it, so
that no foreign web site can read it through the visitor's browser (DNS rebinding). With a password a visitor logs in
once; the session is a signed expiry time in a cookie that other sites cannot send.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import html
import os
import secrets
import time
from collections.abc import Callable, Container
from pathlib import Path

from fastapi import Request
from fastapi.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from pydantic import SecretStr
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from storage.errors import NeedsHuman
from storage.loopback import is_loopback

COOKIE = "lodeline_session"
SESSION_S = 12 * 3600
_SECRET_BYTES = 32
_FIRST_WAIT_S = 1.0
_LONGEST_WAIT_S = 60.0
_REMEMBERED = 1024


def require_password(host: str, password: SecretStr | None) -> None:
    """Refuse an open door.

    Raises:
        NeedsHuman: ``host`` is more than loopback and there is no password.
    """
    if not is_loopback(host) and (password is None or not password.get_secret_value().strip()):
        raise NeedsHuman(
            f"the page would be open to everybody who reaches {host}",
            remedy="Set LODELINE_PAGE__PASSWORD, or bind it to 127.0.0.1",
        )


def session_secret(path: Path) -> bytes:
    """The secret that signs sessions, made at first use in a file that only its owner may read.

    Raises:
        NeedsHuman: the file is readable by others, too short, or cannot be read or made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        if not path.exists():
            draft.unlink(missing_ok=True)
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(secrets.token_bytes(_SECRET_BYTES))
            try:
                os.link(draft, path)  # another page may have been first: then its secret counts
            except FileExistsError:
                pass
            finally:
                draft.unlink()
        mode = path.stat().st_mode & 0o777
        secret = path.read_bytes()
    except OSError as error:
        raise NeedsHuman(
            f"the page's session secret {path}: {error.strerror}", remedy="Make the data directory writable"
        ) from error
    if mode & 0o077:
        raise NeedsHuman(
            f"the page's session secret {path} has mode {mode:o}: others can read it and forge sessions",
            remedy="Delete the file: a new one is made, and everybody logs in again",
        )
    if len(secret) < _SECRET_BYTES:
        raise NeedsHuman(f"the page's session secret {path} is too short", remedy="Delete the file: a new one is made")
    return secret


class Sessions:
    """Signs and checks session cookies. A changed password ends all sessions, since it is part of the key."""

    def __init__(self, secret: bytes, password: SecretStr, clock: Callable[[], float] = time.time) -> None:
        self._password = password.get_secret_value().encode()
        self._key = hmac.digest(secret, self._password, hashlib.sha256)
        self._clock = clock

    def password_is(self, offered: str) -> bool:
        """Compare in constant time; digests, so that not even the length shows."""
        return hmac.compare_digest(
            hashlib.sha256(offered.encode("utf-8", "surrogatepass")).digest(), hashlib.sha256(self._password).digest()
        )

    def issue(self) -> str:
        """A cookie's value: expiry time and signature."""
        expiry = str(int(self._clock()) + SESSION_S)
        return f"{expiry}.{self._signature(expiry)}"

    def admits(self, cookie: str | None) -> bool:
        """Whether ``cookie`` was issued here and has not expired."""
        expiry, _, signature = (cookie or "").partition(".")
        if not hmac.compare_digest(self._signature(expiry).encode(), signature.encode("utf-8", "surrogatepass")):
            return False
        return int(expiry) > self._clock()

    def _signature(self, expiry: str) -> str:
        return hmac.new(self._key, expiry.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


class Door:
    """ASGI middleware around the whole page, its websocket included."""

    def __init__(
        self,
        app: ASGIApp,
        sessions: Sessions | None,
        host: str,
        *,
        open_paths: Container[str] = (),
        basic_paths: Container[str] = (),
        guesses: Guesses | None = None,
    ) -> None:
        """``open_paths`` are for everybody, ``basic_paths`` also for who sends the password as HTTP Basic."""
        self._app = app
        self._sessions = sessions
        self._host = host
        self._open_paths = open_paths
        self._basic_paths = basic_paths
        self._guesses = guesses or Guesses()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let in, send to the login, or refuse."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if refusal is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": "log in first"})
        else:
            await refusal(scope, receive, send)

    def _refusal(self, scope: Scope) -> Response | None:
        if self._sessions is None:
            named = Headers(scope=scope).get("host", "")
            if not named.endswith("]"):
                named = named.rpartition(":")[0] or named
            if is_loopback(named) or named == self._host:
                return None
            return PlainTextResponse("This page answers only requests to localhost.\n", status_code=421)
        connection = HTTPConnection(scope)
        path = connection.url.path
        if path == "/login" or path in self._open_paths or self._sessions.admits(connection.cookies.get(COOKIE)):
            return None
        if path in self._basic_paths:
            return self._basic_refusal(self._sessions, connection)
        if scope["type"] == "http" and scope["method"] == "GET" and "text/html" in connection.headers.get("accept", ""):
            return RedirectResponse("/login", status_code=303)
        return PlainTextResponse("Log in first.\n", status_code=401)

    def _basic_refusal(self, sessions: Sessions, connection: HTTPConnection) -> Response | None:
        """Whether the password came as HTTP Basic (RFC 7617), whatever the user name; guessing is slowed down."""
        address = connection.client.host if connection.client else ""
        scheme, _, offered = connection.headers.get("authorization", "").partition(" ")
        wait = self._guesses.wait_s(address)
        if wait > 0:
            return PlainTextResponse("Too many wrong passwords.\n", 429, {"Retry-After": f"{wait:.0f}"})
        if scheme.lower() == "basic":
            try:
                password = base64.b64decode(offered, validate=True).decode().partition(":")[2]
            except ValueError:
                password = ""
            if sessions.password_is(password):
                self._guesses.right(address)
                return None
            self._guesses.wrong(address)
        return PlainTextResponse("The password is needed.\n", 401, {"WWW-Authenticate": 'Basic realm="Lodeline"'})


class Guesses:
    """Slows down guessing: after each wrong password an address waits twice as long, up to a minute."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._wait_of: dict[str, tuple[float, float]] = {}

    def wait_s(self, address: str) -> float:
        """Seconds until ``address`` may try again."""
        until, _ = self._wait_of.get(address, (0.0, 0.0))
        return max(until - self._clock(), 0.0)

    def wrong(self, address: str) -> None:
        """Note a wrong password."""
        _, wait = self._wait_of.pop(address, (0.0, _FIRST_WAIT_S / 2))
        wait = min(wait * 2, _LONGEST_WAIT_S)
        self._wait_of[address] = (self._clock() + wait, wait)
        while len(self._wait_of) > _REMEMBERED:
            del self._wait_of[next(iter(self._wait_of))]

    def right(self, address: str) -> None:
        """Forget the wrong ones."""
        self._wait_of.pop(address, None)


def login_form(message: str = "", status: int = 200) -> HTMLResponse:
    """The login page: plain HTML, nothing to load."""
    return HTMLResponse(_FORM.replace("MESSAGE", html.escape(message)), status_code=status)


async def log_in(request: Request, sessions: Sessions, guesses: Guesses) -> Response:
    """Answer a posted login form."""
    address = request.client.host if request.client else ""
    wait = guesses.wait_s(address)
    if wait > 0:
        refused = login_form(f"Too many wrong passwords: try again in {wait:.0f} s.", 429)
        refused.headers["Retry-After"] = f"{wait:.0f}"
        return refused
    offered = (await request.form()).get("password")
    if not isinstance(offered, str) or not sessions.password_is(offered):
        guesses.wrong(address)
        return login_form("That is not the password.", 401)
    guesses.right(address)
    answer = RedirectResponse("/", status_code=303)
    answer.set_cookie(
        COOKIE,
        sessions.issue(),
        max_age=SESSION_S,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return answer


def log_out() -> Response:
    """Forget the session."""
    answer = RedirectResponse("/login", status_code=303)
    answer.delete_cookie(COOKIE)
    return answer


_FORM = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Lodeline</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<style>
 body { font: 15px/1.5 system-ui, sans-serif; display: grid; place-items: center; min-height: 90vh; margin: 0 }
 form { width: min(20rem, 88vw); display: grid; gap: .7rem }
 h1 { font-size: 1.2rem; margin: 0 } p { margin: 0; min-height: 1.5em; color: #c2410c }
 input, button { font: inherit; padding: .5rem .7rem; border-radius: .4rem; border: 1px solid #8886 }
 button { background: #0f766e; color: #fff; border: 0; cursor: pointer }
</style></head><body>
<form method="post" action="/login"><h1>Lodeline</h1>
<input type="password" name="password" aria-label="Password" placeholder="Password" autofocus required
 autocomplete="current-password"><button>Log in</button><p role="alert">MESSAGE</p></form></body></html>"""
