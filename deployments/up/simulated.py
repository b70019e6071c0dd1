"""What of the world is simulated by ``lodeline up``: miners, their pools and markets, and Abacus.AI."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from deployments.farm.abacus import configuration as fake_abacus
from deployments.settings import load_settings
from deployments.up import processes
from deployments.up.children import Children
from deployments.up.ports import free_port
from deployments.up.summary import Summary

START_S = 60.0
_PATIENCE_S = 2.0


@dataclass(frozen=True, slots=True)
class Simulated:
    """What is simulated where nothing is configured: so many ``miners``, polled every ``interval_s``, of ``dialects``
    (none: VNish's); ``services``: their pools and markets too."""

    miners: int
    seed: int
    interval_s: int
    dialects: Sequence[str]
    services: bool


async def start_farm(
    asked: Simulated, data_directory: Path, children: Children, summary: Summary, say: Callable[[str], None]
) -> Path:
    """Start the farm; the folder of the configuration that it wrote."""
    folder = data_directory / "farm"
    command = processes.farm_command(
        asked.miners, asked.seed, asked.interval_s, folder, asked.dialects, services=asked.services
    )
    farm = children.start("farm", command, processes.without_prefect(os.environ))
    say(f"No configuration given: waiting for {asked.miners} simulated miners ...")
    told = await children.until_told("the simulated farm", farm, START_S + asked.miners / 50)
    summary.urls["farm"] = told["control"]
    summary.simulated = ["miners", *told.get("services", ())]
    say(f"Simulated: {', '.join(summary.simulated)}. Their faults: {told['control']}/faults")
    load_settings(folder)  # what the farm wrote is checked like anybody's
    say(f"In a second terminal: export LODELINE_CONFIG={shlex.quote(str(folder.absolute()))}")
    return folder


async def start_fake_abacus(
    data_directory: Path, children: Children, summary: Summary, say: Callable[[str], None]
) -> None:
    """Start the fake of Abacus.AI, and have all that is started from now on export to it."""
    key = fake_abacus.fresh_key()
    command = processes.fake_abacus_command(free_port(), data_directory / "fake-abacus" / "abacus.sqlite")
    child = children.start("abacus", command, {**os.environ, fake_abacus.KEY: key})
    url = (await children.until_told("the fake of Abacus.AI", child, START_S))["url"]
    os.environ.update(fake_abacus.variables(url, key))
    summary.urls["fake_abacus"] = url
    summary.fake_abacus = {}
    say(f"A FAKE of Abacus.AI listens at {url}: exports go there, nothing goes to the service")


async def ask_fake_abacus(summary: Summary) -> None:
    """What it holds, for the summary."""
    if "fake_abacus" in summary.urls:
        async with httpx.AsyncClient(timeout=_PATIENCE_S, trust_env=False) as client:
            told = (await client.get(f"{summary.urls['fake_abacus']}/fake")).json()
        summary.fake_abacus, summary.fake_predicted = told["rows"], told["predicted"]
