"""The farm as a process of its own, its control interface, and the configuration it writes."""

from __future__ import annotations

import asyncio
import json
import signal
import stat
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

import deployments.farm
from deployments.farm import ALL_VARIANTS, DEFAULT_MIX, FAULT_KINDS, Farm, variants
from deployments.farm.__main__ import main
from deployments.farm.control import Control
from deployments.farm.markets.service import FAULT_KINDS as SERVICE_FAULT_KINDS
from tasks.miners.settings import MinerSettings
from tests.farm.clock import NOON, Clock


@asynccontextmanager
async def process(*arguments: str):
    farm = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "deployments.farm", *arguments, stdout=asyncio.subprocess.PIPE
    )
    assert farm.stdout is not None
    try:
        async with asyncio.timeout(60):
            ready = json.loads(await farm.stdout.readline())
        yield farm, ready
    finally:
        if farm.returncode is None:
            farm.kill()
        await farm.wait()


def configured_miners(ready: dict[str, Any]) -> Any:
    return yaml.safe_load(Path(ready["configuration"]).read_text(encoding="utf-8"))["miners"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_farm_starts_is_polled_is_hurt_and_stops(tmp_path, number):
    arguments = ["--miners", "8", "--port", "0", "--control-port", "0", "--interval", "7"]
    arguments += ["--write-config", str(tmp_path / "config")]
    async with process(*arguments) as (farm, ready), httpx.AsyncClient() as client:
        assert ready["miners"] == 8
        miners = (await client.get(f"{ready['control']}/miners")).json()
        assert [miner["dialect"] for miner in miners] == [variant.dialect for variant in DEFAULT_MIX]
        configured = configured_miners(ready)
        assert [(miner["ip"], miner["port"], miner["id"]) for miner in configured] == [
            (miner["address"], ready["port"], miner["miner_id"]) for miner in miners
        ]
        url = f"http://{miners[0]['address']}:{miners[0]['port']}/api/v1/summary"
        assert (await client.get(url)).json()["miner"]["hr_realtime"] > 0
        body = {"miner": miners[0]["miner_id"], "kind": "dead"}
        assert (await client.post(f"{ready['control']}/faults", json=body)).status_code == 201
        with pytest.raises(httpx.ConnectError):
            await client.get(url)
        assert (await client.get(f"{ready['control']}/fleet")).json()["failures"] == {"refused": 1}
        farm.send_signal(number)
        async with asyncio.timeout(30):
            assert await farm.wait() == 0


def test_what_cannot_run_is_said_in_one_line(capsys):
    for arguments, words in (
        (["--first-address", "10.0.0.1"], "farm: 24 miners from 10.0.0.1"),
        (["--dialect", "braiins"], "farm: no simulated miner is like that; there are antminer-legacy 2.0.0"),
        (["--miners", "0"], "farm: a farm has at least 1 miner"),
    ):
        assert main(arguments) == 2
        output = capsys.readouterr()
        assert (output.out, words in output.err, output.err.count("\n")) == ("", True, 1)
    with pytest.raises(SystemExit):
        main(["--latency-ms", "soon"])
    assert "50-200" in capsys.readouterr().err


@pytest.fixture
async def control():
    async with (
        Farm(3, port=0, clock=Clock()) as farm,
        Control(farm, 0) as control,
        httpx.AsyncClient(base_url=control.url) as client,
    ):
        yield farm, client


async def test_control_tells_the_truth(control):
    farm, client = control
    truth = (await client.get("/truth", params={"miner": "miner_0002", "at": NOON - 60})).json()
    assert truth["hashrate_hs"] == farm.truth("miner_0002", NOON - 60).hashrate_hs
    everyone = (await client.get("/truth")).json()
    assert [one["miner_id"] for one in everyone] == ["miner_0001", "miner_0002", "miner_0003"]
    assert (await client.get("/fleet")).json()["power_w"] == farm.fleet_truth(NOON).power_w
    text = (await client.get("/miners")).text
    assert not any(identity.password in text or identity.api_key in text for identity in farm.miners)


async def test_control_injects_and_ends_faults(control):
    farm, client = control
    answer = await client.post("/faults", json={"miner": "miner_0001", "kind": "board_lost", "board": 2})
    assert (answer.status_code, answer.json()) == (201, {"kind": "board_lost", "start": NOON, "board": 2})
    assert farm.truth("miner_0001").faults == ("board_lost",)
    assert (await client.delete("/faults", params={"kind": "html"})).json() == {"ended": 0}
    assert (await client.delete("/faults", params={"miner": "miner_0001"})).json() == {"ended": 1}
    assert farm.truth("miner_0001").faults == ()


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"miner": "miner_0001", "kind": "board_lost"}, 400, "board_lost needs board"),
        ({"miner": "miner_0001", "kind": "gremlins"}, 400, "Invalid enum value 'gremlins'"),
        ({"miner": "miner_0001", "kind": "dead", "when": 1}, 400, "unknown field `when`"),
        ({"kind": "dead"}, 400, 'needs "miner"'),
        ({"miner": "miner_9999", "kind": "dead"}, 404, "no miner 'miner_9999'"),
        ([], 400, "Expected `object`"),
    ],
)
async def test_control_says_what_is_wrong(control, body: Any, status, words):
    _, client = control
    answer = await client.post("/faults", json=body)
    assert answer.status_code == status
    assert words in answer.json()["err"]


async def test_control_refuses_other_questions(control):
    _, client = control
    assert (await client.get("/truth", params={"at": "noon"})).status_code == 400
    assert (await client.get("/truth", params={"miner": "nobody"})).status_code == 404
    assert (await client.delete("/faults", params={"kind": "gremlins"})).status_code == 400
    assert (await client.get("/elsewhere")).status_code == 404


def test_the_configuration_is_one_that_the_product_takes(tmp_path):
    farm = Farm(30, port=4081)
    path = farm.write_configuration(tmp_path / "new" / "folder", polling_interval_seconds=15)
    configured = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert path.name == "data_collection_config.yaml"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    miners = [MinerSettings(**miner) for miner in configured["miners"]]
    for settings, identity in zip(miners, farm.miners, strict=True):
        assert (settings.id, settings.ip, settings.port) == (identity.miner_id, identity.address, 4081)
        assert settings.driver == identity.variant.dialect
        assert settings.password is not None
        assert settings.password.get_secret_value() == identity.password
        assert settings.polling_interval_seconds == 15
    assert len({miner.password for miner in miners}) == 30
    assert {miner.site for miner in miners} == {"north", "south"}


def test_four_miners_show_both_dialects_and_both_algorithms():
    first = [identity.variant for identity in Farm(4).miners]
    assert {variant.dialect for variant in first} == {"vnish-rest", "vnish-cgi"}
    assert {variant.model.algorithm for variant in first} == {"sha256d", "scrypt"}
    assert {variant.firmware for variant in variants(["vnish-rest"])} == {"1.2.7", "1.3.4"}
    assert variants(["all"]) == ALL_VARIANTS
    assert variants() == DEFAULT_MIX


def test_passwords_do_not_show_when_a_miner_is_printed():
    identity = Farm(1).miners[0]
    assert identity.password not in repr(identity)
    assert identity.api_key not in repr(identity)


def test_faults_are_all_listed_in_the_room_s_readme():
    readme = Path(deployments.farm.__file__).with_name("README.md").read_text(encoding="utf-8")
    assert all(f"`{kind}`" in readme for kind in (*FAULT_KINDS, *SERVICE_FAULT_KINDS))
