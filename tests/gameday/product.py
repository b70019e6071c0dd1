"""``lodeline up`` as a user runs it, over a simulated farm that this process holds in its hand."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import httpx
import yaml

from deployments.up.ports import free_port
from tasks.alerts.book import Book
from tasks.alerts.life_cycle import Alert
from tasks.alerts.rules import RULES
from tasks.health.status import Status, read_status
from tasks.miners.collection import LANE
from tasks.miners.report import TickReport
from tasks.shift.baton import Baton
from tasks.shift.journal import Journal
from tests.gameday.wall_clock import WallClock
from tests.influx.server import InfluxServer

ROOT = str(Path(__file__).parents[2])
LODELINE = [sys.executable, "-c", "from deployments.command import main; main()"]
EVERY_S = 5
LOOK_S = 10
SHORTENED_S = 10
"""What rules wait before they fire and resolve in a game day; declared are minutes."""
LIMITS = {"pool_away": 20.0, "market_source_away": 20.0}
"""Limits of rules that are shortened too, in seconds."""
START_S, END_S = 300.0, 240.0


class Product:
    """Farm, database where there is one, and ``lodeline up``, all under ``folder``; ``data`` is its data directory.

    ``services``: pools and markets too. ``waits_s``: how long an alert waits before it fires, and is resolved, at most.
    """

    def __init__(self, folder: Path, data: Path, *, miners: int, influx: bool, services: bool, waits_s: int) -> None:
        self.folder = folder
        self.data = data
        self.influx = InfluxServer(folder / "influxd") if influx else None
        self.clock = WallClock(folder)
        self.config = folder / "config"
        self.lines: list[str] = []
        self.ports = {"page": free_port(), "prefect": free_port()}
        self._miners = miners
        self._services = services
        self._waits_s = waits_s
        self._reading: threading.Thread | None = None
        self._farm: subprocess.Popen[str] | None = None
        self._up: subprocess.Popen[str] | None = None
        self._control = ""

    def start(self) -> None:
        """Start all of it, and return when the first tick is there and alerts are watched."""
        if self.influx is not None:
            self.influx.start()
        command = ["--miners", self._miners, "--interval", EVERY_S, "--port", 0, "--control-port", 0]
        command += ["--services"] if self._services else []
        self._farm = subprocess.Popen(
            [sys.executable, "-m", "deployments.farm", *map(str, command), "--write-config", str(self.config)],
            stdout=subprocess.PIPE, text=True, cwd=ROOT, env=os.environ | {"PYTHONPATH": ROOT},
        )  # fmt: skip
        assert self._farm.stdout is not None
        self._control = json.loads(self._farm.stdout.readline())["control"]
        self._shorten()
        ports = [word for name, port in self.ports.items() for word in (f"--{name}-port", str(port))]
        self._up = subprocess.Popen(
            [*LODELINE, "up", "--for", "86400", "--config", str(self.config), *ports],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=self.folder, env=self.environ(),
        )  # fmt: skip
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()
        give_up, asked = time.monotonic() + START_S, False
        while self.tick() is None or self._looked() is None:
            if not asked and any(line.startswith("Waiting for worker") for line in self.lines):
                self._watch_now()
                asked = True
            if time.monotonic() > give_up or self._up.poll() is not None:
                raise RuntimeError("lodeline up did not come up:\n" + "\n".join(self.lines[-30:]))
            time.sleep(0.5)

    def end(self) -> tuple[int, Mapping[str, Any]]:
        """End ``lodeline up`` as Ctrl-C does: its exit code and its last line."""
        assert self._up is not None
        self._up.send_signal(signal.SIGINT)
        code = self._up.wait(END_S)
        time.sleep(0.5)  # its last lines are being read
        last = next((line for line in reversed(self.lines) if line.startswith("{")), "{}")
        return code, json.loads(last)

    def close(self) -> None:
        """End what still runs."""
        for process in (self._up, self._farm):
            if process is not None and process.poll() is None:
                process.terminate()
                try:
                    process.wait(60)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        if self._reading is not None:
            self._reading.join(10)
        for process in (self._up, self._farm):
            if process is not None and process.stdout is not None:
                process.stdout.close()
        if self.influx is not None:
            self.influx.stop()

    def environ(self) -> dict[str, str]:
        """The environment of ``lodeline``."""
        own = {name: value for name, value in os.environ.items() if not name.startswith(("LODELINE_", "PYTEST_"))}
        own |= {"LODELINE_DATA_DIRECTORY": str(self.data), "PYTHONPATH": ROOT, **self.clock.environ}
        return own | ({} if self.influx is None else {"LODELINE_INFLUX__URL": self.influx.url})

    def lodeline(self, *arguments: str) -> tuple[int, str]:
        """Run a command beside it: exit code and what it says."""
        done = subprocess.run(
            [*LODELINE, *arguments, "--config", str(self.config)],
            capture_output=True, text=True, cwd=self.folder, env=self.environ(), timeout=240, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr

    def fault(self, **fault: Any) -> None:
        """Let something befall a miner or a service."""
        httpx.post(f"{self._control}/faults", json=fault, trust_env=False, timeout=60).raise_for_status()

    def faults(self, faults: Iterable[Mapping[str, Any]]) -> None:
        """Let several things befall them."""
        for one in faults:
            self.fault(**one)

    def heal_all(self, miners: Iterable[str]) -> None:
        """End the faults of these miners."""
        for miner in miners:
            self.heal(miner=miner)

    def heal(self, **which: str) -> None:
        """End faults."""
        httpx.delete(f"{self._control}/faults", params=which, trust_env=False, timeout=60).raise_for_status()

    def truth(self, miner: str, at: float) -> Any:
        """What was true of a miner."""
        asked = {"miner": miner, "at": str(at)}
        return httpx.get(f"{self._control}/truth", params=asked, trust_env=False, timeout=60).json()

    def miners(self) -> list[dict[str, Any]]:
        """Who there is."""
        told: list[dict[str, Any]] = httpx.get(f"{self._control}/miners", trust_env=False, timeout=60).json()
        return told

    def tick(self, lane: str = LANE) -> TickReport | None:
        """The newest tick of a lane."""
        return Journal(self.data / "state", lane).newest()

    def status(self) -> Status:
        """What ``lodeline status`` shows."""
        return read_status(self.data, time.time())

    def backlog(self) -> int:
        """Points that wait for any sink."""
        return max((books.backlog for lane in self.status().lanes for books in lane.sinks.values()), default=0)

    def alerts(self) -> list[Alert]:
        """What fires."""
        book = Book.open(self.data / "state")
        try:
            return [alert for alert in book.alerts().values() if alert.firing]
        finally:
            book.close()

    def shift(self, lane: str = LANE) -> int | None:
        """Process that is on shift."""
        return Baton(self.data / "locks", lane).holder

    def child(self, *words: str) -> int:
        """A process that ``lodeline up`` started itself, by words of its command line."""
        assert self._up is not None
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                try:
                    command = (folder / "cmdline").read_bytes().decode().split("\0")
                    parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                except OSError:
                    continue
                if parent == self._up.pid and set(words) <= set(command):
                    return int(folder.name)
        raise RuntimeError(f"lodeline up has no process {' '.join(words)}")

    def _looked(self) -> float | None:
        if not (self.data / "state").exists():
            return None
        book = Book.open(self.data / "state")
        try:
            look = book.last_look()
            return None if look is None else look.at
        finally:
            book.close()

    def _watch_now(self) -> None:
        """Let the watch begin now, not half a minute after the first tick."""
        api = f"http://127.0.0.1:{self.ports['prefect']}/api/deployments"
        with httpx.Client(base_url=api, trust_env=False, timeout=60) as client:
            watch = client.get("/name/watch-alerts/watch-alerts").raise_for_status().json()
            client.post(f"/{watch['id']}/create_flow_run", json={"state": {"type": "SCHEDULED"}}).raise_for_status()

    def _shorten(self) -> None:
        """Let rules fire after seconds instead of minutes."""
        file = self.config / "data_collection_config.yaml"
        told = yaml.safe_load(file.read_text())
        told["alerts"] = {
            "check_interval_seconds": LOOK_S,
            "rules": {
                name: {
                    "for_seconds": min(rule.for_s, self._waits_s),
                    "keep_seconds": min(rule.keep_s, self._waits_s),
                    **({"limit": LIMITS[name]} if name in LIMITS else {}),
                }
                for name, rule in RULES.items()
            },
        }
        file.write_text(yaml.safe_dump(told))

    def _read(self) -> None:
        assert self._up is not None
        assert self._up.stdout is not None
        for line in self._up.stdout:
            self.lines.append(line.rstrip("\n"))
