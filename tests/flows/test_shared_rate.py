"""The rate that hosts share by a limit of a real Prefect server: kept by two processes, and given up honestly."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tasks.collection_settings import CollectionSettings
from tasks.rates import shared_rates
from tasks.sources.paces import Paces, Rate, limit_of
from tasks.sources.shared_pace import LimitAway
from tests.prefect_server import PrefectServer

pytestmark = pytest.mark.prefect

HOST = """
import asyncio, json, sys, time
from pathlib import Path
from tasks.sources.paces import Paces, Rate
from tasks.sources.steps import place_at_limit

async def main(folder, per_minute, times):
    pace = Paces(Path(folder), hosts=2, ask=place_at_limit).of("probe", Rate(per_minute))
    print("ready", flush=True)
    sys.stdin.readline()
    sent = []
    for _ in range(times):
        await pace.wait()
        sent.append(time.time())
    print(json.dumps(sent))

asyncio.run(main(sys.argv[1], float(sys.argv[2]), int(sys.argv[3])))
"""
"""A host of its own: its state lies in a folder that the other does not see."""


async def limits(rates: dict[str, Rate]) -> dict[str, tuple[Any, int, float]]:
    """What a registration of ``rates`` leaves on the server."""
    from prefect.client.orchestration import get_client

    from deployments.prefect.deploy import register
    from deployments.prefect.plan import read_plan

    plan = read_plan().model_copy(update={"deployments": []})  # theirs is tested elsewhere
    made = (await register(plan, rates)).limits
    async with get_client() as client:
        found = [await client.read_global_concurrency_limit_by_name(name) for name in made]
    return {one.name: (one.id, one.limit, one.slot_decay_per_second) for one in found}


async def test_two_processes_keep_the_rate_together(api: PrefectServer, tmp_path: Path) -> None:
    """This process and another, each as a host of its own."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate

    from tasks.sources.steps import place_at_limit

    per_minute, times = 300.0, 5
    north = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HOST, str(tmp_path / "north"), str(per_minute), str(times),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        env={**os.environ, **api.prefect, "PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    try:
        async with get_client() as client:  # as an operator may: lodeline deploy makes them of the configuration
            await client.create_global_concurrency_limit(
                GlobalConcurrencyLimitCreate(name=limit_of("probe"), limit=1, slot_decay_per_second=per_minute / 60)
            )
        assert north.stdin is not None
        assert north.stdout is not None
        assert await north.stdout.readline() == b"ready\n"
        north.stdin.write(b"go\n")
        pace = Paces(tmp_path / "south", hosts=2, ask=place_at_limit).of("probe", Rate(per_minute))
        sent = []
        for _ in range(times):
            await pace.wait()
            sent.append(time.time())
        sent += json.loads((await north.communicate())[0])
    finally:
        if north.returncode is None:
            north.kill()
            await north.wait()
    sent.sort()
    assert len(sent) == 2 * times
    # Each alone would have sent a request every 0.2 s, both together one every 0.1 s. The moment that the limit counts
    # lies up to an answer's way before the one told here.
    assert sent[-1] - sent[0] >= (2 * times - 1) * 60 / per_minute - 0.15


async def test_deploying_twice_makes_each_limit_once_and_a_new_rate_is_taken(api: PrefectServer) -> None:
    settings = CollectionSettings.model_validate(
        {
            "sharing": {"hosts": 2},
            "pools": [
                {"id": "a", "kind": "viabtc", "api_key": "x"},
                {"id": "b", "kind": "mining_dutch", "state": "gone"},
            ],
            "market_data": {"coingecko": {"coins": ["bitcoin"], "api_key": "x"}, "network": {"enabled": False}},
        }
    )
    first = await limits(shared_rates(settings))
    # ViaBTC at 60 requests a minute and 10 at once, CoinGecko's demo plan at 30 a minute; who is gone is not asked
    assert {name: found[1:] for name, found in first.items()} == {
        "lodeline-viabtc": (10, 1.0),
        "lodeline-coingecko": (1, 0.5),
    }
    assert await limits(shared_rates(settings)) == first
    faster = await limits({"coingecko": Rate(120, 3)})
    assert faster == {"lodeline-coingecko": (first["lodeline-coingecko"][0], 3, 2.0)}
    assert shared_rates(settings.model_copy(update={"sharing": CollectionSettings().sharing})) == {}


def test_lodeline_deploy_makes_the_limits_of_a_configuration(
    api: PrefectServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import yaml
    from typer.testing import CliRunner

    from deployments.command import app
    from deployments.prefect.environment import QUIET
    from deployments.prefect.plan import PLAN_FILE

    for name in (*QUIET, "PREFECT_API_URL"):
        monkeypatch.setenv(name, "to be set back")
    monkeypatch.setenv("LODELINE_DATA_DIRECTORY", str(tmp_path))
    (tmp_path / "data_collection_config.yaml").write_text(
        "sharing: {hosts: 2}\nmarket_data: {coingecko: {coins: [bitcoin]}, network: {enabled: false}}\n"
    )
    plan = tmp_path / "plan.yaml"
    plan.write_text(yaml.safe_dump({**yaml.safe_load(PLAN_FILE.read_text()), "deployments": []}))
    command = ["deploy", "--api-url", api.url, "--file", str(plan), "--config", str(tmp_path)]
    first = CliRunner().invoke(app, [*command, "--json"])
    assert first.exit_code == 0, first.output
    assert json.loads(first.stdout)["limits"].keys() == {"lodeline-coingecko"}
    assert CliRunner().invoke(app, [*command, "--json"]).stdout == first.stdout
    assert "Limit lodeline-coingecko\n" in CliRunner().invoke(app, command).stdout


async def test_a_limit_that_nobody_made_lets_nobody_pass(api: PrefectServer) -> None:
    from tasks.sources.steps import place_at_limit

    with pytest.raises(LimitAway, match="has no limit lodeline-nobody; lodeline deploy makes it"):
        await place_at_limit(limit_of("nobody"))


async def test_a_server_that_is_away_is_said_so() -> None:
    from prefect.settings import PREFECT_API_URL, temporary_settings

    from tasks.sources.steps import place_at_limit

    with (
        temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}),
        pytest.raises(LimitAway, match="the Prefect server does not answer"),
    ):
        await place_at_limit(limit_of("probe"))
