"""Makers' own firmware on the farm: what stock httpx and recordings of real machines make of it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from deployments.farm import ALL_VARIANTS, Farm, Fault, variants
from tasks.miners.drivers import DRIVERS
from tasks.miners.fleet import Fleet
from tasks.miners.payloads import Recording
from tasks.miners.settings import MinerSettings
from tasks.miners.transport import transport_for
from tests.farm import vendor
from tests.farm.clock import NOON, Clock

STOCK = variants(["antminer-stock"])
LEGACY = variants(["antminer-legacy"])
SOCKET = variants(["cgminer-socket"], ["49.0.1.3"])


@pytest.fixture
async def farm():
    mix = (*STOCK, *LEGACY, *SOCKET)
    async with Farm(len(mix), port=0, clock=Clock(), mix=mix) as farm:
        yield farm


async def page(farm: Farm, index: int, name: str) -> Any:
    identity = farm.miners[index]
    async with httpx.AsyncClient(auth=httpx.DigestAuth(identity.username, identity.password)) as client:
        answer = await client.get(f"{identity.base_url}/cgi-bin/{name}.cgi")
    assert answer.status_code == 200
    return answer.json()


async def said(farm: Farm, index: int, command: str) -> Any:
    reader, writer = await asyncio.open_connection(farm.miners[index].address, farm.port)
    try:
        writer.write(json.dumps({"command": command}).encode())
        answer = await reader.read()
    finally:
        writer.close()
    return json.loads(answer.removesuffix(b"\x00"))


@pytest.mark.parametrize("name", ["stats", "summary", "get_system_info", "get_miner_conf"])
async def test_stock_pages_have_the_keys_of_a_recorded_s19(farm, name):
    ours, theirs = await page(farm, 0, name), vendor.read("antminer-stock-s19", "web", f"{name}.json")
    missing = _paths(theirs) - _paths(ours)
    unread = {
        ".api-listen", ".api-network", ".api-groups", ".api-allow", ".bitmain-use-vil", ".bitmain-ccdelay",
        ".bitmain-pwth", ".bitmain-hashrate-percent", ".STATUS.When", ".STATUS.Code", ".STATUS.Description",
    }  # fmt: skip
    assert missing <= unread


@pytest.mark.parametrize("name", ["stats", "summary", "pools", "get_system_info"])
async def test_elphapex_pages_have_the_keys_of_a_recorded_dg(farm, name):
    ours, theirs = await page(farm, 1, name), vendor.read("elphapex-scrypt", f"{name}.json")
    missing = {path.rpartition(".")[2] for path in _paths(theirs) - _paths(ours)}
    assert missing <= {
        "failrate", "hashrate", "rate_15m", "dev_sn", "hw_version", "timestamp", "Device Rejected%",
        "Device Total Rejected", "Device Total Work", "asic", "eeprom_loaded",
    }  # fmt: skip
    if name == "stats":
        assert {type(sensor) for chain in ours["STATS"][0]["chain"] for sensor in chain["temp_chip"]} == {str}


@pytest.mark.parametrize("command", ["stats", "summary", "pools", "version"])
async def test_socket_rows_have_keys_of_a_recorded_s19_pro(farm, command):
    index = len(STOCK) + len(LEGACY)
    ours, theirs = await said(farm, index, command), vendor.read("antminer-stock-rpc", f"{command}.json")
    (name,) = (key for key in theirs if key not in ("STATUS", "id"))
    known = set().union(*(set(row) for row in theirs[name]))
    assert set().union(*(set(row) for row in ours[name])) <= known
    refusal = await said(farm, index, "stats+summary")
    assert (refusal["STATUS"][0]["STATUS"], refusal["STATUS"][0]["Code"]) == ("E", 14)


async def test_the_old_status_is_text_throughout(farm):
    status = await page(farm, len(STOCK), "get_miner_status")
    leaves = [status[part] if isinstance(status[part], dict) else row for part in status for row in [*status[part]]]
    for row in leaves:
        assert all(isinstance(value, str) for value in row.values())
    truth = farm.truth(farm.miners[len(STOCK)].miner_id)
    assert float(status["summary"]["ghs5s"].replace(",", "")) * 1e9 == pytest.approx(truth.hashrate_hs, rel=1e-5)


async def test_nobody_comes_in_without_the_password_and_a_nonce_is_good_for_ten_minutes():
    clock = Clock()
    async with Farm(1, port=0, clock=clock, mix=STOCK) as farm:
        identity = farm.miners[0]
        url = f"{identity.base_url}/cgi-bin/stats.cgi"
        async with httpx.AsyncClient() as client:
            for auth in (None, (identity.username, identity.password), httpx.DigestAuth(identity.username, "wrong")):
                answer = await client.get(url, auth=auth)
                assert answer.status_code == 401
                assert answer.headers["www-authenticate"].startswith("Digest ")
            digest = httpx.DigestAuth(identity.username, identity.password)
            for _ in range(3):
                assert (await client.get(url, auth=digest)).status_code == 200
            answer = await client.get(url, auth=digest)
            again = await client.get(url, headers={"Authorization": answer.request.headers["Authorization"]})
            assert (again.status_code, "stale=true" in again.headers["www-authenticate"]) == (401, True)
            clock.now += 601
            old = {"Authorization": answer.request.headers["Authorization"]}
            assert "stale=true" in (await client.get(url, headers=old)).headers["www-authenticate"]


async def test_the_driver_lets_itself_in_once_and_again_when_the_nonce_is_stale():
    clock = Clock()
    async with Farm(1, port=0, clock=clock, mix=STOCK) as farm:
        (configured,) = farm.configuration()["miners"]
        target = MinerSettings(**configured).target()
        transport = Counting(transport_for(httpx.URL(target.base_url), connect_timeout_s=1.0, deadline_s=5.0))
        session = DRIVERS["antminer-stock"].session(target, transport)
        counts = []
        for _ in range(3):
            await session.telemetry(int(NOON))
            counts.append(transport.statuses.copy())
            transport.statuses.clear()
        assert counts == [[401, 200, 200, 200], [200] * 3, [200] * 3]
        clock.now += 601
        await session.telemetry(int(NOON))
        assert transport.statuses == [401, 200, 200, 200]
        await transport.aclose()


async def test_the_pools_passwords_stay_with_the_miner(farm):
    for identity, configured in zip(farm.miners, farm.configuration()["miners"], strict=True):
        target = MinerSettings(**configured).target()
        inner = transport_for(httpx.URL(target.base_url), connect_timeout_s=1.0, deadline_s=5.0)
        transport = Recording(inner, secrets=[target.password])
        session = DRIVERS[configured["driver"]].session(target, transport)
        read = repr((await session.telemetry(int(NOON)), await session.configuration(int(NOON))))
        kept = transport.taken()
        await transport.aclose()
        assert identity.password not in read
        assert identity.password not in repr(kept)
        asked = {payload.path for payload in kept if payload.status == 200}
        assert {"/cgi-bin/get_miner_conf.cgi", "POST /stats"} & asked
        assert f"lodeline.{identity.miner_id}" in read


async def test_a_fleets_power_is_that_of_those_who_tell_it():
    mix = (*STOCK[:1], *variants(["vnish-rest"])[:1])
    async with Farm(2, port=0, clock=Clock(), mix=mix) as farm:
        assert farm.fleet_truth().power_w == farm.truth("miner_0002").power_w
        farm.inject("miner_0001", Fault(kind="wrong_password", start=NOON - 1))
        assert farm.fleet_truth().failures == {"auth": 1}


class Counting(httpx.AsyncBaseTransport):
    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner
        self.statuses: list[int] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._inner.handle_async_request(request)
        self.statuses.append(response.status_code)
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


def _paths(value: Any, path: str = "") -> set[str]:
    if isinstance(value, dict):
        return set().union(*(_paths(each, f"{path}.{key}") for key, each in value.items()))
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return set().union(*(_paths(each, path) for each in value))
    return {path}


async def test_a_fleet_of_all_makes_is_read_whole():
    async with Farm(len(ALL_VARIANTS), port=0, clock=Clock(), mix=ALL_VARIANTS) as farm:
        miners = [MinerSettings.model_validate(each) for each in farm.configuration()["miners"]]
        fleet = Fleet(miners)
        outcome = await fleet.tick(int(NOON))
        await fleet.aclose()
        assert (outcome.polled, outcome.failed, outcome.configurations) == (len(miners), 0, len(miners))
        (settings,) = (frame for frame in outcome.frames if frame.measurement == "miner_configuration")
        read = dict(zip(settings.columns["miner_id"], settings.columns["algorithm"], strict=True))
        assert read == {each.miner_id: each.variant.model.algorithm for each in farm.miners}
        (telemetry,) = (frame for frame in outcome.frames if frame.measurement == "miner_telemetry")
        assert "quality_flags" not in telemetry.columns, "nothing to flag"
