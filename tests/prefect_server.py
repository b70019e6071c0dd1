"""One Prefect server for all tests, in a process of its own: workers and automations need a real one.

One for all folders: Prefect sends the events of task runs through a worker that is made once a process, to the server
of then. A second server would wait for them in vain.
"""

from __future__ import annotations

import asyncio
import gc
import os
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from deployments.up import processes
from deployments.up.child import Child
from deployments.up.ports import free_port

GIVES_UP_S = 240
"""No limit of the product: a busy machine takes several times as long as a quiet one."""


class PrefectServer:
    """A server on a free port that can be stopped and started again on the same data."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.port = free_port()
        self.prefect = processes.own_prefect(home / "prefect", self.port)
        self.url = self.prefect["PREFECT_API_URL"]
        self.child: Child | None = None

    def start(self) -> None:
        environ = processes.server_environment(self.prefect)
        self.child = Child("prefect", processes.server_command(self.port), environ, self.home / "logs")
        until(self.answers, f"the Prefect server; its log is {self.child.log}")

    def answers(self) -> bool:
        assert self.child is not None
        self.child.check()
        try:
            return httpx.get(f"{self.url}/health", timeout=2, trust_env=False).status_code == 200
        except httpx.HTTPError:
            return False

    def stop(self) -> None:
        assert self.child is not None
        asyncio.run(self.child.stop(15))

    def flow_environment(self, data: Path, config: Path) -> dict[str, str]:
        """Environment of flows and workers with their own data and configuration."""
        root = str(Path(__file__).parents[1])
        mine = {"LODELINE_DATA_DIRECTORY": str(data), "LODELINE_CONFIG": str(config), "PYTHONPATH": root}
        return processes.worker_environment({**processes.without_prefect(os.environ), **mine}, self.prefect)


def until(condition: Callable[[], object], what: str, within_s: float = GIVES_UP_S) -> None:
    give_up = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < give_up, f"waited {within_s} s in vain for {what}"
        time.sleep(0.05)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrefectServer]:
    server = PrefectServer(tmp_path_factory.mktemp("prefect"))
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def api(server: PrefectServer) -> Iterator[PrefectServer]:
    """The server, with Prefect of this process speaking to it; heartbeats off, which would cost 1 s per flow."""
    from prefect.settings import (
        PREFECT_API_URL,
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
        PREFECT_LOGGING_TO_API_ENABLED,
        temporary_settings,
    )

    ours = {
        PREFECT_API_URL: server.url,
        PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None,
        PREFECT_LOGGING_TO_API_ENABLED: False,  # at exit it would try for a minute to reach the stopped server
    }
    with temporary_settings(ours):
        yield server


@pytest.fixture
def collected() -> Iterator[None]:
    """Has what Prefect leaves to the garbage collector collected here, so that no later test is blamed for it."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture
def children(tmp_path: Path) -> Iterator[Callable[..., Child]]:
    """Starts processes that end with the test: ``children(name, arguments, environ)``."""
    started: list[Child] = []

    def start(name: str, arguments: list[str], environ: dict[str, str]) -> Child:
        started.append(Child(name, arguments, environ, tmp_path / "logs"))
        return started[-1]

    yield start
    for child in reversed(started):
        child.kill()
