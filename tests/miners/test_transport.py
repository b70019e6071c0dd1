"""One conformance suite over both transports, and what only the own one promises."""

from __future__ import annotations

import asyncio
import gzip
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest

from tasks.miners.driver import PollFailure
from tasks.miners.exchange import ask
from tasks.miners.transport import BoundedTransport, DeviceTransport, ResponseTooLarge, transport_for
from tests.miners.device import (
    Exchange,
    Script,
    SilentPort,
    always,
    answer,
    closed_port,
    device,
    drip,
    hang,
)
from tests.services import program

Make = Callable[..., httpx.AsyncBaseTransport]


def _own(**bounds: float) -> httpx.AsyncBaseTransport:
    return DeviceTransport(**bounds)  # type: ignore[arg-type]


def _stock(**bounds: float) -> httpx.AsyncBaseTransport:
    limits = httpx.Limits(max_connections=1, max_keepalive_connections=1)
    return BoundedTransport(httpx.AsyncHTTPTransport(trust_env=False, limits=limits, verify=False), **bounds)  # type: ignore[arg-type]


@pytest.fixture(params=[_own, _stock], ids=["own", "stock"])
def make(request: pytest.FixtureRequest) -> Make:
    found: Make = request.param
    return found


@pytest.fixture
async def transport(make: Make) -> AsyncIterator[httpx.AsyncBaseTransport]:
    made = make(connect_timeout_s=5.0, deadline_s=10.0, most_bytes=10_000)
    yield made
    await made.aclose()


@pytest.fixture
async def hasty(make: Make) -> AsyncIterator[httpx.AsyncBaseTransport]:
    """Its bounds are to be passed; a sound answer must not be expected of it on a busy machine."""
    made = make(connect_timeout_s=5.0, deadline_s=0.25, most_bytes=10_000)
    yield made
    await made.aclose()


def get(url: str, path: str = "/api/v1/summary", **headers: str) -> httpx.Request:
    return httpx.Request("GET", url + path, headers={k.replace("_", "-"): v for k, v in headers.items()})


WHOLE = {
    "length": (answer(b'{"a":1}'), b'{"a":1}'),
    "empty": (answer(b""), b""),
    "chunked": (
        b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{"a\r\n4;x=y\r\n":1}\r\n0\r\n\r\n',
        b'{"a":1}',
    ),
    "100 before": (b"HTTP/1.1 100 Continue\r\n\r\n" + answer(b"late"), b"late"),
    "not compressed unless asked": (
        answer(gzip.compress(b"{}", mtime=0), 200, "Content-Encoding: gzip"),
        gzip.compress(b"{}", mtime=0),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WHOLE)
async def test_whole_answers(transport: httpx.AsyncBaseTransport, case: str) -> None:
    sent, body = WHOLE[case]
    async with device(always(sent)) as box:
        for _ in range(2):
            response = await transport.handle_async_request(get(box.url))
            assert (response.status_code, await response.aread()) == (200, body)
        assert box.connections == 1, "kept alive"


@pytest.mark.parametrize("status", [301, 401, 404, 405, 500, 503])
async def test_every_status_is_an_answer(transport: httpx.AsyncBaseTransport, status: int) -> None:
    script = always(answer(b"x", status, "Location: /elsewhere", "Set-Cookie: a=b", "X-Twice: 1", "X-Twice: 2"))
    async with device(script) as box:
        for _ in range(2):
            response = await transport.handle_async_request(get(box.url))
            assert response.status_code == status
            assert response.headers.get_list("x-twice") == ["1", "2"]
        assert box.paths == ["/api/v1/summary"] * 2, "no redirect is followed"
        assert all("cookie" not in request.headers for request in box.requests)


async def test_a_body_that_ends_with_the_connection(transport: httpx.AsyncBaseTransport) -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{}")
        exchange.writer.close()

    async with device(script) as box:
        for _ in range(2):
            response = await transport.handle_async_request(get(box.url))
            assert await response.aread() == b"{}"
        assert box.connections == 2


async def test_connection_close_is_heeded(transport: httpx.AsyncBaseTransport) -> None:
    async with device(always(answer(b"{}", 200, "Connection: close"))) as box:
        for _ in range(2):
            await transport.handle_async_request(get(box.url))
        assert box.connections == 2


async def test_what_is_sent(transport: httpx.AsyncBaseTransport) -> None:
    async with device(always(answer(b"{}"))) as box:
        request = httpx.Request("POST", f"{box.url}/api/v1/unlock?x=1", json={"pw": "geheim"}, headers={"X-Own": "y"})
        await transport.handle_async_request(request)
        seen = box.requests[0]
    assert (seen.method, seen.path, seen.body) == ("POST", "/api/v1/unlock?x=1", b'{"pw":"geheim"}')
    assert seen.headers["host"] == f"127.0.0.1:{box.port}"
    assert seen.headers["x-own"] == "y"


def parts(*pieces: bytes, close: bool = False) -> Script:
    async def script(exchange: Exchange) -> None:
        for piece in pieces:
            await exchange.send(piece)
            await asyncio.sleep(0)  # lets the other side read it by itself
        if close:
            exchange.writer.close()
        else:
            await hang(exchange)

    return script


ENDLESS_CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + 8 * (b"1000\r\n" + 4096 * b"x" + b"\r\n")

FAULTS: dict[str, tuple[Script, type[httpx.TransportError], str]] = {
    "never answers": (hang, httpx.ReadTimeout, "deadline"),
    "slow drip of the body": (drip(answer(b"x" * 500)), httpx.ReadTimeout, "deadline"),
    "slow drip of the head": (drip(b"HTTP/1.1 200 OK\r\nX-Filler: " + b"x" * 500), httpx.ReadTimeout, "deadline"),
    "half an answer, then silence": (parts(answer(b"x" * 50)[:-10]), httpx.ReadTimeout, "deadline"),
    "body shorter than its length": (
        parts(answer(b"x" * 50)[:-10], close=True),
        httpx.RemoteProtocolError,
        "truncated",
    ),
    "chunks without an end": (
        parts(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", close=True),
        httpx.RemoteProtocolError,
        "truncated",
    ),
    "closes without a word": (parts(close=True), httpx.RemoteProtocolError, "truncated"),
    "half a head": (parts(b"HTTP/1.1 200 OK\r\nContent-", close=True), httpx.RemoteProtocolError, "truncated"),
    "not HTTP": (parts(b"SSH-2.0-OpenSSH_9.2\r\n", close=True), httpx.RemoteProtocolError, "truncated"),
    "too large": (parts(answer(b"x" * 10_001)), ResponseTooLarge, "too_large"),
    "too large in chunks": (parts(ENDLESS_CHUNKS), ResponseTooLarge, "too_large"),
}


@pytest.mark.parametrize("case", FAULTS)
async def test_faults(transport: httpx.AsyncBaseTransport, hasty: httpx.AsyncBaseTransport, case: str) -> None:
    script, error, kind = FAULTS[case]
    used = hasty if kind == "deadline" else transport
    async with device(script) as box:
        with pytest.raises(error):
            await used.handle_async_request(get(box.url))
        with pytest.raises(PollFailure) as failure:
            await ask(used, get(box.url))
        assert failure.value.kind == kind


@pytest.mark.parametrize("case", FAULTS)
async def test_a_fault_leaves_nothing_behind(make: Make, case: str) -> None:
    """The request after it goes over a new connection and gets its own answer."""
    script, _, kind = FAULTS[case]
    transport = make(connect_timeout_s=5.0, deadline_s=1.0 if kind == "deadline" else 10.0, most_bytes=10_000)

    async def first_only(exchange: Exchange) -> None:
        if exchange.number == 1:
            await script(exchange)
        else:
            await exchange.send(answer(b"mine"))

    async with device(first_only) as box:
        with pytest.raises(PollFailure):
            await ask(transport, get(box.url))
        response = await ask(transport, get(box.url))
        assert response.content == b"mine"
        assert box.connections == 2
    await transport.aclose()


async def test_refused(transport: httpx.AsyncBaseTransport) -> None:
    request = get(f"http://127.0.0.1:{closed_port()}")
    with pytest.raises(httpx.ConnectError):
        await transport.handle_async_request(request)
    with pytest.raises(PollFailure, match="refused"):
        await ask(transport, request)


async def test_no_answer_to_the_connection(make: Make) -> None:
    silent = SilentPort()
    hasty = make(connect_timeout_s=0.2, deadline_s=10.0)
    try:
        with pytest.raises(httpx.ConnectTimeout):
            await hasty.handle_async_request(get(f"http://127.0.0.1:{silent.port}"))
        with pytest.raises(PollFailure, match="connect_timeout"):
            await ask(hasty, get(f"http://127.0.0.1:{silent.port}"))
    finally:
        silent.close()
        await hasty.aclose()


async def test_closed_while_idle(transport: httpx.AsyncBaseTransport) -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.send(answer(b"{}"))
        exchange.writer.close()

    async with device(script) as box:
        for _ in range(3):
            assert (await ask(transport, get(box.url))).content == b"{}"
            await asyncio.sleep(0)
        assert box.connections == 3


async def test_a_byte_nobody_asked_for_ends_the_connection(transport: httpx.AsyncBaseTransport) -> None:
    async with device(always(answer(b"mine"))) as box:
        await ask(transport, get(box.url))
        box.writers[0].write(answer(b"not mine"))
        await box.writers[0].drain()
        await asyncio.sleep(0.02)  # until it has crossed the loopback
        assert (await ask(transport, get(box.url))).content == b"mine"
        assert box.connections == 2


async def test_cancelling_drops_the_socket(transport: httpx.AsyncBaseTransport) -> None:
    asked = asyncio.Event()

    async def script(exchange: Exchange) -> None:
        asked.set()
        if exchange.number > 1:
            await exchange.send(answer(b"second"))

    async with device(script) as box:
        waiting = asyncio.create_task(transport.handle_async_request(get(box.url)))
        await asked.wait()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await box.lost.wait()
        assert (await ask(transport, get(box.url))).content == b"second"


async def test_the_environments_proxy_is_not_used(
    transport: httpx.AsyncBaseTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{closed_port()}")
    async with device(always(answer(b"{}"))) as box:
        assert (await ask(transport, get(box.url))).status == 200


async def test_within_a_client(make: Make) -> None:
    """Compression is undone where it was asked for, as httpx's client does."""
    script = always(answer(gzip.compress(b'{"a":1}'), 200, "Content-Encoding: gzip"))
    async with device(script) as box, httpx.AsyncClient(transport=make(), trust_env=False) as client:
        assert (await client.get(box.url)).json() == {"a": 1}


# What only the own transport promises


async def test_a_connection_closed_under_the_request_is_tried_again_once_for_get() -> None:
    async def script(exchange: Exchange) -> None:
        if exchange.number in (1, 3):
            await exchange.send(answer(b"whole"))
        else:
            exchange.writer.transport.abort()

    own = DeviceTransport()
    async with device(script) as box:
        await own.handle_async_request(get(box.url))
        response = await ask(own, get(box.url))  # request 2 is cut off, request 3 is its repetition
        assert response.content == b"whole"
        assert [box.connections, len(box.requests)] == [2, 3]
        await own.aclose()


@pytest.mark.parametrize(("method", "first"), [("POST", b""), ("GET", b"HTTP/1.1 200 OK\r\n")])
async def test_no_repetition_of_a_post_nor_after_a_byte(method: str, first: bytes) -> None:
    async def script(exchange: Exchange) -> None:
        if exchange.number == 1:
            await exchange.send(answer(b"whole"))
            return
        await exchange.send(first)
        exchange.writer.close()

    own = DeviceTransport()
    async with device(script) as box:
        await own.handle_async_request(get(box.url))
        with pytest.raises(httpx.RemoteProtocolError):
            await own.handle_async_request(httpx.Request(method, box.url))
        assert len(box.requests) == 2
        await own.aclose()


async def test_requests_at_once_go_one_after_the_other() -> None:
    async with device(always(answer(b"{}"))) as box:
        own = DeviceTransport()
        await asyncio.gather(*(own.handle_async_request(get(box.url)) for _ in range(5)))
        assert (box.connections, len(box.requests)) == (1, 5)
        await own.aclose()


@pytest.mark.parametrize("cut", range(1, len(WHOLE["chunked"][0]), 7))
async def test_any_split_of_the_bytes(cut: int) -> None:
    sent, body = WHOLE["chunked"]
    own = DeviceTransport()
    async with device(parts(sent[:cut], sent[cut:])) as box:
        assert (await ask(own, get(box.url))).content == body
        await own.aclose()


@pytest.mark.parametrize(("method", "url"), [("GET", "https://127.0.0.1"), ("HEAD", "http://127.0.0.1")])
async def test_what_it_does_not_speak(method: str, url: str) -> None:
    with pytest.raises(httpx.UnsupportedProtocol):
        await DeviceTransport().handle_async_request(httpx.Request(method, url))


async def test_https_is_verified(tmp_path: Path) -> None:
    """A certificate that nobody vouches for is refused before anything is sent."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subject = ["-subj", "/CN=miner", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    command = [program("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject, *files]
    await asyncio.to_thread(subprocess.run, command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    async with device(always(answer(b"{}")), context) as box:
        own = transport_for(httpx.URL(box.url), connect_timeout_s=5.0, deadline_s=10.0)
        with pytest.raises(PollFailure, match=r"unreachable.*certificate verify failed"):
            await ask(own, get(box.url))
        assert box.requests == []
        await own.aclose()

        knows_it = ssl.create_default_context(cafile=certificate)
        limits = httpx.Limits(max_connections=1)
        trusting = BoundedTransport(httpx.AsyncHTTPTransport(verify=knows_it, trust_env=False, limits=limits))
        assert (await ask(trusting, get(box.url))).content == b"{}"
        await trusting.aclose()


def test_https_goes_through_the_stock_transport() -> None:
    assert isinstance(transport_for(httpx.URL("http://127.0.0.1"), connect_timeout_s=1, deadline_s=3), DeviceTransport)
    assert isinstance(
        transport_for(httpx.URL("https://127.0.0.1"), connect_timeout_s=1, deadline_s=3), BoundedTransport
    )
