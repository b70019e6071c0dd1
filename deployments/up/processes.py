"""The commands and environments of the processes that ``lodeline up`` starts."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from deployments.prefect.environment import QUIET, SERVER, WORKER
from deployments.up.ports import LOOPBACK
from tasks.sources.lanes import MARKET, POOLS

SHIFT = "collect-miners/collect-miners"
SOURCE_SHIFTS = {POOLS: "collect-pools/collect-pools", MARKET: "collect-market/collect-market"}
"""Shifts by their lane, that are only started where somebody is to be asked."""
SOON = {"downsample/downsample": 10.0, "maintain-lake/maintain-lake": 25.0, "watch-alerts/watch-alerts": 32.0}
"""Deployments that run soon after the first tick, in seconds, and by their schedule from then on."""
SOON_OF_LANE = {MARKET: {"derive-market/derive-market": 60.0}, POOLS: {"derive-pools/derive-pools": 75.0}}
"""The same for what a lane collects: by then a year of daily closes has come."""

SOON_TO_FAKE = {
    "publish-features/publish-features": 40.0,
    "export-features/export-features": 75.0,
    "fetch-predictions/fetch-predictions": 140.0,
}
"""The same where exports go to a fake of Abacus.AI, so that there is something to see."""


def farm_command(
    miners: int, seed: int, interval_s: int, config: Path, dialects: Sequence[str] = (), *, services: bool = False
) -> list[str]:
    """The simulated farm on free ports, which writes its configuration to ``config``; ``services``: of its pools and
    markets too."""
    options = {"--miners": miners, "--seed": seed, "--interval": interval_s, "--port": 0, "--control-port": 0}
    listed = [str(word) for option in options.items() for word in option]
    listed += [word for dialect in dialects for word in ("--dialect", dialect)]
    listed += ["--services"] if services else []
    return ["-m", "deployments.farm", *listed, "--write-config", str(config)]


def server_command(port: int) -> list[str]:
    """The Prefect server with its UI."""
    return ["-m", "prefect", "server", "start", "--host", LOOPBACK, "--port", str(port)]


def deploy_command() -> list[str]:
    """``lodeline deploy`` for this host alone, which tells what it registered as one line of JSON."""
    return ["-c", "from deployments.command import main; main()", "deploy", "--json", "--one-host"]


def worker_command(pool: str) -> list[str]:
    """A process worker of ``pool``."""
    name = f"up-{socket.gethostname()}"
    return ["-m", "prefect", "worker", "start", "--pool", pool, "--type", "process", "--name", name]


def fake_abacus_command(port: int, state: Path) -> list[str]:
    """The fake of Abacus.AI on ``port``, which keeps what it holds in ``state``."""
    return ["-m", "deployments.farm.abacus", "--port", str(port), "--state", str(state)]


def page_command(port: int) -> list[str]:
    """The live page."""
    return ["-m", "deployments.page", "--port", str(port)]


def own_prefect(home: Path, port: int) -> dict[str, str]:
    """Variables of everything that speaks to the server which we start on ``port``."""
    return {**QUIET, "PREFECT_HOME": str(home), "PREFECT_API_URL": f"http://{LOOPBACK}:{port}/api"}


def foreign_prefect(api_url: str) -> dict[str, str]:
    """Variables of everything that speaks to a server which runs already; how to get in is the user's to say."""
    own = {name: value for name, value in os.environ.items() if name.startswith("PREFECT_")}
    return {**own, **QUIET, "PREFECT_API_URL": api_url}


def without_prefect(environ: Mapping[str, str]) -> dict[str, str]:
    """``environ`` without the user's own Prefect settings, which belong to another server."""
    return {name: value for name, value in environ.items() if not name.startswith("PREFECT_")}


def speak_to(prefect: Mapping[str, str]) -> None:
    """Let this process speak to the server of ``prefect``, before it imports Prefect, and to no other."""
    for name in [name for name in os.environ if name.startswith("PREFECT_")]:
        del os.environ[name]
    os.environ.update(prefect)


def server_environment(prefect: Mapping[str, str]) -> dict[str, str]:
    """Environment of the Prefect server.

    It unpacks its UI beside its own code; where that is read-only, as for a service, into its home.
    """
    found = find_spec("prefect")
    code = Path(found.origin).parent / "server" if found is not None and found.origin else None
    if code is not None and not os.access(code, os.W_OK):
        prefect = {**prefect, "PREFECT_SERVER_UI_STATIC_DIRECTORY": str(Path(prefect["PREFECT_HOME"]) / "ui")}
    return {**without_prefect(os.environ), **prefect, **SERVER, "PREFECT_UI_API_URL": prefect["PREFECT_API_URL"]}


def worker_environment(environ: Mapping[str, str], prefect: Mapping[str, str]) -> dict[str, str]:
    """Environment of the worker, and so of all flows."""
    return {**environ, **prefect, **WORKER}
