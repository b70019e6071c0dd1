import os
import stat

import httpx
import pytest
from pydantic import SecretStr
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send

from deployments.page import access
from storage.errors import NeedsHuman

PASSWORD = SecretStr("correct horse")


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.5.0.9"])
def test_loopback_needs_no_password(host):
    access.require_password(host, None)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "farm.example", ""])
@pytest.mark.parametrize("password", [None, SecretStr(""), SecretStr("  ")])
def test_anything_else_does(host, password):
    with pytest.raises(NeedsHuman, match="LODELINE_PAGE__PASSWORD"):
        access.require_password(host, password)
    access.require_password(host, PASSWORD)


def test_the_secret_is_made_once_and_for_its_owner_only(tmp_path):
    path = tmp_path / "data" / "page.secret"
    umask = os.umask(0)
    try:
        secret = access.session_secret(path)
    finally:
        os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(secret) == 32
    assert access.session_secret(path) == secret
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(("content", "mode", "words"), [(b"x" * 32, 0o644, "mode 644"), (b"short", 0o600, "too short")])
def test_a_bad_secret_is_refused(tmp_path, content, mode, words):
    path = tmp_path / "page.secret"
    path.write_bytes(content)
    path.chmod(mode)
    with pytest.raises(NeedsHuman, match=words):
        access.session_secret(path)


def test_sessions():
    clock = Clock()
    sessions = access.Sessions(b"s" * 32, PASSWORD, clock)
    cookie = sessions.issue()
    assert sessions.admits(cookie)
    expiry, signature = cookie.split(".")
    for forged in (None, "", ".", "x.y", cookie[:-1], f"{int(expiry) + 1}.{signature}", f"{expiry}.é", "\udcff.\udcff"):
        assert not sessions.admits(forged)
    assert not access.Sessions(b"s" * 32, SecretStr("changed"), clock).admits(cookie)
    assert not access.Sessions(b"t" * 32, PASSWORD, clock).admits(cookie)
    clock.now += access.SESSION_S
    assert not sessions.admits(cookie)


def test_the_password_is_compared_whole():
    sessions = access.Sessions(b"s" * 32, PASSWORD)
    assert sessions.password_is("correct horse")
    for wrong in ("", "correct horse ", "correct hors", "Correct horse", "\udcff"):
        assert not sessions.password_is(wrong)


def test_guessing_gets_slower_and_only_for_who_guesses():
    clock = Clock()
    guesses = access.Guesses(clock)
    waits = []
    for _ in range(9):
        guesses.wrong("10.0.0.1")
        waits.append(guesses.wait_s("10.0.0.1"))
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert guesses.wait_s("10.0.0.2") == 0
    guesses.right("10.0.0.1")
    assert guesses.wait_s("10.0.0.1") == 0
    for number in range(5000):
        guesses.wrong(f"10.1.{number // 256}.{number % 256}")
    assert len(guesses._wait_of) == 1024


class Site:
    """A page behind the door, and what it let through."""

    def __init__(self, sessions: access.Sessions | None, host: str = "127.0.0.1") -> None:
        self.door = access.Door(self._page, sessions, host)
        self.sockets = 0

    async def _page(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            self.sockets += 1
        else:
            await PlainTextResponse("numbers")(scope, receive, send)

    async def get(self, path: str = "/", **headers: str) -> httpx.Response:
        transport = httpx.ASGITransport(app=self.door)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.get(path, headers=headers)

    async def socket(self, cookie: str = "") -> list[str]:
        """Messages that a browser sees which opens a websocket."""
        sent: list[str] = []

        async def receive() -> Message:
            return {"type": "websocket.connect"}

        async def send(message: Message) -> None:
            sent.append(message["type"])

        headers = [(b"host", b"localhost"), (b"cookie", cookie.encode())]
        scope = {
            "type": "websocket",
            "path": "/ws",
            "query_string": b"",
            "headers": headers,
            "server": ("localhost", 80),
        }
        await self.door(scope, receive, send)
        return sent


@pytest.mark.parametrize("name", ["localhost:8080", "127.0.0.1:8080", "[::1]:8080", "[::1]", "localhost"])
async def test_without_a_password_the_door_opens_to_this_machines_names(name):
    assert (await Site(None).get(host=name)).text == "numbers"


@pytest.mark.parametrize("name", ["evil.example:8080", "127.0.0.1.evil.example", "localhost.evil.example:80", ""])
async def test_and_to_no_other(name):
    assert (await Site(None).get(host=name)).status_code == 421


async def test_the_door_with_a_password():
    sessions = access.Sessions(b"s" * 32, PASSWORD)
    site = Site(sessions)
    sent = await site.get(accept="text/html")
    assert (sent.status_code, sent.headers["location"]) == (303, "/login")
    assert (await site.get(accept="application/json")).status_code == 401
    assert (await site.get("/login")).status_code == 200
    assert await site.socket() == ["websocket.close"]
    assert site.sockets == 0
    cookie = f"{access.COOKIE}={sessions.issue()}"
    assert (await site.get(cookie=cookie)).text == "numbers"
    assert await site.socket(cookie) == []
    assert site.sockets == 1
