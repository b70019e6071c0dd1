"""A Dask cluster of processes on loopback."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from deployments.up.child import Child
from deployments.up.ports import free_port
from tests.prefect_server import until


class Cluster:
    """A scheduler and its workers, of one thread each."""

    def __init__(self, start: Callable[..., Child], root: Path) -> None:
        self.port = free_port()
        self.address = f"tcp://127.0.0.1:{self.port}"
        self._start = start
        self._environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        self._root = root
        arguments = ["--host", "127.0.0.1", "--port", str(self.port), "--no-dashboard"]
        self.scheduler = self._started("scheduler", "distributed.cli.dask_scheduler", arguments)
        self.workers: list[Child] = []

    def add_worker(self, *further: str) -> Child:
        name = f"worker{len(self.workers)}"
        arguments = [
            self.address, "--host", "127.0.0.1", "--nthreads", "1", "--no-nanny", "--no-dashboard", "--name", name,
            "--local-directory", str(self._root / name), *further,
        ]  # fmt: skip
        self.workers.append(self._started(name, "distributed.cli.dask_worker", arguments))
        return self.workers[-1]

    def wait_for(self, workers: int) -> None:
        """Wait until so many workers have come."""
        until(lambda: self.scheduler.log.read_text().count("Register worker") >= workers, f"{workers} Dask workers")

    def _started(self, name: str, module: str, arguments: list[str]) -> Child:
        child = self._start(name, ["-m", module, *arguments], self._environ)

        def is_up() -> bool:
            child.check()
            return "at:" in child.log.read_text()

        until(is_up, f"{name}; its log is {child.log}")
        return child


@pytest.fixture
def cluster(children, tmp_path) -> Cluster:
    return Cluster(children, tmp_path / "dask")
