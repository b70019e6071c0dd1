"""The compose file says what the product says. No container daemon is here, so nothing is started."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from deployments.command import app
from deployments.page.probes import OPEN_PATHS
from deployments.prefect.environment import SERVER, WORKER
from deployments.settings import unknown_variables

FOLDER = Path(__file__).parents[2] / "deployments" / "compose"
FILE = yaml.safe_load((FOLDER / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = FILE["services"]
OURS = ("provision", "deploy", "worker", "page")
CONTAINERFILE = (FOLDER / "Containerfile").read_text()


def ports(service: str) -> list[str]:
    return [port.rpartition(":")[2] for port in SERVICES[service].get("ports", ())]


def test_volumes_secrets_and_services_that_are_named_are_there() -> None:
    for name, service in SERVICES.items():
        for volume in service.get("volumes", ()):
            source = volume.partition(":")[0]
            there = source in FILE["volumes"] or source == "./config" or (FOLDER / source).exists()
            assert there, f"{name}: {volume}"
        for secret in service.get("secrets", ()):
            assert (secret if isinstance(secret, str) else secret["source"]) in FILE["secrets"], name
        for other, on in service.get("depends_on", {}).items():
            assert on["condition"] == "service_completed_successfully" or "healthcheck" in SERVICES[other], name
    used = {str(s if isinstance(s, str) else s["source"]) for x in SERVICES.values() for s in x.get("secrets", ())}
    assert used == set(FILE["secrets"])
    readme = (FOLDER / "README.md").read_text()
    assert [name for name in used if name not in readme] == []


def test_every_secret_file_that_a_command_reads_is_mounted() -> None:
    for name, service in SERVICES.items():
        mounted = {s if isinstance(s, str) else s["target"] for s in service.get("secrets", ())}
        assert set(re.findall(r"/run/secrets/(\w+)", str(service))) <= mounted, name


@pytest.mark.parametrize("service", OURS)
def test_variables_are_known(service: str) -> None:
    told = SERVICES[service]["environment"]
    targets = [s["target"] for s in SERVICES[service]["secrets"]]
    names = [name for name in (*told, *targets) if name.startswith("LODELINE_")]
    assert unknown_variables(dict.fromkeys(names, "")) == []
    assert unknown_variables(dict.fromkeys(re.findall(r"LODELINE_\w+", CONTAINERFILE), "")) == []
    assert all(isinstance(value, str) for value in told.values()), "YAML would make numbers of them"


def test_prefect_is_told_what_lodeline_up_tells_it() -> None:
    for service, wanted in (("prefect", SERVER), ("worker", WORKER)):
        told = SERVICES[service]["environment"]
        assert {name: told.get(name) for name in wanted} == wanted


def test_nobody_reports_to_anybody() -> None:
    for service in (*OURS, "prefect"):
        told = SERVICES[service]["environment"]
        assert (told["DO_NOT_TRACK"], told["PREFECT_SERVER_ANALYTICS_ENABLED"]) == ("1", "false")
    assert SERVICES["influxdb"]["environment"]["INFLUXD_REPORTING_DISABLED"] == "true"
    grafana = SERVICES["grafana"]["environment"]
    off = ("ANALYTICS_REPORTING_ENABLED", "ANALYTICS_CHECK_FOR_UPDATES", "ANALYTICS_CHECK_FOR_PLUGIN_UPDATES")
    assert {grafana[f"GF_{name}"] for name in (*off, "NEWS_NEWS_FEED_ENABLED")} == {"false"}


def test_only_loopback_is_published_and_nothing_of_ours_is_root() -> None:
    assert [port for x in SERVICES.values() for port in x.get("ports", ()) if not port.startswith("127.0.0.1:")] == []
    assert "\nUSER 10001:10001\n" in CONTAINERFILE
    for service in (*OURS, "prefect"):
        assert (SERVICES[service]["cap_drop"], SERVICES[service]["read_only"]) == (["ALL"], True)


def test_ports_and_paths_agree() -> None:
    page, worker, prefect = SERVICES["page"], SERVICES["worker"], SERVICES["prefect"]
    assert ports("page") == [page["environment"]["LODELINE_PAGE__PORT"]]
    assert worker["environment"]["PREFECT_API_URL"] == f"http://prefect:{ports('prefect')[0]}/api"
    assert f"--port {ports('prefect')[0]}" in prefect["command"][-1]
    assert worker["environment"]["LODELINE_INFLUX__URL"] == f"http://influxdb:{ports('influxdb')[0]}"
    influx = SERVICES["influxdb"]["environment"]
    assert influx["DOCKER_INFLUXDB_INIT_ORG"] == worker["environment"]["LODELINE_INFLUX__ORG"]
    asked = re.findall(r"http://127\.0\.0\.1:(\d+)(/\w+)", str(page["healthcheck"]))
    assert [port for port, _ in asked] == ports("page")
    assert {path for _, path in asked} <= OPEN_PATHS
    mounted = [volume.split(":")[1] for volume in worker["volumes"]]
    told = dict(re.findall(r"(LODELINE_\w+)=(\S+)", CONTAINERFILE))
    assert [told["LODELINE_DATA_DIRECTORY"], told["LODELINE_CONFIG"]] == mounted
    for volume in [told["LODELINE_DATA_DIRECTORY"], prefect["volumes"][0].split(":")[1]]:
        assert re.search(rf"install -d -o 10001 .*{volume}\b", CONTAINERFILE), "else a new volume belongs to root"
    grafana = SERVICES["grafana"]
    assert any(v.split(":")[1] == grafana["environment"]["LODELINE_GRAFANA_DASHBOARDS"] for v in grafana["volumes"])


def test_commands_can_be_typed_and_the_image_holds_what_they_need() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    for service in ("provision", "deploy", "page"):
        program, name, *words = SERVICES[service]["command"]
        assert program == "lodeline"
        commands[name].make_context(name, words)
    script, *_ = SERVICES["worker"]["command"]
    here = FOLDER.parents[1] / script.removeprefix("/opt/lodeline/")
    assert os.access(here, os.X_OK)
    for line in re.findall(r"^COPY (?!--)(.*) \S+$", CONTAINERFILE, re.MULTILINE):
        assert [name for name in line.split() if not (FOLDER.parents[1] / name).exists()] == []
    packages = yaml.safe_load((FOLDER.parents[1] / "prefect.yaml").read_text())["deployments"]
    assert {one["entrypoint"].partition(".")[0] for one in packages} == {"flows"}


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc for the flows of a worker")
def test_flows_are_asked_to_end_before_their_worker() -> None:
    flow = (
        "import signal, sys, time\n"
        "signal.signal(15, lambda *_: (time.sleep(0.2), print('flow ended', flush=True), sys.exit()))\n"
        "print('flow began', flush=True); time.sleep(60)"
    )
    worker = (
        "import signal, subprocess, sys, time\n"
        "signal.signal(15, lambda *_: (print('worker ended', flush=True), sys.exit(3)))\n"
        f"subprocess.Popen([sys.executable, '-c', {flow!r}]).wait()\n"
        "time.sleep(60)"
    )
    command = [str(FOLDER / "worker.sh"), sys.executable, "-c", worker]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "flow began\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.read() == "flow ended\nworker ended\n"
        assert process.wait() == 3


def test_the_script_is_plain_sh() -> None:
    assert subprocess.run(["sh", "-n", str(FOLDER / "worker.sh")], check=False).returncode == 0
