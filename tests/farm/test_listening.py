"""Where simulated miners listen, and what they make of what is not a request."""

from __future__ import annotations

import asyncio
import resource
import socket

import pytest

from deployments.farm import Farm, FarmError
from deployments.farm.listener import allow_open_files


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"nonsense\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"x" * (65_536 - 16),
    ],
)
async def test_what_is_not_http_is_refused(farm, request_bytes):
    reader, writer = await asyncio.open_connection(farm.miners[0].address, farm.port)
    writer.write(request_bytes)
    answer = await reader.read()
    assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 431 "))
    writer.close()


async def test_requests_in_pieces_and_several_at_once_are_answered_in_order(farm):
    reader, writer = await asyncio.open_connection(farm.miners[0].address, farm.port)
    text = b"GET /api/v1/info HTTP/1.1\r\nHost: m\r\n\r\nGET /missing HTTP/1.1\r\nConnection: close\r\n\r\n"
    for start in range(0, len(text), 7):
        writer.write(text[start : start + 7])
        await writer.drain()
        await asyncio.sleep(0)
    answer = await reader.read()
    assert answer.index(b"HTTP/1.1 200 OK") < answer.index(b"HTTP/1.1 404 Not Found")
    writer.close()


async def test_a_taken_port_is_named_and_nothing_stays_open():
    with socket.socket() as taken:
        taken.bind(("127.16.0.3", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(FarmError, match=rf"127\.16\.0\.3:{port} cannot listen: Address already in use.*--port"):
            async with Farm(4, port=port):
                pass
        with socket.socket() as free:
            free.bind(("127.16.0.1", port))


def test_too_few_open_files_say_how_many_are_needed(monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 1024))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: None)
    with pytest.raises(FarmError, match=r"1000 simulated miners need 2064 open files and this system allows 1024.*480"):
        allow_open_files(1000)
    assert allow_open_files(100) == 1024


def test_addresses_stay_on_the_loopback_network():
    addresses = [identity.address for identity in Farm(300).miners]
    assert addresses[0] == "127.16.0.1"
    assert addresses[253:255] == ["127.16.0.254", "127.16.1.1"]
    assert len(set(addresses)) == 300
    with pytest.raises(ValueError, match="not a loopback address"):
        Farm(300, first_address="127.255.255.1")
    with pytest.raises(ValueError, match="not an IPv4 address"):
        Farm(1, first_address="localhost")
