"""Every fault as stock httpx meets it."""

from __future__ import annotations

import asyncio
import json
import resource
import socket
from typing import Any

import httpx
import pytest

from deployments.farm import FAULT_KINDS, Farm, FarmError, Fault, Identity, variants
from deployments.farm.faults import check
from deployments.farm.listener import allow_open_files
from tests.farm.clock import NOON, Clock

ONE_OF_EACH = (*variants(["vnish-rest"])[:1], *variants(["vnish-cgi"])[:1])


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def farm(clock):
    async with Farm(2, port=0, clock=clock, mix=ONE_OF_EACH) as farm:
        yield farm


@pytest.fixture
async def client():
    async with httpx.AsyncClient(timeout=httpx.Timeout(5, read=0.3)) as client:
        yield client


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


async def test_truth_knows_when_a_fault_is_on(farm, clock):
    identity = farm.miners[0]
    fault = farm.inject(identity.miner_id, Fault(kind="http_500", start=NOON + 10, end=NOON + 20))
    expected = {NOON + 9.99: (), NOON + 10: ("http_500",), NOON + 19.99: ("http_500",), NOON + 20: ()}
    for at, kinds in expected.items():
        assert farm.truth(identity.miner_id, at).faults == kinds
    clock.now = NOON + 15
    assert farm.clear(identity.miner_id) == 1
    assert farm.truth(identity.miner_id, NOON + 12).faults == ("http_500",)
    assert farm.truth(identity.miner_id, NOON + 15).faults == ()
    assert fault.end == NOON + 20


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


async def test_clearing_keeps_what_was_and_forgets_what_would_have_come(farm, clock):
    one, other = farm.miners
    farm.inject(one.miner_id, Fault(kind="reboot", start=NOON - 100))
    farm.inject(one.miner_id, Fault(kind="html", start=NOON + 100))
    farm.inject(other.miner_id, "http_500")
    assert farm.clear() == 2
    clock.now = NOON + 200
    assert farm.truth(one.miner_id).booted_at == NOON - 100
    assert farm.truth(one.miner_id).faults == farm.truth(other.miner_id).faults == ()


async def test_fleet_truth_counts_only_who_answers(farm):
    rest, cgi = farm.miners
    farm.inject(cgi.miner_id, "html")
    fleet = farm.fleet_truth()
    truth = farm.truth(rest.miner_id)
    assert (fleet.miners, fleet.answering, fleet.failures) == (2, 1, {"not_json": 1})
    assert fleet.by_state == {"mining": 1, "unreachable": 1}
    assert fleet.hashrate_hs == {"sha256d": truth.hashrate_hs}
    assert fleet.power_w == truth.power_w


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"kind": "board_lost"}, "board_lost needs board, 1 to 3"),
        ({"kind": "board_lost", "board": 4}, "1 to 3"),
        ({"kind": "fan_lost", "fan": 4}, "0 to 3"),
        ({"kind": "latency"}, "latency needs ms"),
        ({"kind": "latency", "ms": 10, "ms_max": 5}, "ms_max >= ms"),
        ({"kind": "html", "board": 1}, "board has no meaning for html"),
        ({"kind": "html", "start": 5, "end": 5}, "must be after start"),
        ({"kind": "slow_drip", "bytes_per_s": 0}, "bytes_per_s must be above 0"),
    ],
)
def test_faults_that_make_no_sense_are_refused(fields: dict[str, Any], words):
    with pytest.raises(ValueError, match=words):
        check(Fault(**fields), boards=3, fans=4)


def test_every_fault_is_explained():
    assert Fault.__doc__ is not None
    assert all(f"    {kind} " in Fault.__doc__ for kind in FAULT_KINDS)


def test_an_unknown_miner_is_named():
    with pytest.raises(KeyError, match="no miner 'miner_9'; they are miner_0001 to miner_0002"):
        Farm(2).inject("miner_9", "dead")


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


DAY_S = 86_400.0


def _farm(clock: Clock, fault: Fault) -> tuple[Farm, str]:
    farm = Farm(1, clock=clock, seed=3, mix=ONE_OF_EACH[:1])
    farm.inject("miner_0001", fault)
    return farm, "miner_0001"


def test_a_throttled_miner_delivers_its_part_and_says_that_it_mines(clock):
    """Hashes of an hour at 0.7 are 0.7 of an hour's; at 0 there is nothing, and no share."""
    well = Farm(1, clock=clock, seed=3, mix=ONE_OF_EACH[:1])
    hour = [well.truth("miner_0001", at).hashes_delivered for at in (NOON, NOON + 3_600)]
    for ratio in (0.7, 0.0):
        farm, miner = _farm(clock, Fault(kind="throttled", ratio=ratio, start=NOON))
        before, after = farm.truth(miner, NOON), farm.truth(miner, NOON + 3_600)
        assert after.hashes_delivered - before.hashes_delivered == pytest.approx(ratio * (hour[1] - hour[0]))
        assert (after.state, after.powered) == ("mining", True)
        assert (after.shares_accepted > before.shares_accepted) == (ratio > 0)
        assert after.last_share_at is not None
        assert (after.last_share_at <= NOON) == (ratio == 0)


def test_held_fans_leave_the_chips_hot_and_the_hashrate_lower(clock):
    farm, miner = _farm(clock, Fault(kind="fans_held", start=NOON))
    before, after = farm.truth(miner, NOON - 1), farm.truth(miner, NOON + 600)
    assert after.chip_temp_max_c is not None
    assert 85 < after.chip_temp_max_c < 95
    assert after.fan_duty_percent == 30
    assert after.hashrate_hs / before.hashrate_hs == pytest.approx(0.8, rel=0.05)


def test_a_frozen_firmware_says_the_same_for_ever_and_its_pool_sees_it_work(clock):
    farm, miner = _farm(clock, Fault(kind="frozen", start=NOON))
    clock.now = NOON + 3_600
    assert farm.truth(miner) == farm.truth(miner, NOON)
    assert farm.pool_side(miner).shares_accepted > farm.truth(miner).shares_accepted


def test_a_thief_gets_the_work_and_the_miner_counts_on(clock):
    """Its pool has nothing more from the second of the change; the miner's own counters go on, at the thief's pool."""
    farm, miner = _farm(
        clock, Fault(kind="pool_changed", url="x.invalid:1", user="thief.1", start=NOON, end=NOON + 7200)
    )
    before, after, back = (farm.truth(miner, NOON + at) for at in (0, 3_600, 10_800))
    assert (after.pools[0].url, after.pools[0].user) == ("x.invalid:1", "thief.1")
    assert back.pools[0].user == "lodeline.miner_0001"
    assert after.shares_accepted > before.shares_accepted
    assert after.credit.accepted == before.credit.accepted
    assert back.credit.accepted > after.credit.accepted
    assert after.accepted_fraction == 0.0
    assert back.accepted_fraction == pytest.approx(0.972, abs=0.012)
    assert farm.accepted_work(miner, NOON, NOON + 7_200) == 0
    assert after.credit.last_share_at == pytest.approx(NOON, abs=600)


def test_who_skims_takes_his_part_and_nobody_says_so(clock):
    well = Farm(1, clock=clock, seed=3, mix=ONE_OF_EACH[:1])
    farm, miner = _farm(clock, Fault(kind="skimmed", ratio=0.5, start=NOON))
    after = farm.truth(miner, NOON + DAY_S)
    assert after.hashrate_hs == well.truth(miner, NOON + DAY_S).hashrate_hs
    assert after.pools[0].url == well.truth(miner, NOON + DAY_S).pools[0].url
    whole = well.accepted_work(miner, NOON, NOON + DAY_S)
    assert farm.accepted_work(miner, NOON, NOON + DAY_S) == pytest.approx(whole / 2, rel=0.1)  # luck of 2,000 shares


def test_refused_shares_are_counted_as_rejected_on_both_sides(clock):
    farm, miner = _farm(clock, Fault(kind="shares_refused", ratio=0.3, start=NOON))
    before, after = farm.truth(miner, NOON), farm.truth(miner, NOON + DAY_S)
    told = [after.shares_rejected - before.shares_rejected, after.shares_accepted - before.shares_accepted]
    assert told[0] / sum(told) == pytest.approx(0.3, abs=0.05)
    assert after.credit.rejected == after.shares_rejected
    assert farm.refused_ratio(miner, NOON, NOON + DAY_S) == pytest.approx(0.3, abs=0.02)
    assert farm.refused_ratio(miner, NOON - DAY_S, NOON) < 0.02


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault(kind="throttled"), "throttled needs ratio"),
        (Fault(kind="skimmed", ratio=1.5), "skimmed needs ratio, from 0 to 1, not 1.5"),
        (Fault(kind="pool_changed", url="x.invalid:1"), "pool_changed needs url and user"),
        (Fault(kind="paused", ratio=0.5), "ratio has no meaning for paused"),
    ],
)
def test_what_a_new_fault_lacks_is_said(fault, words):
    with pytest.raises(ValueError, match=words):
        check(fault, boards=3, fans=4)
