"""A simulated farm in a process of its own, so that its CPU is not counted to the poller."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx


@contextmanager
def farm(miners: int, folder: Path, *options: str, port: int = 0) -> Iterator[dict[str, Any]]:
    """Start ``miners`` simulated miners; yields what the farm says when ready, with ``control`` for faults, and its
    ``pid``."""
    command = [sys.executable, "-m", "deployments.farm", "--miners", str(miners), "--port", str(port)]
    command += ["--control-port", "0", "--write-config", str(folder), "--interval", "60", "--refresh-s", "60", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"the farm did not start: {' '.join(command)}")
        yield {**json.loads(line), "pid": process.pid}
    finally:
        process.terminate()
        process.wait()


def miners_of(said: dict[str, Any]) -> list[dict[str, Any]]:
    """The miners of a running farm, as its control port lists them."""
    found: list[dict[str, Any]] = httpx.get(f"{said['control']}/miners").json()
    return found


def hurt(said: dict[str, Any], miner: str, kind: str, **more: Any) -> None:
    """Inject a fault."""
    httpx.post(f"{said['control']}/faults", json={"miner": miner, "kind": kind, **more}).raise_for_status()
