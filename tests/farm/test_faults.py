"""Every fault as stock httpx meets it."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest

from deployments.farm import Farm, Fault, Identity
from tests.farm.clock import NOON


async def telemetry(client: httpx.AsyncClient, identity: Identity) -> httpx.Response:
    path = "/api/v1/summary" if identity.variant.dialect == "vnish-rest" else "/cgi-bin/stats.cgi"
    return await client.get(identity.base_url + path, auth=(identity.username, identity.password))


async def test_a_dead_miner_refuses_and_comes_back(farm, client):
    for identity in farm.miners:
        assert (await telemetry(client, identity)).status_code == 200
        farm.inject(identity.miner_id, "dead")
        with pytest.raises(httpx.ConnectError):
            await telemetry(client, identity)
        farm.clear(identity.miner_id)
        assert (await telemetry(client, identity)).status_code == 200


async def test_a_dead_miner_ends_the_connections_it_had(farm):
    identity = farm.miners[0]
    reader, writer = await asyncio.open_connection(identity.address, identity.port)
    writer.write(b"GET /api/v1/info HTTP/1.1\r\nHost: miner\r\n\r\n")
    await reader.readuntil(b"\r\n\r\n")
    farm.inject(identity.miner_id, "dead")
    assert (await reader.read()).endswith(b"}")
    assert reader.at_eof()
    writer.close()


async def test_a_death_that_was_scheduled_comes_and_goes_by_the_clock(farm, client, clock):
    identity = farm.miners[0]
    farm.inject(identity.miner_id, Fault(kind="dead", start=NOON + 60, end=NOON + 90))
    assert (await telemetry(client, identity)).status_code == 200
    clock.now = NOON + 60
    farm.settle()
    with pytest.raises(httpx.ConnectError):
        await telemetry(client, identity)
    clock.now = NOON + 90
    farm.settle()
    assert (await telemetry(client, identity)).status_code == 200


async def test_a_scheduled_death_needs_nobody_to_call(farm, clock):
    identity = farm.miners[0]
    farm.inject(identity.miner_id, Fault(kind="dead", start=NOON + 60))
    clock.now = NOON + 60
    async with asyncio.timeout(20):
        while True:
            try:
                _, writer = await asyncio.open_connection(identity.address, identity.port)
            except ConnectionRefusedError:
                break
            except ConnectionResetError:  # accepted while the listener closes
                continue
            writer.close()
            await asyncio.sleep(0.02)


async def test_a_hanging_miner_accepts_and_says_nothing(farm, client):
    for identity in farm.miners:
        farm.inject(identity.miner_id, "hanging")
        with pytest.raises(httpx.ReadTimeout):
            await telemetry(client, identity)


async def test_a_slow_drip_never_lets_a_read_time_out(farm, client):
    """The whole answer would take minutes, and each single read is quick: only a total deadline helps."""
    for identity in farm.miners:
        farm.inject(identity.miner_id, Fault(kind="slow_drip", bytes_per_s=20))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.0):
                await telemetry(client, identity)


async def test_a_fast_drip_arrives_whole(farm, client):
    identity = farm.miners[0]
    whole = await telemetry(client, identity)
    farm.inject(identity.miner_id, Fault(kind="slow_drip", bytes_per_s=20_000))
    assert (await telemetry(client, identity)).json().keys() == whole.json().keys()


async def test_an_internal_error_is_a_500(farm, client):
    for identity in farm.miners:
        farm.inject(identity.miner_id, "http_500")
        answer = await telemetry(client, identity)
        assert (answer.status_code, list(answer.json())) == (500, ["err"])


async def test_html_comes_with_status_200(farm, client):
    for identity in farm.miners:
        farm.inject(identity.miner_id, "html")
        answer = await telemetry(client, identity)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html")
        assert answer.text.startswith("<!DOCTYPE html>")


async def test_truncated_json_stops_half_way(farm, client):
    for identity in farm.miners:
        whole = await telemetry(client, identity)
        farm.inject(identity.miner_id, "truncated_json")
        answer = await telemetry(client, identity)
        assert answer.status_code == 200
        assert answer.content == whole.content[: len(whole.content) // 2]
        with pytest.raises(json.JSONDecodeError):
            answer.json()


async def test_a_wrong_password_closes_what_needs_one(farm, client):
    rest, cgi = farm.miners
    for identity in farm.miners:
        farm.inject(identity.miner_id, "wrong_password")
    assert (await telemetry(client, rest)).status_code == 200
    assert (await client.post(f"{rest.base_url}/api/v1/unlock", json={"pw": rest.password})).status_code == 403
    assert (await telemetry(client, cgi)).status_code == 401
    farm.clear(kind="wrong_password")
    assert (await telemetry(client, cgi)).status_code == 200


async def test_a_reboot_shows_at_once(farm, client):
    rest, cgi = farm.miners
    for identity in farm.miners:
        farm.inject(identity.miner_id, Fault(kind="reboot", boot_s=0))
    assert (await client.get(f"{rest.base_url}/api/v1/info")).json()["system"]["uptime"] == "0:00"
    assert (await telemetry(client, rest)).json()["miner"]["pools"][0]["accepted"] == 0
    data = (await telemetry(client, cgi)).json()["data"]
    assert (data["uptime"], data["shares"]["accepted"], data["shares"]["last_share_time"]) == (0, 0, None)


async def test_latency_delays_every_answer(clock):
    loop = asyncio.get_running_loop()
    async with Farm(1, port=0, clock=clock, latency_ms=50) as farm, httpx.AsyncClient() as client:
        (identity,) = farm.miners
        for fault, least in ((None, 0.05), (Fault(kind="latency", ms=100, ms_max=150), 0.15)):
            if fault is not None:
                farm.inject(identity.miner_id, fault)
            begun = loop.time()
            assert (await telemetry(client, identity)).status_code == 200
            assert loop.time() - begun >= least - 0.01


async def test_latency_of_one_does_not_delay_another():
    async with Farm(2, port=0) as farm, httpx.AsyncClient() as client:
        slow, quick = farm.miners
        farm.inject(slow.miner_id, Fault(kind="latency", ms=30_000))
        waiting = asyncio.create_task(telemetry(client, slow))
        for _ in range(20):
            assert (await telemetry(client, quick)).status_code == 200
        assert not waiting.done()
        waiting.cancel()


async def test_a_fault_shows_before_the_figures_are_next_renewed(farm, client, clock):
    """Figures are renewed on whole seconds; a fault does not wait for the next one, neither begin nor end."""
    identity = farm.miners[0]
    clock.now = NOON + 0.3
    farm.inject(identity.miner_id, Fault(kind="board_lost", board=1))
    for at in (NOON + 0.4, NOON + 1.2):
        clock.now = at
        chain = (await telemetry(client, identity)).json()["miner"]["chains"][0]
        assert (chain["status"]["state"], chain["hashrate_rt"]) == ("failure", 0)
        assert farm.truth(identity.miner_id).boards[0].lost
    farm.clear()
    clock.now = NOON + 1.3
    chain = (await telemetry(client, identity)).json()["miner"]["chains"][0]
    assert chain["status"]["state"] == "mining"
    assert not farm.truth(identity.miner_id).boards[0].lost


async def test_figures_are_the_same_until_they_are_renewed(farm, client, clock):
    identity = farm.miners[0]
    answers = []
    for at in (NOON, NOON + 0.9, NOON + 1):
        clock.now = at
        answers.append((await telemetry(client, identity)).content)
    assert answers[0] == answers[1] != answers[2]
