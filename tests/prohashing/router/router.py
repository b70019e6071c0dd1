"""Crossbar as a process of the tests: started, frozen, killed, started again on the same ports."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any, NamedTuple

import pytest

SALT, ITERATIONS, KEY_LENGTH = "salt-4711", 100, 32
TICKET = "planted-ticket-77aa"
SALTED_SECRET = "planted-salted-88bb"
POOL_TICKET = "pool-side"
_BINARY = Path(__file__).parents[3] / ".venv-router" / "bin" / "crossbar"
_STARTS_WITHIN_S = 90.0


def binary() -> str:
    """Crossbar's program; skips without it, and fails where services are required."""
    if _BINARY.is_file():
        return str(_BINARY)
    message = "crossbar is not installed (make .venv-router/.complete); the tests that need it did not run"
    if os.environ.get("LODELINE_REQUIRE_SERVICES") == "1":
        pytest.fail(message)
    pytest.skip(message)


class Ports(NamedTuple):
    """Where it listens: to all kinds of logins, and under TLS."""

    plain: int
    secure: int


class Router:
    """A router in ``folder`` with certificate and key ``cert.pem`` and ``key.pem`` in it."""

    def __init__(self, program: str, folder: Path) -> None:
        self._program = program
        self.folder = folder
        self.ports = Ports(_free_port(), _free_port())
        (folder / "config.json").write_text(json.dumps(_configuration(self.ports)), encoding="utf-8")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Without TLS."""
        return f"ws://127.0.0.1:{self.ports.plain}/ws"

    @property
    def secure_url(self) -> str:
        """With TLS."""
        return f"wss://127.0.0.1:{self.ports.secure}/ws"

    def start(self) -> None:
        """Start it; it listens when this returns."""
        with (self.folder / "log.txt").open("ab") as log:
            self._process = subprocess.Popen(
                [self._program, "start", "--cbdir", str(self.folder), "--loglevel", "warn"],
                stdout=log, stderr=log, cwd=self.folder, start_new_session=True,
                env={"PATH": os.environ["PATH"], "HOME": str(self.folder), "NO_COLOR": "1"},
            )  # fmt: skip
        end = time.monotonic() + _STARTS_WITHIN_S
        for port in self.ports:
            while not _listens(port):
                if self._process.poll() is not None or time.monotonic() > end:
                    self.kill()
                    pytest.fail(f"crossbar does not start: {(self.folder / 'log.txt').read_text()[-2000:]}")
                time.sleep(0.1)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to controller and worker."""
        if self._process is not None:
            os.killpg(self._process.pid, number)

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None:
            self.signal(signal.SIGKILL)
            self._process.wait()
            self._process = None
            (self.folder / "node.pid").unlink(missing_ok=True)


def _configuration(ports: Ports) -> dict[str, Any]:
    everything = {"call": True, "register": True, "publish": True, "subscribe": True}
    listening = {"call": True, "register": False, "publish": False, "subscribe": True}

    def role(name: str, allow: dict[str, bool]) -> dict[str, Any]:
        permission = {"uri": "", "match": "prefix", "allow": allow, "disclose": {"caller": False, "publisher": False}}
        return {"name": name, "permissions": [permission]}

    realms = [
        {"name": name, "roles": [role("listener", listening), role("pool", everything)]}
        for name in ("realm1", "mining")
    ]
    salted = {"secret": SALTED_SECRET, "salt": SALT, "iterations": ITERATIONS, "keylen": KEY_LENGTH, "role": "listener"}
    login = {
        "anonymous": {"type": "static", "role": "listener"},
        "ticket": {
            "type": "static",
            "principals": {
                "pool": {"ticket": POOL_TICKET, "role": "pool"},
                "farm": {"ticket": TICKET, "role": "listener"},
            },
        },
        "wampcra": {"type": "static", "users": {"web": {"secret": "web", "role": "listener"}, "salted": salted}},
    }
    transports = [
        {
            "type": "websocket",
            "endpoint": {"type": "tcp", "interface": "127.0.0.1", "port": port, **({"tls": tls} if tls else {})},
            "auth": login,
        }
        for port, tls in ((ports.plain, None), (ports.secure, {"key": "key.pem", "certificate": "cert.pem"}))
    ]
    return {"version": 2, "controller": {}, "workers": [{"type": "router", "realms": realms, "transports": transports}]}


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def _listens(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False
