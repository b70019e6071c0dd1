"""The socket API: one command, one answer, as a recorded miner gave it and as the truth has it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from deployments.farm import Farm, Fault, variants
from tests.farm import vendor
from tests.farm.clock import Clock

REST = variants(["vnish-rest"], ["1.2.7"])


@pytest.fixture
async def farm(unused_tcp_port: int):
    async with Farm(len(REST), port=0, clock=Clock(), mix=REST, socket_port=unused_tcp_port) as farm:
        yield farm


async def ask(farm: Farm, index: int, command: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(farm.miners[index].address, farm.socket_port)
    try:
        writer.write(command)
        return await reader.read()
    finally:
        writer.close()


async def said(farm: Farm, index: int, command: str) -> Any:
    answer = await ask(farm, index, json.dumps({"command": command}).encode())
    assert answer.endswith(b"\x00")
    return json.loads(answer[:-1])


@pytest.mark.parametrize("command", ["summary", "stats", "pools", "devdetails", "version"])
async def test_keys_are_those_of_a_real_miner(farm, command):
    recorded = vendor.recorded(command, "rpc")
    answer = await said(farm, 0, command)  # three boards, as the recorded one has
    lists = [key for key in recorded if key != "id"]
    assert [key for key in answer if key != "id"] == lists
    for key in lists:
        assert [set(row) for row in answer[key]] == [set(row) for row in recorded[key]]


async def test_figures_are_true(farm):
    for index, identity in enumerate(farm.miners):
        truth = farm.truth(identity.miner_id)
        unit = 1e9 if identity.variant.model.algorithm == "sha256d" else 1e6  # whatever the letters GHS say
        stats = (await said(farm, index, "stats"))["STATS"][1]
        assert float(stats["GHS 5s"]) * unit == pytest.approx(truth.hashrate_hs, rel=1e-6)
        assert sum(stats[f"chain_consumption{board.number}"] for board in truth.boards) == truth.power_w
        pools = (await said(farm, index, "pools"))["POOLS"]
        assert [pool["Accepted"] for pool in pools] == [pool.accepted for pool in truth.pools]
        summary = (await said(farm, index, "summary"))["SUMMARY"][0]
        assert summary["Accepted"] == sum(pool.accepted for pool in truth.pools)


async def test_faults_are_on_this_port_too(farm):
    miner_id = farm.miners[0].miner_id
    whole = await ask(farm, 0, b'{"command":"stats"}')
    farm.inject(miner_id, "truncated_json")
    assert await ask(farm, 0, b'{"command":"stats"}') == whole[: (len(whole) - 1) // 2] + b"\x00"
    farm.inject(miner_id, "hanging")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await ask(farm, 0, b'{"command":"stats"}')
    farm.inject(miner_id, Fault(kind="dead"))
    with pytest.raises(ConnectionRefusedError):
        await ask(farm, 0, b'{"command":"stats"}')


async def test_what_never_becomes_a_command_is_cut_off(farm):
    assert await ask(farm, 0, b"x" * 4097) == b""
