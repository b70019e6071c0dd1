"""Driver vnish-cgi: the dialect as README.md of its room has it."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

import tasks.miners.vnish_cgi
from storage.records.miner import MinerTelemetry, telemetry_frames
from tasks.miners.driver import PollFailure
from tasks.miners.vnish_cgi import VnishCgi
from tasks.miners.vnish_cgi.session import VnishCgiSession
from tests.miners.payloads import MINER, PASSWORD, SLOT, Answers, cgi, cgi_config, cgi_stats, target


def session(transport: Answers, **over: Any) -> VnishCgiSession:
    return VnishCgi().session(target(**({"username": "admin", "password": PASSWORD} | over)), transport)


async def poll(**over: Any) -> MinerTelemetry:
    return await session(Answers(cgi(stats=cgi_stats(**over)))).telemetry(SLOT)


async def test_every_value() -> None:
    record = await poll()
    assert (record.time, record.miner, record.reachable, record.state) == (SLOT, MINER, True, "mining")
    assert record.hashrate_hs == 93e12
    assert (record.power_w, record.voltage_v) == (3_000, 13.2)
    assert record.efficiency_j_th == pytest.approx(3_000 / 93)
    assert (record.ambient_temp_c, record.chip_temp_avg_c, record.chip_temp_max_c) == (24.5, 62.0, 66.5)
    assert (record.pcb_temp_max_c, record.fan_duty_percent) == (51.5, 91.0)
    assert (record.shares_accepted, record.shares_rejected, record.shares_stale) == (100, 3, 1)
    assert (record.last_share_age_s, record.uptime_s) == (9.0, 93_600)
    assert (record.boards_mining, record.boards_expected, record.fans_running, record.error_count) == (3, 3, 2, 0)
    assert record.quality_flags is None
    boards = [(b.board, b.status, b.hashrate_hs, b.pcb_temp_c, b.chip_temp_c) for b in record.boards]
    assert boards == [
        ("0", "mining", 31e12, 50.0, 64.0),
        ("1", "mining", 31e12, 51.5, 66.5),
        ("2", "mining", 31e12, 49.0, None),  # one plain number is the board's
    ]
    fans = [(f.fan, f.status, f.speed_rpm, f.speed_percent) for f in record.fans]
    assert fans == [("0", "ok", 5_880, 90.0), ("1", "ok", 5_940, 92.0)]
    (pool,) = record.pools
    assert (pool.slot, pool.status, pool.is_fee, pool.user) == ("0", "active", False, "account.rig")
    assert pool.url == "stratum+tcp://pool.invalid:3333", "no password of the pool"
    assert (pool.shares_accepted, pool.last_share_age_s) == (100, 9.0)


async def test_configuration() -> None:
    transport = Answers(cgi())
    opened = session(transport)
    await opened.telemetry(SLOT)
    record = await opened.configuration(SLOT)
    assert (record.driver, record.ip_address, record.model_reported) == ("vnish-cgi", "192.0.2.1", "ANTMINER_S19")
    assert (record.firmware_version, record.overclock_profile) == ("3.9.0", "3250 watt ~ 96 TH")
    assert (record.frequency_mhz, record.power_limit_w) == (545.0, 3_250)
    assert (record.pool_url, record.pool_status) == ("stratum+tcp://pool.invalid:3333", "active"), "of the telemetry"
    assert [record.mac, record.serial, record.algorithm, record.voltage_v] == [None] * 4

    transport.answers |= cgi(
        config=cgi_config(pool={"url": "other.invalid:1", "status": "dead"}, mac="02:00:5E:10:00:0A")
    )
    record = await opened.configuration(SLOT)
    assert (record.pool_url, record.pool_status, record.mac) == ("other.invalid:1", "offline", "02005e10000a")


async def test_basic_login_is_sent_and_never_told() -> None:
    transport = Answers(cgi(stats=401))
    with pytest.raises(PollFailure) as failure:
        await session(transport, password=SecretStr("gänse:fuß")).telemetry(SLOT)
    login = b64encode("admin:gänse:fuß".encode()).decode()
    assert transport.requests[0].headers["authorization"] == f"Basic {login}"
    assert failure.value.kind == "auth"
    assert "gänse" not in str(failure.value)
    assert login not in str(failure.value)


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (401, "auth", "401"),
        (403, "auth", "403"),
        (500, "http_status", "500"),
        ({"status": "error", "message": "busy\nnow"}, "http_status", "error: busy now"),
        ({"status": "error"}, "http_status", "no message"),
        ({"status": "success"}, "schema", "no object 'data'"),
        ({"status": "success", "data": []}, "schema", "no object 'data'"),
        ({}, "schema", "no object 'data'"),
        (b"<html>login</html>", "not_json", "HTML"),
        (b"", "not_json", "empty"),
        (json.dumps(cgi_stats()).encode()[:-50], "truncated", "ends after"),
    ],
)
@pytest.mark.parametrize("read", ["telemetry", "configuration"])
async def test_failures(answer: Any, kind: str, words: str, read: str) -> None:
    with pytest.raises(PollFailure, match=words) as failure:
        await getattr(session(Answers(cgi(stats=answer, config=answer))), read)(SLOT)
    assert failure.value.kind == kind


@pytest.mark.parametrize(
    ("unit", "hashrate", "expected"),
    [("TH/s", 93.0, 93e12), ("GH/s", "93000.5", 93_000.5e9), ("MH/s", 9_500, 9.5e9), ("EH/s", 0, 0.0)],
)
async def test_units(unit: str, hashrate: Any, expected: float) -> None:
    assert (await poll(hashrate_unit=unit, hashrate=hashrate)).hashrate_hs == expected


@pytest.mark.parametrize("unit", [None, "", "sol/s", "N/A"])
async def test_no_hashrate_without_a_unit(unit: str | None) -> None:
    record = await poll(hashrate_unit=unit)
    assert (record.hashrate_hs, record.efficiency_j_th, record.boards[0].hashrate_hs) == (None, None, None)
    assert (record.power_w, record.quality_flags) == (3_000, "unit_unknown")


@pytest.mark.parametrize(
    ("said", "state"),
    [
        ("mining", "mining"), ("Mining", "mining"), ("initializing", "starting"), ("auto-tuning", "tuning"),
        ("sleeping", "paused"), ("idle", "stopped"), ("error", "failed"), ("degraded", "degraded"),
    ],
)  # fmt: skip
async def test_states(said: str, state: str) -> None:
    assert (await poll(mining_status=said)).state == state


async def test_an_unknown_state_is_told_from_the_hashrate() -> None:
    assert (await poll(mining_status="dancing")).state == "mining"
    record = await poll(mining_status=None, hashrate=None)
    assert (record.state, record.quality_flags) == ("starting", "state_unknown")


@pytest.mark.parametrize(
    "over",
    [
        {"boards": [{"board_id": 0, "status": "active"}, {"board_id": 1, "status": "failed"}]},
        {"fans": [{"fan_id": 0, "status": "lost"}]},
    ],
)
async def test_degraded(over: dict[str, Any]) -> None:
    assert (await poll(**over)).state == "degraded"


async def test_errors() -> None:
    told = [
        {"code": "W101", "message": "fan 2 is slow", "severity": "warning"},
        {"code": 17, "message": None, "severity": "fatal"},
        {"message": "no code"},
        {"code": "W101", "message": "again"},
        {"code": "x" * 500, "severity": "odd"},
    ]
    record = await poll(errors=told)
    assert [(e.code, e.severity, e.message) for e in record.errors] == [
        ("W101", "warning", "fan 2 is slow"),
        ("17", "critical", None),
        ("unnamed", "warning", "no code"),
        ("x" * 64, "warning", None),
    ]
    assert (record.error_count, record.quality_flags) == (4, "duplicate_error")


async def test_wrong_fields_cost_those_fields() -> None:
    heat = {"ambient": "hot", "max_chip": 255, "board0": {"pcb": [], "chip": "64"}, "board1": None}
    record = await poll(temperature=heat, power={"consumption": "n/a", "voltage": 13.2}, uptime="long")
    assert record.quality_flags == ",".join(
        [
            "unreadable:data.power.consumption",
            "unreadable:data.uptime",
            "unreadable:temperature.ambient",
            "unreadable:temperature.max_chip",
            "unreadable:temperature.pcb",
        ]
    )
    assert (record.ambient_temp_c, record.chip_temp_max_c, record.power_w, record.voltage_v) == (None, None, None, 13.2)
    assert (record.boards[0].chip_temp_c, record.hashrate_hs) == (64.0, 93e12)


async def test_temperatures_of_boards_that_are_not_listed_are_kept() -> None:
    """The short form of the dialect: a total, its unit, and a temperature for each board."""
    heat = {"board10": 50, "board2": {"pcb": 52.0, "chip": 66.0}, "board0": {"chip": 64.0}, "boardx": 9}
    data = {"hashrate": 93.0, "hashrate_unit": "TH/s", "mining_status": "mining", "temperature": heat}
    record = await session(Answers(cgi(stats={"status": "success", "data": data}))).telemetry(SLOT)
    assert [(b.board, b.status, b.pcb_temp_c, b.chip_temp_c) for b in record.boards] == [
        ("0", "unknown", None, 64.0), ("2", "unknown", 52.0, 66.0), ("10", "unknown", 50.0, None),
    ]  # fmt: skip
    assert (record.chip_temp_avg_c, record.chip_temp_max_c, record.pcb_temp_max_c) == (65.0, 66.0, 52.0)
    assert (record.state, record.boards_mining, record.boards_expected) == ("mining", None, None)
    assert telemetry_frames([record])


async def test_before_the_first_share() -> None:
    record = await poll(shares={"accepted": 0, "rejected": 0, "stale": 0, "last_share_time": None})
    assert (record.shares_accepted, record.last_share_age_s) == (0, None)
    assert record.quality_flags is None


async def test_a_minimal_answer() -> None:
    record = await session(Answers(cgi(stats={"data": {}}))).telemetry(SLOT)
    assert (record.state, record.boards_mining, record.error_count, record.shares_accepted) == ("starting", *[None] * 3)
    assert telemetry_frames([record])


async def test_the_readme_is_the_dialect() -> None:
    """Both examples of README.md, which the simulated farm is made from, are read without a flag."""
    readme = Path(tasks.miners.vnish_cgi.__file__).with_name("README.md").read_text()
    stats, config = (json.loads(block) for block in re.findall(r"```json\n(.*?)```", readme, re.DOTALL))
    opened = session(Answers(cgi(stats=stats, config=config)))
    record = await opened.telemetry(SLOT)
    assert (record.hashrate_hs, record.state, record.quality_flags) == (96.12e12, "mining", None)
    assert sum(b.hashrate_hs or 0 for b in record.boards) == pytest.approx(record.hashrate_hs)
    settings = await opened.configuration(SLOT)
    assert (settings.mac, settings.algorithm, settings.voltage_v) == ("02005e100001", "sha256d", 13.1)
