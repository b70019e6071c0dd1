"""A service over HTTP: what counts as an answer, what as which failure, what is tried again, and no secret anywhere."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from email.utils import formatdate
from pathlib import Path
from random import Random

import httpx
import pytest
from pydantic import SecretStr

from tasks.resilience.backoff import Backoff
from tasks.resilience.http import TRIES, Api
from tasks.sources.failure import SourceFailure, SourceFailureKind
from tasks.sources.pace import HostPace

KEY = "k3y-of-the-account"
NOW = 1_800_000_000.0
HTML = "<!DOCTYPE html><html><body>down for maintenance</body></html>"

Handler = Callable[[httpx.Request], httpx.Response]


def api(handler: Handler, **more: object) -> Api:
    return Api(
        "somepool",
        "https://pool.example/api",
        headers={"x-key": SecretStr(KEY)},
        transport=httpx.MockTransport(handler),
        backoff=Backoff(first_s=0.0, cap_s=0.0),
        random=Random(1),
        clock=lambda: NOW,
        **more,  # type: ignore[arg-type]
    )


async def failure_of(handler: Handler) -> SourceFailure:
    with pytest.raises(SourceFailure) as caught:
        await api(handler).get("/status")
    return caught.value


async def test_an_answer_is_whole_and_has_its_time_and_address() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.headers["x-key"] == KEY
        assert dict(request.url.params) == {"ids": "bitcoin,litecoin", "sparkline": "false", "api_key": KEY}
        return httpx.Response(200, json={"bitcoin": {"usd": 1}})

    reply = await api(answer).get("/price", {"ids": "bitcoin,litecoin", "sparkline": False, "api_key": SecretStr(KEY)})
    assert reply.data == {"bitcoin": {"usd": 1}}
    assert (reply.received_ms, reply.tries, reply.status) == (1_800_000_000_000, 1, 200)
    assert reply.address.startswith("https://pool.example/api/price?ids=bitcoin%2Clitecoin")
    assert KEY not in reply.address


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, HTML, SourceFailureKind.NOT_JSON),
        (200, "", SourceFailureKind.NOT_JSON),
        (200, '{"price": NaN}', SourceFailureKind.NOT_JSON),
        (200, '{"cut": ', SourceFailureKind.NOT_JSON),
        (200, b"\xff\xfe\x00", SourceFailureKind.NOT_JSON),
        (401, '{"error": "no key"}', SourceFailureKind.REFUSED),
        (403, HTML, SourceFailureKind.REFUSED),
        (429, HTML, SourceFailureKind.RATE_LIMITED),
        (410, "", SourceFailureKind.GONE),
        (404, "{}", SourceFailureKind.UNEXPECTED),
        (301, "", SourceFailureKind.UNEXPECTED),
        (500, HTML, SourceFailureKind.NOT_JSON),
        (500, "", SourceFailureKind.SERVER_ERROR),
        (503, "{}", SourceFailureKind.SERVER_ERROR),
    ],
)
async def test_a_failure_is_named_for_what_follows(status: int, body: str | bytes, kind: SourceFailureKind) -> None:
    failure = await failure_of(lambda _: httpx.Response(status, content=body))
    assert failure.kind is kind
    assert "somepool: GET https://pool.example/api/status" in str(failure)


@pytest.mark.parametrize(
    ("said", "wait"),
    [
        ("119", 119.0),
        (formatdate(NOW + 60, usegmt=True), 60.0),
        (formatdate(NOW - 60, usegmt=True), None),
        ("soon", None),
        ("", None),
    ],
)
async def test_the_wait_asked_for_is_told(said: str, wait: float | None) -> None:
    failure = await failure_of(lambda _: httpx.Response(429, headers={"retry-after": said}))
    assert failure.retry_after_s == wait


@pytest.mark.parametrize(("status", "tries"), [(503, TRIES), (401, 1), (429, 1), (404, 1), (200, 1)])
async def test_only_what_may_pass_is_tried_again(status: int, tries: int) -> None:
    seen = 0

    def answer(_: httpx.Request) -> httpx.Response:
        nonlocal seen
        seen += 1
        return httpx.Response(status, content=HTML)

    await failure_of(answer)
    assert seen == tries


async def test_a_failure_that_passes_costs_a_try_and_its_pace() -> None:
    left = [httpx.Response(502), httpx.Response(200, json=[1])]
    waits = 0

    class Counting:
        async def wait(self) -> None:
            nonlocal waits
            waits += 1

        def close_for(self, seconds: float) -> None:
            raise AssertionError

    reply = await api(lambda _: left.pop(0), pace=Counting()).get("")
    assert (reply.data, reply.tries, waits) == ([1], 2, 2)


@pytest.mark.parametrize(("said", "wait"), [({"retry-after": "40"}, 40), ({}, 60)])
async def test_who_is_told_to_slow_down_slows_down_all_that_share_the_pace(
    tmp_path: Path, said: dict[str, str], wait: int
) -> None:
    """A pool counts requests by address: its other accounts of this host would only be told the same."""

    def pace() -> HostPace:
        return HostPace(tmp_path, "somepool", per_minute=6_000, burst=100, clock=lambda: NOW)

    with pytest.raises(SourceFailure):
        await api(lambda _: httpx.Response(429, headers=said), pace=pace()).get("")
    assert pace().take() == wait


async def test_a_long_wait_is_not_slept_here() -> None:
    failure = await failure_of(lambda _: httpx.Response(503, headers={"retry-after": "3600"}))
    assert failure.retry_after_s == 3600  # and the test is over: it did not sleep


async def test_statuses_whose_body_is_an_answer() -> None:
    body = {"code": 5003, "message": "no such worker"}
    reply = await api(lambda _: httpx.Response(400, json=body), taken=(400,)).get("/worker")
    assert (reply.status, reply.data) == (400, body)


async def test_a_redirect_is_not_followed_with_the_key() -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.host)
        return httpx.Response(302, headers={"location": f"https://elsewhere.example/?key={KEY}"})

    with pytest.raises(SourceFailure, match=r"status 302 to elsewhere\.example, which is not followed") as caught:
        await api(answer).get("/status")
    assert KEY not in str(caught.value)
    assert asked == ["pool.example"]


@pytest.mark.parametrize("status", [200, 401, 500])
async def test_no_secret_is_shown(status: int) -> None:
    """A service that echoes the key, and an address that holds it."""

    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(status, text=f"<p>the key {KEY} is wrong</p>")

    with pytest.raises(SourceFailure) as caught:
        await api(answer).get("/wallet", {"apiKey": SecretStr(KEY)})
    assert KEY not in str(caught.value)

    async def connect(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError(f"cannot reach https://pool.example/?apiKey={KEY}")

    with pytest.raises(SourceFailure) as caught:
        await api(connect).get("/wallet", {"apiKey": SecretStr(KEY)})  # type: ignore[arg-type]
    assert caught.value.kind is SourceFailureKind.UNREACHABLE
    assert KEY not in str(caught.value)


async def test_what_is_kept_of_an_answer_has_its_secrets_masked() -> None:
    reply = await api(lambda _: httpx.Response(200, json={"key": KEY, "hashrate": 5})).get("/")
    assert KEY not in reply.text
    assert json.loads(reply.text)["hashrate"] == 5


@asynccontextmanager
async def serve(answer: Callable[[asyncio.StreamWriter], object]) -> AsyncIterator[int]:
    """A server on the port given, and at the end the wait for all who still talk: they own sockets."""
    talks: set[asyncio.Task[None] | None] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talks.add(asyncio.current_task())
        with suppress(ConnectionError):  # the client may have seen enough
            await reader.readuntil(b"\r\n\r\n")
            answer(writer)
            await writer.drain()
            if answer is hang:
                await reader.read()
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]
    await asyncio.gather(*(task for task in talks if task is not None))


def hang(writer: asyncio.StreamWriter) -> None:
    """A header, a byte, and nothing more: httpx's own time-outs are per read and would be satisfied by a drip."""
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{")


def cut(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{}")


def endless(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n" + b" " * 20_000)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (hang, SourceFailureKind.TIMEOUT),
        (cut, SourceFailureKind.UNREACHABLE),
        (endless, SourceFailureKind.UNEXPECTED),
    ],
)
async def test_a_server_that_misbehaves(
    answer: Callable[[asyncio.StreamWriter], object], kind: SourceFailureKind
) -> None:
    async with serve(answer) as port:
        client = Api(
            "loopback", f"http://127.0.0.1:{port}", deadline_s=0.3, most_bytes=10_000, backoff=Backoff(0.0, 0.0)
        )
        with pytest.raises(SourceFailure) as caught:
            await client.get("/")
        await client.aclose()
    assert caught.value.kind is kind


async def test_nobody_listens() -> None:
    async with serve(cut) as port:
        pass
    client = Api("loopback", f"http://127.0.0.1:{port}", backoff=Backoff(0.0, 0.0))
    with pytest.raises(SourceFailure) as caught:
        await client.get("/")
    await client.aclose()
    assert caught.value.kind is SourceFailureKind.UNREACHABLE


async def test_certificates_that_cannot_be_read_cost_this_service_alone(tmp_path: Path) -> None:
    """No error when it is opened, which would leave all others of its lane unopened; a clear one at each request."""
    client = Api("loopback", "https://127.0.0.1", ca_file=tmp_path / "none.pem")
    for _ in range(2):
        with pytest.raises(SourceFailure, match=r"loopback: ca_file .* cannot be read") as caught:
            await client.get("/")
        assert caught.value.kind is SourceFailureKind.REFUSED
    await client.aclose()
