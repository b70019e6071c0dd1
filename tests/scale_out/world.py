"""One Prefect server on PostgreSQL, one InfluxDB, and two sites with a host, a farm and a worker each."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import yaml

from deployments.prefect.plan import PLAN_FILE
from deployments.up import processes
from deployments.up.child import Child
from storage.influx.provision import provision
from storage.influx.settings import InfluxSettings
from tasks.miners.report import TickReport
from tasks.shift.baton import Baton
from tasks.shift.journal import Journal
from tests.influx.server import InfluxServer
from tests.postgres_server import PostgresServer
from tests.prefect_server import until
from tests.scale_out.machines import Machine

ROOT = Path(__file__).parents[2]
INTERVAL_S = 2
MINERS = 3
PORT = 4200


class Central:
    """The machine with the servers."""

    def __init__(self, machine: Machine, home: Path, postgres: PostgresServer) -> None:
        self.machine = machine
        self.home = home
        self.postgres = postgres
        self.influx = InfluxServer(home / "influx", address=machine.address)
        self.api = f"http://{machine.address}:{PORT}/api"
        self.prefect = {**processes.own_prefect(home / "prefect", PORT), "PREFECT_API_URL": self.api}
        self.child: Child | None = None
        home.mkdir(parents=True)
        self._plan = home / "prefect.yaml"
        plan = yaml.safe_load(PLAN_FILE.read_text())
        for deployment in plan["deployments"]:
            if deployment["name"] == "collect-miners":
                deployment["parameters"] = {"least_minutes": 0.02}  # a successor takes over at once
        self._plan.write_text(yaml.safe_dump(plan))

    def begin(self) -> None:
        """Start the servers, Prefect's last and without waiting for it."""
        self.postgres.start()
        self.machine.run(self.influx.start)
        settings = InfluxSettings.model_validate({"url": self.influx.url})
        self.machine.run(provision, settings, only_missing=True)
        self.start_prefect()

    def start_prefect(self) -> None:
        environ = processes.server_environment(self.prefect)
        environ["PREFECT_API_DATABASE_CONNECTION_URL"] = self.postgres.url
        command = [*processes.server_command(PORT)]
        command[command.index("--host") + 1] = self.machine.address
        self.child = self.machine.start("prefect", command, environ, self.home / "logs")

    def await_prefect(self) -> None:
        until(self._answers, f"the Prefect server; its log is in {self.home}")

    def kill_prefect(self) -> None:
        assert self.child is not None
        self.child.kill()

    def _answers(self) -> bool:
        assert self.child is not None
        self.child.check()
        try:
            return self.machine.run(_get, f"{self.api}/health") is True
        except httpx.HTTPError:
            return False

    def ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """What Prefect's API answers to a POST, or without a body to a GET."""
        return self.machine.run(_post, f"{self.api}{path}", body) if body is not None else self.get(path)

    def get(self, path: str) -> Any:
        return self.machine.run(_get, f"{self.api}{path}")

    def deploy(self, config: Path) -> dict[str, Any]:
        """What ``lodeline deploy`` says."""
        environ = {**processes.without_prefect(os.environ), **self.prefect, "LODELINE_CONFIG": str(config)}
        program = "from deployments.command import main; main()"
        command = [sys.executable, "-c", program, "deploy", "--json", "--file", str(self._plan)]
        done = self.machine.run(_output, command, environ)
        told: dict[str, Any] = json.loads(done.splitlines()[-1])
        return told

    def runs(self, deployment: str) -> list[dict[str, Any]]:
        """Runs of a deployment, those that wait for their schedule left out, oldest first."""
        asked = {"deployments": {"name": {"any_": [deployment]}}, "sort": "START_TIME_ASC"}
        found: list[dict[str, Any]] = self.ask("/flow_runs/filter", asked)
        return [run for run in found if not (run["auto_scheduled"] and run["state_type"] == "SCHEDULED")]

    def pause(self, deployment_id: str) -> None:
        """End its schedule; runs that somebody or an automation starts go on."""
        self.ask(f"/deployments/{deployment_id}/pause_deployment", {})

    def start_run(self, deployment_id: str) -> str:
        made = self.ask(f"/deployments/{deployment_id}/create_flow_run", {"state": {"type": "SCHEDULED"}})
        return str(made["id"])

    def rows(self, statement: str, database: str = "mining_raw") -> list[dict[str, Any]]:
        return self.machine.run(self.influx.rows, statement, database)


class Edge:
    """The host of one site, with its miners around it."""

    def __init__(self, machine: Machine, home: Path, central: Central, seed: int) -> None:
        self.machine = machine
        self.site = machine.name
        self.lane = f"miners-{self.site}"
        self.data = home / "data"
        self.journal = Journal(self.data / "state", self.lane)
        self.baton = Baton(self.data / "locks", self.lane)
        self._home = home
        self._central = central
        command = processes.farm_command(MINERS, seed, INTERVAL_S, home / "farm", ["vnish-rest"])
        command += ["--first-address", f"127.{16 * seed}.0.1"]
        self._farm = machine.start("farm", command, dict(os.environ), home / "logs")
        until(lambda: "{" in self._farm.log.read_text(), "the farm")
        line = next(line for line in self._farm.log.read_text().splitlines() if line.startswith("{"))
        self._control = json.loads(line)["control"]
        written = yaml.safe_load((home / "farm" / "data_collection_config.yaml").read_text())["miners"]
        self.miners = [
            {**miner, "id": f"{self.site}_{miner['id']}", "site": self.site, "adaptive": False} for miner in written
        ]

    def start_worker(self, config: Path) -> None:
        mine = {
            "LODELINE_CONFIG": str(config), "LODELINE_DATA_DIRECTORY": str(self.data), "PYTHONPATH": str(ROOT),
            "LODELINE_LAKE__ENABLED": "false", "LODELINE_INFLUX__URL": self._central.influx.url,
            "LODELINE_INFLUX__TIMEOUT_S": "2",
        }  # fmt: skip
        prefect = {**self._central.prefect, "PREFECT_HOME": str(self._home / "prefect")}
        environ = processes.worker_environment({**processes.without_prefect(os.environ), **mine}, prefect)
        command = ["-m", "prefect", "worker", "start", "--pool", "lodeline", "--type", "process"]
        command += ["--work-queue", f"site-{self.site}", "--name", self.site]
        self.machine.start("worker", command, environ, self._home / "logs")

    def ticks(self) -> list[TickReport]:
        return self.journal.since(0)

    def await_ticks(self, more: int) -> None:
        """Wait for so many further ticks."""
        wanted = len(self.ticks()) + more
        until(lambda: len(self.ticks()) >= wanted, f"{more} more ticks of {self.site}")

    def await_trouble(self) -> None:
        """Wait until it has noticed that its store is away."""
        until(lambda: self.ticks()[-1].store_trouble, f"trouble of {self.site} with its store")

    def await_delivered(self) -> None:
        """Wait until a tick reports that nothing waits any more, of those that begin after this call."""
        before = len(self.ticks())
        until(lambda: any(tick.backlog <= tick.points for tick in self.ticks()[before:]), f"the spool of {self.site}")

    def truth(self, miner_id: str, at: float) -> dict[str, Any]:
        """What the farm holds to be true of a miner at an instant."""
        own = miner_id.removeprefix(f"{self.site}_")
        found: dict[str, Any] = self.machine.run(_get, f"{self._control}/truth?miner={own}&at={at}")
        return found


def _get(url: str) -> Any:
    return httpx.get(url, timeout=10, trust_env=False).raise_for_status().json()


def _post(url: str, body: dict[str, Any]) -> Any:
    return httpx.post(url, json=body, timeout=30, trust_env=False).raise_for_status().json()


def _output(command: list[str], environ: dict[str, str]) -> str:
    done = subprocess.run(command, env=environ, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
