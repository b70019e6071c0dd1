"""Driver asic-rs: what the library says is believed only where it says something, and it can take nobody along."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from datetime import timedelta
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from deployments.farm import Farm
from storage.errors import NeedsHuman
from storage.records.miner import Miner, MinerTelemetry, telemetry_frames
from tasks.miners.asic_rs import AsicRs, session
from tasks.miners.asic_rs.child import Reader
from tasks.miners.asic_rs.children import Child, ChildGone, Children
from tasks.miners.asic_rs.transport import AsicRsTransport
from tasks.miners.asic_rs.wire import Question
from tasks.miners.driver import PollFailure, Target
from tasks.miners.fleet import Fleet
from tasks.miners.settings import FleetSettings, MinerSettings
from tests.miners.library_payloads import SLOT, board, library_reading, rate

TARGET = Target(Miner("w1", "WHATSMINER_M50", "north"), "127.79.0.9", "asic-rs://127.79.0.9")
SILENT = {
    "schema_version": "0.8.6", "timestamp": SLOT, "ip": "127.79.0.9", "mac": None, "is_mining": True,
    "device_info": {"make": "Antminer", "model": "S19", "firmware": "VNish", "algo": "SHA256"},
    "expected_hashboards": 3, "hashboards": [], "fans": [], "pools": [{"name": "", "quota": 1, "pools": []}],
    "hashrate": None, "messages": [],
}  # fmt: skip
"""What 0.8.6 gives of a miner that refuses, hangs, or answers 500 or HTML: recorded on the farm."""


async def poll(content: Any, status: int = 200) -> MinerTelemetry:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    transport = httpx.MockTransport(lambda request: httpx.Response(status, content=body, request=request))
    return await AsicRs().session(TARGET, transport).telemetry(SLOT)


async def test_a_reading_becomes_a_record() -> None:
    record = await poll(library_reading(fans=[{"position": 0, "rpm": 5940.000000000001}]))
    assert (record.hashrate_hs, record.hashrate_nominal_hs) == (114e12, 120e12)  # not the nameplate's 999
    assert (record.power_w, record.efficiency_j_th) == (3306, 29.0)
    assert (record.chip_temp_max_c, record.pcb_temp_max_c) == (78.0, 61.5)
    assert record.voltage_v == pytest.approx(13.2)
    assert (record.state, record.boards_mining, record.boards_expected, record.fans_running) == ("mining", 3, 3, 1)
    assert (record.uptime_s, record.fans[0].speed_rpm, record.quality_flags) == (93784, 5940, None)
    assert (record.shares_accepted, record.shares_rejected, record.last_share_age_s) == (300, 1, 7.0)
    assert [(p.status, p.is_fee, p.url) for p in record.pools] == [
        ("active", False, "stratum+tcp://pool.invalid:3333"),
        ("working", False, "stratum+tcp://spare.invalid:3333"),
        ("active", True, None),
    ]
    assert telemetry_frames([record])


async def test_the_configuration_is_of_the_same_reading() -> None:
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, json=library_reading(), request=request)

    books = AsicRs().session(TARGET, httpx.MockTransport(answer))
    await books.telemetry(SLOT)
    found = await books.configuration(SLOT)
    assert len(asked) == 1
    assert (found.driver, found.model_reported, found.firmware_version) == (
        "asic-rs",
        "WhatsMiner M50",
        "Stock 20230911.12",
    )
    assert (found.mac, found.serial, found.algorithm) == ("02005e100001", None, "sha256d")
    assert (found.pool_url, found.pool_status) == ("stratum+tcp://pool.invalid:3333", "active")


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (SILENT, "driver_silent"),
        ({**SILENT, "hashboards": [{"position": 0, "hashrate": None}]}, "driver_silent"),
        ({**SILENT, "mac": "00:00:00:00:00:00"}, "driver_silent"),
        (b"null", "schema"),
        (b"not json", "not_json"),
    ],
)
async def test_what_says_nothing_is_no_reading(said: Any, kind: str) -> None:
    with pytest.raises(PollFailure) as failure:
        await poll(said)
    assert failure.value.kind == kind


@pytest.mark.parametrize("sign", [{"mac": "02:00:5E:10:00:01"}, {"hashrate": rate(1.0)}, {"hashboards": [board(0)]}])
async def test_one_sign_of_life_is_a_reading(sign: dict[str, Any]) -> None:
    record = await poll({**SILENT, **sign})
    assert record.reachable


@pytest.mark.parametrize(
    ("said", "hashrate", "flags"),
    [
        (rate(9.5, "GH/s", "Scrypt"), 9.5e9, None),
        (rate(9529.1, "GH/s", "Scrypt"), None, "unit_suspect"),  # before 0.8: MH/s called GH/s
        (rate(9529.1, "MH/s", "Scrypt"), 9529.1e6, None),
        (rate(95.0, ""), None, "unit_unknown"),
        ({"value": None, "unit": "TH/s"}, None, None),
    ],
)
async def test_scrypt_and_units(said: dict[str, Any], hashrate: float | None, flags: str | None) -> None:
    device = {"make": "Antminer", "model": "L7", "firmware": "VNish", "algo": "Scrypt"}
    record = await poll(library_reading(device_info=device, hashrate=said, hashboards=[]))
    assert record.hashrate_hs == (pytest.approx(hashrate) if hashrate else None)
    assert record.quality_flags == flags


async def test_no_nominal_hashrate_where_boards_are_missing_from_the_reading() -> None:
    record = await poll(library_reading(hashboards=[board(0), board(1)]))
    assert (record.hashrate_hs, record.hashrate_nominal_hs) == (114e12, None)


@pytest.mark.parametrize(
    ("said", "state"),
    [
        ({"operating_state": {"type": "Stable"}}, "degraded"),  # a fan is lost
        ({"operating_state": {"type": "Paused"}, "is_mining": False}, "paused"),
        ({"operating_state": {"type": "Error"}}, "failed"),
        ({"operating_state": {"type": "Unknown", "raw": "?"}, "hashrate": None}, "starting"),
        ({"hashrate": rate(0.0), "is_mining": False}, "stopped"),
        ({"hashboards": [board(0), board(1), board(2, 0.0, active=False)], "fans": []}, "degraded"),
    ],
)
async def test_states(said: dict[str, Any], state: str) -> None:
    assert (await poll(library_reading(**said))).state == state


@pytest.mark.parametrize(("status", "kind"), [(404, "driver_silent"), (502, "driver_silent")])
async def test_why_there_is_no_reading(status: int, kind: str) -> None:
    with pytest.raises(PollFailure, match="the reason") as failure:
        await poll(b"the reason", status)
    assert failure.value.kind == kind


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "find_spec", lambda _name: None)
    with pytest.raises(NeedsHuman, match=r"lodeline\[asic-rs\]"):
        AsicRs().session(TARGET, httpx.MockTransport(lambda request: httpx.Response(200, request=request)))


# The child, with a library that does as the test says.


class Data:
    def __init__(self, said: dict[str, Any]) -> None:
        self.said = said

    def model_dump(self) -> dict[str, Any]:
        return dict(self.said)


class Handle:
    def __init__(self, said: dict[str, Any] | None = None, *, hangs: bool = False) -> None:
        self.said, self.hangs = said, hangs
        self.login: tuple[str, str] | None = None

    async def get_data(self, exclude: list[Any] | None = None) -> Data:
        assert exclude == ["chips"]
        if self.hangs:
            await asyncio.Event().wait()
        if self.said is None:
            raise RuntimeError("no luck")
        return Data(self.said)

    def set_auth(self, username: str, password: str) -> None:
        self.login = (username, password)


class Factory:
    def __init__(self, *handles: Handle | None) -> None:
        self.handles = list(handles)
        self.identified = 0

    async def get_miner(self, ip: str) -> Handle | None:
        assert ip
        self.identified += 1
        return self.handles.pop(0)


async def test_the_reader_identifies_once_and_again_when_nothing_is_read() -> None:
    handle = Handle({"mac": "02:00:5E:10:00:01", "hashrate": None, "uptime": timedelta(days=1), "odd": float("nan")})
    factory = Factory(handle, Handle(SILENT), None)
    reader = Reader(factory, ["chips"])
    for number in (1, 2):
        reply = await reader.answer(Question(number, "127.79.0.9", 5.0, "admin", "pw"))
        assert (reply.number, reply.outcome) == (number, "read")
        assert json.loads(bytes(reply.data)) == {**handle.said, "uptime": 86400.0, "odd": None}  # type: ignore[dict-item]
    assert (factory.identified, handle.login) == (1, ("admin", "pw"))
    handle.said = SILENT
    assert (await reader.answer(Question(3, "127.79.0.9", 5.0))).outcome == "read"
    assert (await reader.answer(Question(4, "127.79.0.9", 5.0))).outcome == "read"
    assert (await reader.answer(Question(5, "127.79.0.9", 5.0))).outcome == "unknown"
    assert factory.identified == 3


async def test_the_reader_keeps_the_deadline_and_survives_the_library() -> None:
    reader = Reader(Factory(Handle(hangs=True), Handle(None)), ["chips"])
    assert (await reader.answer(Question(1, "127.79.0.9", 0.01))).outcome == "deadline"
    reply = await reader.answer(Question(2, "127.79.0.9", 5.0))
    assert (reply.outcome, reply.detail) == ("failed", "RuntimeError: no luck")


# The processes, with a child that does as the test says.

ECHO = """
import json, os, sys
for line in sys.stdin:
    question = json.loads(line)
    if question["address"] == "abort":
        os.abort()
    if question["address"] == "rubbish":
        print("rubbish", flush=True)
        continue
    if question["address"] != "silent":
        data = {"pid": os.getpid(), "login": question["username"]}
        print(json.dumps({"number": question["number"], "outcome": "read", "data": data}), flush=True)
os._exit(0)
"""


def child(clock: list[float] | None = None) -> Child:
    now = clock if clock is not None else [0.0]
    return Child((sys.executable, "-c", ECHO), clock=lambda: now[0])


async def test_a_child_that_aborts_costs_its_questions_and_is_started_again() -> None:
    clock = [0.0]
    one = child(clock)
    first = json.loads(bytes((await one.ask("a", 5.0)).data))["pid"]
    waiting = asyncio.ensure_future(one.ask("silent", 5.0))
    await asyncio.sleep(0)
    with pytest.raises(ChildGone, match="-6"):
        await one.ask("abort", 5.0)
    with pytest.raises(ChildGone, match="-6"):
        await waiting
    with pytest.raises(ChildGone, match="in a moment"):
        await one.ask("a", 5.0)
    clock[0] = 60.0
    assert json.loads(bytes((await one.ask("a", 5.0)).data))["pid"] != first
    await one.aclose()


async def test_a_child_that_writes_rubbish_is_ended() -> None:
    one = child()
    with pytest.raises(ChildGone):
        await one.ask("rubbish", 5.0)
    await one.aclose()


async def test_a_child_that_cannot_be_started_is_a_failure_and_no_crash() -> None:
    with pytest.raises(ChildGone, match="cannot be started"):
        await Child(("/nonexistent/python",)).ask("a", 5.0)


async def test_miners_share_children_and_the_last_one_ends_it() -> None:
    shared = Children(child, most=2)
    transports = [AsicRsTransport(deadline_s=20.0, shared=shared) for _ in range(5)]
    pids = []
    for transport in transports:
        request = httpx.Request("GET", "asic-rs://127.79.0.9/reading", headers={"authorization": "Basic dTpw"})
        said = (await transport.handle_async_request(request)).json()
        assert said["login"] == "u"
        pids.append(said["pid"])
    assert [pids.count(pid) for pid in dict.fromkeys(pids)] == [2, 2, 1]
    for transport in transports:
        await transport.aclose()
    for pid in set(pids):
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


async def test_an_unanswered_question_ends_with_the_deadline() -> None:
    transport = AsicRsTransport(deadline_s=0.05, shared=Children(child))
    with pytest.raises(httpx.ReadTimeout):
        await transport.handle_async_request(httpx.Request("GET", "asic-rs://silent/reading"))
    await transport.aclose()


# The library itself.


def may_use_port_80() -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.79.0.1", 80))
        except PermissionError:
            return False
        return True


async def test_the_library_reads_the_farm_and_its_silence_is_seen() -> None:
    pytest.importorskip("pyasic_rs", reason="SKIPPED LOUDLY: the extra asic-rs is not installed")
    if not may_use_port_80():
        pytest.skip("SKIPPED LOUDLY: the library asks on port 80, which this user may not listen on")
    async with Farm(3, port=80, socket_port=4028, first_address="127.79.0.1", refresh_s=3600.0) as farm:
        miners = [
            MinerSettings(
                id=each.miner_id,
                ip=each.address,
                model=each.variant.model.name,
                driver="asic-rs",
                username="admin",
                password=SecretStr(each.password),
            )
            for each in farm.miners
        ]
        fleet = Fleet(miners, FleetSettings(request_deadline_s=20.0, miner_deadline_s=30.0))
        try:
            outcome = await fleet.tick(SLOT)
            assert outcome.failed_by_reason == {}
            frames = {frame.measurement: frame for frame in outcome.frames}
            columns = frames["miner_telemetry"].columns
            assert outcome.configurations == 3
            for row, miner_id in enumerate(columns["miner_id"]):
                truth = farm.truth(miner_id)
                assert columns["hashrate_hs"][row] == pytest.approx(truth.hashrate_hs, rel=1e-3)
                assert columns["power_w"][row] == pytest.approx(truth.power_w, abs=1)
            for miner, fault in zip(farm.miners, ("http_500", "html", "dead"), strict=True):
                farm.inject(miner.miner_id, fault)  # type: ignore[arg-type]
            outcome = await fleet.tick(SLOT + 300)
            assert outcome.failed_by_reason == {"driver_silent": 3}
        finally:
            await fleet.aclose()
