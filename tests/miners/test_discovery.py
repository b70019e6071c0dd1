"""Discovery: the same miners at every concurrency, all that answered is told, and what is written can be used."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import socket
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.farm import Farm
from deployments.farm.models import ALL_VARIANTS
from storage.errors import NeedsHuman
from tasks.collection_settings import load_collection_settings
from tasks.miners.detection import Identified, Unidentified
from tasks.miners.discovery import scan
from tasks.miners.discovery.draft import FILE_NAME, draft, write_beside
from tasks.miners.discovery.ranges import MOST, BadRange, addresses
from tasks.miners.discovery.scan import Discovery, Limits, discover
from tasks.miners.fleet import Fleet

# Ranges.


@pytest.mark.parametrize(
    ("ranges", "expected"),
    [
        (["10.0.0.0/30"], ["10.0.0.1", "10.0.0.2"]),
        (["10.0.0.6/30"], ["10.0.0.5", "10.0.0.6"]),
        (["10.0.0.4/31"], ["10.0.0.4", "10.0.0.5"]),
        (["10.0.0.7/32"], ["10.0.0.7"]),
        ([" 10.0.0.7 "], ["10.0.0.7"]),
        (["10.0.0.254-10.0.1.1"], ["10.0.0.254", "10.0.0.255", "10.0.1.0", "10.0.1.1"]),
        (["10.0.0.9-11"], ["10.0.0.9", "10.0.0.10", "10.0.0.11"]),
        (["10.0.0.2", "10.0.0.0/30", "10.0.0.1-2"], ["10.0.0.1", "10.0.0.2"]),
    ],
)
def test_ranges(ranges: list[str], expected: list[str]) -> None:
    assert addresses(ranges) == expected


@pytest.mark.parametrize(
    "wrong",
    [
        "", "ten", "10.0.0", "10.0.0.256", "10.0.0.0/33", "10.0.0.9-5", "10.0.0.9-", "-", "10.0.0.1-2-3", "::1",
        "fd00::/64", "224.0.0.0/24", "0.0.0.0/24", "255.255.255.255", "10.0.0.1/24/3", "${HOME}",
    ],
)  # fmt: skip
def test_what_is_no_range(wrong: str) -> None:
    with pytest.raises(BadRange, match=r"Write 10\.0\.0\.0/24"):
        addresses([wrong])


@pytest.mark.parametrize(
    "ranges", [["10.0.0.0/15"], ["10.0.0.0/8"], ["10.0.0.0-10.255.255.255"], ["10.0.0.0/16", "10.1.0.0/24"]]
)
def test_too_much(ranges: list[str]) -> None:
    with pytest.raises(BadRange, match="65,536 at most"):
        addresses(ranges)


def test_a_16_is_not_too_much() -> None:
    assert len(addresses(["10.0.0.0/16"])) == MOST - 2


@given(st.ip_addresses(v=4, network="10.0.0.0/8"), st.integers(22, 32))
def test_a_network_is_its_hosts(address: ipaddress.IPv4Address, length: int) -> None:
    network = ipaddress.ip_network(f"{address}/{length}", strict=False)
    assert addresses([f"{address}/{length}"]) == [str(host) for host in network.hosts()]


@given(st.text(max_size=30))
def test_whatever_is_written_is_addresses_or_a_bad_range(text: str) -> None:
    try:
        found = addresses([text])
    except BadRange:
        return
    assert 0 < len(found) <= MOST


# Stages.

RANGE = "127.80.0.0/24"
SHOP, HANGING, BROKEN, MUTE = "127.80.0.101", "127.80.0.102", "127.80.0.103", "127.80.0.104"
PATIENCE: dict[str, Any] = {"timeout_s": 0.4, "request_s": 0.4, "retries": 1}


async def _shop(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    body = b"<html>a shop</html>"
    writer.write(
        b"HTTP/1.1 200 OK\r\nserver: nginx\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body) + body
    )
    writer.close()


async def _hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    writer.close()


async def _broken(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"\x00\xff no HTTP\r\n\r\n")
    writer.close()


class Mute:
    """A port whose listener takes no connection: as if a firewall dropped every packet."""

    def __init__(self, address: str, port: int) -> None:
        self.sockets = [socket.socket()]
        self.sockets[0].bind((address, port))
        self.sockets[0].listen(0)
        for _ in range(4):
            waiting = socket.socket()
            waiting.setblocking(False)
            waiting.connect_ex((address, port))
            self.sockets.append(waiting)

    def close(self) -> None:
        for each in self.sockets:
            each.close()


WEB = tuple(variant for variant in ALL_VARIANTS if variant.dialect != "cgminer-socket")
SOCKET = tuple(variant for variant in ALL_VARIANTS if variant.dialect == "cgminer-socket")


@asynccontextmanager
async def site() -> AsyncIterator[tuple[Farm, Farm]]:
    """Miners of every dialect, those on the web and those by socket only, and what else stands in a network."""
    async with AsyncExitStack() as stack:
        farm = await stack.enter_async_context(Farm(24, port=0, first_address="127.80.0.1", mix=WEB))
        sockets = await stack.enter_async_context(Farm(6, port=0, first_address="127.80.0.51", mix=SOCKET))
        for address, serve in ((SHOP, _shop), (HANGING, _hang), (BROKEN, _broken)):
            server = await asyncio.start_server(serve, address, farm.port)
            stack.push_async_callback(server.wait_closed)
            stack.callback(server.close)
        mute = Mute(MUTE, farm.port)
        stack.callback(mute.close)
        yield farm, sockets


def drivers(found: Discovery) -> dict[str, str]:
    return {each.address: each.driver for each in found.found}


async def test_the_same_is_found_at_every_concurrency() -> None:
    asked = addresses([RANGE])
    async with site() as (farm, sockets):
        expected = {
            each["ip"]: _family(each["driver"]) for one in (farm, sockets) for each in one.configuration()["miners"]
        }
        assert set(expected.values()) == {"vnish-rest", "vnish-cgi", "auto", "cgminer-socket"}
        told: list[tuple[str, int, int]] = []
        for concurrency in (1, 16, 256):
            limits = Limits(
                ports=(farm.port, sockets.port), socket_port=sockets.port, concurrency=concurrency, **PATIENCE
            )
            found = await discover(asked, limits, lambda *progress: told.append(progress))
            assert (found.asked, found.answered) == (254, 33)
            assert drivers(found) == expected
            assert [each.address for each in found.unidentified] == [SHOP, HANGING, BROKEN]
            reasons = {each.address: each.reason for each in found.unidentified}
            assert reasons == {SHOP: "unknown", HANGING: "no_answer", BROKEN: "no_answer"}
            assert all(each.evidence for each in found.unidentified)
            assert "nginx" in " ".join(found.unidentified[0].evidence)
        assert ("ports", 254, 254) in told
        assert ("devices", 33, 33) in told


def _family(driver: str) -> str:
    """Without a login, and without its socket, an Antminer does not tell which of its two dialects it speaks."""
    return "auto" if driver in ("antminer-stock", "antminer-legacy") else driver


async def test_one_connection_at_a_time_to_each_address() -> None:
    open_now: Counter[str] = Counter()
    most: Counter[str] = Counter()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        address = writer.get_extra_info("sockname")[0]
        open_now[address] += 1
        most[address] = max(most[address], open_now[address])
        try:
            while await reader.read(1024):
                writer.write(b"HTTP/1.1 404 No\r\ncontent-length: 0\r\n\r\n")
        except ConnectionError:
            pass
        open_now[address] -= 1
        writer.close()

    asked = addresses(["127.80.1.1-127.80.1.20"])
    async with AsyncExitStack() as stack:
        port = 0
        for address in asked:
            server = await asyncio.start_server(serve, address, port)
            port = server.sockets[0].getsockname()[1]
            stack.push_async_callback(server.wait_closed)
            stack.callback(server.close)
        found = await discover(asked, Limits(ports=(port,), concurrency=64), lambda *_: None)
    assert len(found.unidentified) == 20
    assert set(most) == set(asked)
    # A port that was found open is closed at once; its end may be seen here after the next connection came.
    assert max(most.values()) <= 2


async def test_what_ran_out_of_time_is_tried_again_with_more() -> None:
    async with Farm(8, port=0, first_address="127.80.2.1", latency_ms=80.0) as farm:
        asked = [miner.address for miner in farm.miners]
        hasty = Limits(ports=(farm.port,), request_s=0.05, retries=0)
        assert drivers(await discover(asked, hasty, lambda *_: None)) == {}
        patient = Limits(ports=(farm.port,), request_s=0.05, retries=5)
        assert len(drivers(await discover(asked, patient, lambda *_: None))) == 8


async def test_a_host_out_of_files_finds_no_less_but_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "socket", _no_files)
    with pytest.raises(NeedsHuman, match="lower --concurrency"):
        await discover(["127.80.3.1"], Limits(), lambda *_: None)


def _no_files(*_: object) -> socket.socket:
    raise OSError(errno.EMFILE, "too many open files")


async def test_a_door_that_opened_while_this_process_was_busy_is_open() -> None:
    async with Farm(1, port=0, first_address="127.80.4.1") as farm:
        assert await scan._door("127.80.4.1", farm.port, 0.0) == "open"


async def test_a_socket_api_behind_a_port_that_was_named_is_found() -> None:
    async with Farm(len(ALL_VARIANTS), port=0, first_address="127.80.7.1", mix=ALL_VARIANTS) as farm:
        limits = Limits(ports=(farm.port,), **PATIENCE)
        discovered = await discover([miner.address for miner in farm.miners], limits, lambda *_: None)
    assert discovered.unidentified == ()
    for miner, each in zip(farm.miners, discovered.found, strict=True):
        antminer = miner.variant.dialect in ("antminer-stock", "antminer-legacy")  # tells which only after a login
        assert (each.address, each.driver) == (miner.address, "auto" if antminer else miner.variant.dialect)
        assert each.port == farm.port
        assert "nonce" not in " ".join(each.evidence)


# What is written.


def found(*miners: Identified, unidentified: tuple[Unidentified, ...] = ()) -> Discovery:
    return Discovery(asked=9, answered=len(miners), found=miners, unidentified=unidentified)


async def test_what_is_written_can_be_loaded_and_polled(tmp_path: Path) -> None:
    async with Farm(8, port=0, first_address="127.80.5.1") as farm:
        limits = Limits(ports=(farm.port,), **PATIENCE)
        discovered = await discover([miner.address for miner in farm.miners], limits, lambda *_: None)
        file = write_beside(tmp_path, draft(discovered, ["127.80.5.0/24"]))
        settings = load_collection_settings(file, {}, {"MINER_PASSWORD": farm.miners[3].password}.get)
        assert [(miner.ip, miner.port) for miner in settings.miners] == [(m.address, farm.port) for m in farm.miners]
        assert settings.miners[0].model == "ANTMINER_S19"
        assert settings.miners[0].id == "miner_02005e000001"
        open_to_all = [miner for miner in settings.miners if miner.driver == "vnish-rest"]
        assert open_to_all
        fleet = Fleet(open_to_all)
        outcome = await fleet.tick(1_795_580_940)
        await fleet.aclose()
        assert (outcome.polled, outcome.failed) == (len(open_to_all), 0)


def test_a_file_that_is_there_is_never_touched(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text("mine")
    names = [write_beside(tmp_path, f"text {number}").name for number in range(3)]
    assert names == [
        "data_collection_config.discovered.yaml",
        "data_collection_config.discovered-2.yaml",
        "data_collection_config.discovered-3.yaml",
    ]
    assert (tmp_path / FILE_NAME).read_text() == "mine"


def test_a_folder_that_cannot_be_written_to_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NeedsHuman, match="cannot be written to"):
        write_beside(tmp_path / "file", "text")


def test_hostile_words_of_a_device_stay_comments_and_labels(tmp_path: Path) -> None:
    evil = Identified(
        address="10.0.0.5",
        driver="vnish-rest",
        model="S19\n  - id: x ${HOME} $${HOME}",
        firmware_version="1\nminers: []\x00",
        evidence=("GET /: 200\n- boo",),
    )
    other = Unidentified(address="10.0.0.6", reason="unknown", evidence=("a\nmodel: b", "${HOME}"))
    twins = [Identified(address=f"10.0.0.{n}", driver="asic-rs", mac="02005e000001") for n in (7, 8)]
    file = write_beside(tmp_path, draft(found(evil, *twins, unidentified=(other,)), ["10.0.0.0/24\nx: 1"]))
    settings = load_collection_settings(file, {}, lambda _name: None)
    assert [(miner.id, miner.model) for miner in settings.miners] == [
        ("miner_10_0_0_5", "S19_ID_X_HOME_HOME"),
        ("miner_10_0_0_7", "UNKNOWN"),
        ("miner_10_0_0_8", "UNKNOWN"),
    ]
    assert "lodeline[asic-rs]" in file.read_text()
    assert load_collection_settings(write_beside(tmp_path, draft(found(), ["x"])), {}, lambda _name: None).miners == ()
