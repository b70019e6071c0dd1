"""The documented CGI dialect, asked by stock httpx."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from deployments.farm import Farm, Fault, variants
from tests.farm.clock import NOON, Clock

CGI = variants(["vnish-cgi"])
UNITS = {"TH/s": 1e12, "GH/s": 1e9, "MH/s": 1e6}
FAULTS = (
    None,
    Fault(kind="board_lost", board=1, start=NOON - 60),
    Fault(kind="fan_lost", fan=2, start=NOON - 60),
    Fault(kind="paused", start=NOON - 60),
    Fault(kind="reboot", start=NOON - 1, boot_s=20),
    Fault(kind="unit_switched", start=NOON - 60),
    Fault(kind="overheating", start=NOON - 60),
)


@pytest.fixture
async def farm():
    async with Farm(len(CGI), port=0, clock=Clock(), mix=CGI) as farm:
        yield farm


async def page(farm: Farm, index: int, name: str) -> Any:
    identity = farm.miners[index]
    async with httpx.AsyncClient(auth=(identity.username, identity.password)) as client:
        answer = await client.get(f"{identity.base_url}/cgi-bin/{name}.cgi")
    assert answer.status_code == 200
    body = answer.json()
    assert body["status"] == "success"
    return body["data"]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.kind if fault else "whole")
@pytest.mark.parametrize("index", range(len(CGI)))
async def test_stats_say_what_is_true(farm, index, fault):
    identity = farm.miners[index]
    if fault is not None:
        farm.inject(identity.miner_id, fault)
    truth = farm.truth(identity.miner_id)
    data = await page(farm, index, "stats")
    unit = UNITS[data["hashrate_unit"]]
    assert data["miner_id"] == identity.miner_id
    assert datetime.fromisoformat(data["timestamp"]) == datetime.fromtimestamp(NOON, UTC)
    assert data["hashrate"] * unit == pytest.approx(truth.hashrate_hs, rel=1e-5)
    assert sum(board["hashrate"] for board in data["boards"]) == pytest.approx(data["hashrate"])
    assert data["power"]["consumption"] == truth.power_w
    if truth.hashrate_hs:
        assert data["power"]["efficiency"] == pytest.approx(truth.power_w / (truth.hashrate_hs / 1e12), rel=1e-3)
    assert data["uptime"] == truth.uptime_s
    assert (data["shares"]["accepted"], data["shares"]["rejected"], data["shares"]["stale"]) == (
        truth.shares_accepted, truth.shares_rejected, truth.shares_stale,
    )  # fmt: skip
    assert data["temperature"]["max_chip"] == pytest.approx(truth.chip_temp_max_c, abs=0.06)
    for board, said in zip(truth.boards, data["boards"], strict=True):
        assert said["board_id"] == board.number - 1
        assert said["status"] == ("failed" if board.lost else "active" if board.mining else "inactive")
        heat = data["temperature"][f"board{said['board_id']}"]
        if board.lost:
            assert heat == {"pcb": None, "chip": None}
        else:
            assert heat["chip"] == pytest.approx(board.chip_temp_c, abs=0.06)
    for fan, said in zip(truth.fans, data["fans"], strict=True):
        assert (said["fan_id"], said["speed"]) == (fan.number, fan.speed_rpm)
        assert said["status"] == ("ok" if fan.running else "lost")
    codes = {"board_lost": ["E201"], "fan_lost": ["W101"], "overheating": ["E301"]}.get(fault.kind if fault else "", [])
    assert [error["code"] for error in data["errors"]] == codes


async def test_states_are_words_of_the_dialect(farm):
    identity = farm.miners[0]
    assert (await page(farm, 0, "stats"))["mining_status"] == "mining"
    farm.inject(identity.miner_id, Fault(kind="board_lost", board=1))
    assert (await page(farm, 0, "stats"))["mining_status"] == "mining"
    farm.inject(identity.miner_id, "paused")
    assert (await page(farm, 0, "stats"))["mining_status"] == "paused"
    farm.inject(identity.miner_id, "reboot")
    assert (await page(farm, 0, "stats"))["mining_status"] == "starting"


async def test_the_unit_is_terahash_for_sha256_and_megahash_for_scrypt_until_it_is_switched(farm):
    for index, identity in enumerate(farm.miners):
        unit = (await page(farm, index, "stats"))["hashrate_unit"]
        assert unit == ("TH/s" if identity.variant.model.algorithm == "sha256d" else "MH/s")
        farm.inject(identity.miner_id, "unit_switched")
        assert (await page(farm, index, "stats"))["hashrate_unit"] == "GH/s"


async def test_configuration_says_what_is_true(farm):
    for index, identity in enumerate(farm.miners):
        data = await page(farm, index, "config")
        assert (data["model"], data["algorithm"]) == (identity.variant.model.name, identity.variant.model.algorithm)
        assert data["power_limit"] == farm.truth(identity.miner_id).power_limit_w
        assert (data["mac"], data["serial"]) == (identity.mac, identity.serial)
        assert "pass" not in str(data)


async def test_nobody_comes_in_without_the_password(farm):
    first, second = farm.miners[:2]
    url = f"{second.base_url}/cgi-bin/stats.cgi"
    async with httpx.AsyncClient() as client:
        for auth in (None, (second.username, "wrong"), (first.username, first.password)):
            answer = await client.get(url, auth=auth)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"].startswith("Basic ")
        answer = await client.get(f"{second.base_url}/api/v1/summary", auth=(second.username, second.password))
        assert answer.status_code == 404
