"""Requests below the SDK, to a server that does one thing wrong: slow lines, answers byte by byte, waits asked for."""

from __future__ import annotations

import contextlib
import email.utils
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pydantic import SecretStr

from storage.errors import TryAgain
from tasks.abacus import sdk as sending
from tasks.abacus.connection import Abacus
from tasks.abacus.sdk import Endpoints
from tests.abacus.conftest import KEY, settings

Answer = Callable[[socket.socket], None]
OK = json.dumps({"success": True, "result": []}).encode()


@contextlib.contextmanager
def serving(*answers: Answer) -> Iterator[tuple[str, list[int]]]:
    """The address of a server that gives each request its answer, and how many connections came to it."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        connections = [0]

        def serve() -> None:
            left = list(answers)
            while left:
                with listening.accept()[0] as connection:
                    connections[0] += 1
                    with contextlib.suppress(ConnectionError):
                        while left and connection.recv(1, socket.MSG_PEEK):
                            left.pop(0)(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", connections
        thread.join(10)


def request_of(connection: socket.socket) -> bytes:
    """Head and body of one request."""
    content = b""
    while b"\r\n\r\n" not in content:
        content += _received(connection)
    head, _, body = content.partition(b"\r\n\r\n")
    length = next((int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0)
    size = len(body)
    while size < length:
        size += len(_received(connection))
    return head


def _received(connection: socket.socket) -> bytes:
    content = connection.recv(1 << 20)
    if not content:
        raise ConnectionError("the client gave up")
    return content


def answer(status: str, content: bytes = OK, *headers: str) -> Answer:
    def say(connection: socket.socket) -> None:
        request_of(connection)
        head = "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {len(content)}", *headers])
        connection.sendall(head.encode() + b"\r\n\r\n" + content)

    return say


def connect(url: str, slept: list[float] | None = None, **ingestion: object) -> Abacus:
    waits = [] if slept is None else slept
    endpoints = Endpoints(url, url, url)
    return Abacus(SecretStr(KEY), endpoints, settings(url, **ingestion).data_ingestion, sleep=waits.append)


def test_an_answer_that_comes_byte_by_byte_ends(monkeypatch):
    """Each byte comes within the time-out of one read; all of them would take ten seconds."""
    ended = threading.Event()

    def drip(connection: socket.socket) -> None:
        request_of(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n")
        with contextlib.suppress(OSError):
            while not ended.wait(0.05):
                connection.sendall(b" ")

    with serving(drip) as (url, _):
        abacus = connect(url, timeout_seconds=0.3, max_retries=0)
        started = time.monotonic()
        with pytest.raises(TryAgain, match=r"listProjects: no whole answer within 0\.3 s"):
            abacus.call("projects", lambda sdk: sdk.list_projects())
        assert time.monotonic() - started < 5
        ended.set()
        abacus.close()


@pytest.mark.parametrize(("slowest_bytes_s", "gets_through"), [(sending.SLOWEST_BYTES_S, True), (1 << 40, False)])
def test_a_slow_line_gets_a_part_through(monkeypatch, slowest_bytes_s, gets_through):
    """Sending takes longer than an answer may: the line stands still for twice as long."""
    monkeypatch.setattr(sending, "SLOWEST_BYTES_S", slowest_bytes_s)

    def slowly(connection: socket.socket) -> None:
        time.sleep(0.4)
        answer("200 OK", json.dumps({"success": True, "result": {"md5": "m", "etag": "e"}}).encode())(connection)

    with serving(slowly) as (url, _):
        abacus = connect(url, timeout_seconds=0.2, max_retries=0)

        def part() -> Any:
            return abacus.call("a part", lambda sdk: sdk.upload_part("upload_1", 1, b"x" * (24 << 20)))

        if gets_through:
            assert part().md5 == "m"
        else:
            with pytest.raises(TryAgain, match="uploadPart"):
                part()
        abacus.close()


def test_one_connection_serves_many_calls():
    with serving(*[answer("200 OK")] * 5) as (url, connections):
        abacus = connect(url)
        for _ in range(5):
            abacus.call("projects", lambda sdk: sdk.list_projects())
        abacus.close()
        assert connections == [1]


@pytest.mark.parametrize(
    ("header", "least_s", "most_s"),
    [
        pytest.param("Retry-After: 7", 7, 7, id="seconds"),
        pytest.param("date", 28, 31, id="a date"),
        pytest.param("Retry-After: soon", 0.5, 1, id="unreadable"),
        pytest.param("Retry-After: 0", 0.5, 1, id="none"),
        pytest.param("X-No-Header: 1", 0.5, 1, id="without"),
    ],
)
def test_a_wait_that_is_asked_for_is_kept_and_else_our_own(header, least_s, most_s):
    if header == "date":
        header = f"Retry-After: {email.utils.formatdate(time.time() + 30, usegmt=True)}"
    slept: list[float] = []
    with serving(answer("429 Too Many Requests", b"{}", header), answer("200 OK")) as (url, _):
        abacus = connect(url, slept)
        assert abacus.call("projects", lambda sdk: sdk.list_projects(), once=True) == []  # it was not done
        abacus.close()
    assert least_s <= sum(slept) <= most_s


def test_a_long_wait_is_left_to_the_next_run():
    with serving(answer("429 Too Many Requests", b"{}", "Retry-After: 400")) as (url, _):
        abacus = connect(url)
        with pytest.raises(TryAgain) as told:
            abacus.call("projects", lambda sdk: sdk.list_projects())
        assert told.value.retry_after_s == 400
        abacus.close()
