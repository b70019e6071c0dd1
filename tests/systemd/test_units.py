"""The units are ones that systemd takes, shut in, and say what the product says."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import typer

from deployments.command import app
from deployments.prefect.environment import SERVER, WORKER
from deployments.settings import unknown_variables
from deployments.up import processes
from deployments.up.supervisor import STOP_S
from tests.docs.documented import documented
from tests.services import program

ROOT = Path(__file__).parents[2]
UNITS = ROOT / "deployments" / "systemd"
SERVICES = sorted(UNITS.glob("*.service"))
EXPOSED = 20
"""Tenths of systemd's measure, 0 (shut in) to 100; 13 when this was written. Above 50 it calls a service exposed."""


@pytest.fixture(scope="module")
def units(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Units with the programs of this environment, the examples in force, and an instance of the template."""
    folder = tmp_path_factory.mktemp("units")
    shutil.copytree(UNITS, folder, dirs_exist_ok=True)
    for unit in folder.glob("*.service"):
        unit.write_text(unit.read_text().replace("/opt/lodeline/.venv/bin", str(Path(sys.executable).parent)))
    for example in folder.rglob("*.example"):
        example.rename(example.with_suffix(""))
    shutil.copy(folder / "lodeline-worker@.service", folder / "lodeline-worker@site-north.service")
    return folder


def analyze(units: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {"SYSTEMD_UNIT_PATH": f"{units}:", "PATH": "/usr/bin:/bin", "SYSTEMD_COLORS": "0"}
    command = [program("systemd-analyze"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environ, check=False)


def test_systemd_takes_them(units: Path) -> None:
    files = [str(path) for path in (*units.glob("*.service"), *units.glob("*.timer"))]
    assert len(files) == 8
    done = analyze(units, "verify", "--man=no", *files)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_wrong_unit_would_be_found(units: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "lodeline-wrong.service"
    wrong.write_text((units / "lodeline-page.service").read_text().replace("Restart=", "Restrat="))
    assert "Restrat" in analyze(units, "verify", "--man=no", str(wrong)).stderr


@pytest.mark.parametrize("service", [path.name for path in SERVICES if "@" not in path.name])
def test_they_are_shut_in(units: Path, service: str) -> None:
    done = analyze(units, "security", "--offline=true", f"--threshold={EXPOSED}", str(units / service))
    assert done.returncode == 0, done.stdout + done.stderr


def settings_of(unit: Path, key: str) -> list[str]:
    joined = re.sub(r"\\\n\s*", " ", unit.read_text())
    return re.findall(rf"^{key}=(.*)$", joined, re.MULTILINE)


def variables_of(unit: Path) -> dict[str, str]:
    return dict(word.split("=", 1) for line in settings_of(unit, "Environment") for word in shlex.split(line))


@pytest.mark.parametrize(
    ("service", "wanted"),
    [("lodeline-prefect-server", SERVER), ("lodeline-worker", WORKER), ("lodeline-worker@", WORKER)],
)
def test_prefect_is_told_what_lodeline_up_tells_it(service: str, wanted: dict[str, str]) -> None:
    told = variables_of(UNITS / f"{service}.service")
    further = {name for name in told if name not in wanted}
    assert {name: told.get(name) for name in wanted} == wanted
    assert further <= {"PREFECT_HOME", "PREFECT_API_URL", "PREFECT_SERVER_UI_STATIC_DIRECTORY"}


def test_every_variable_is_one_that_lodeline_knows() -> None:
    names = {
        name for path in UNITS.rglob("*") if path.is_file() for name in re.findall(r"LODELINE_\w+", path.read_text())
    }
    assert unknown_variables(dict.fromkeys(names, "")) == []
    assert "LODELINE_SECRETS_DIR" in names


@pytest.mark.parametrize("unit", SERVICES, ids=lambda path: path.stem)
def test_every_command_can_be_typed(unit: Path) -> None:
    (line,) = settings_of(unit, "ExecStart")
    words = shlex.split(line)
    assert words[0].startswith("/opt/lodeline/.venv/bin/")
    if words[0].endswith("/lodeline"):
        command = typer.main.get_command(app).commands[words[1]]  # type: ignore[attr-defined]
        command.make_context(words[1], words[2:])
    else:
        assert words[0].endswith("/prefect")
        assert words[1:3] in (["server", "start"], ["worker", "start"])


def test_queues_are_those_that_are_deployed() -> None:
    from deployments.prefect.plan import read_plan

    (line,) = settings_of(UNITS / "lodeline-worker.service", "ExecStart")
    assert set(re.findall(r"--work-queue (\S+)", line)) == {queue.name for queue in read_plan().central_queues}


def test_they_have_the_time_that_an_orderly_end_takes() -> None:
    (stop,) = settings_of(UNITS / "lodeline-up.service", "TimeoutStopSec")
    assert int(stop) > sum(STOP_S.values())
    assert settings_of(UNITS / "lodeline-up.service", "KillMode") == ["mixed"], "or its processes are asked before it"


def test_flows_are_asked_to_end_before_their_worker() -> None:
    (line,) = settings_of(UNITS / "lodeline-worker.service", "ExecStop")
    shell, option, script = shlex.split(line)
    flow = "import signal, sys, time; signal.signal(15, lambda *_: (time.sleep(0.3), print('ended'), sys.exit()));"
    worker = (
        "import subprocess, sys\n"
        f"flow = subprocess.Popen([sys.executable, '-c', {flow + 'print(1, flush=True); time.sleep(60)'!r}])\n"
        "flow.wait(); print('flow', flow.returncode, flush=True); import time; time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", worker], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "1\n"
        began = time.monotonic()
        script = script.replace("$MAINPID", str(process.pid)).replace("$$", "$")
        subprocess.run([shell, option, script], check=True)
        assert process.poll() is None, "the worker is ended by systemd, afterwards"
        assert time.monotonic() - began >= 0.3, "it waits for flows"
        assert [process.stdout.readline() for _ in range(2)] == ["ended\n", "flow 0\n"]
        process.kill()


@pytest.mark.parametrize("may_write", [True, False])
def test_prefects_ui_is_unpacked_where_a_service_may_write(monkeypatch: pytest.MonkeyPatch, may_write: bool) -> None:
    monkeypatch.setattr("os.access", lambda *_: may_write)
    told = processes.server_environment(processes.own_prefect(Path("/data/prefect"), 4200))
    assert told.get("PREFECT_SERVER_UI_STATIC_DIRECTORY") == (None if may_write else "/data/prefect/ui")


def test_what_operations_installs_is_there() -> None:
    """Nobody is root in a test, so the lines are not run: every file, unit and target that they name is looked up."""
    lines = [line for line in documented_lines() if re.match(r"sudo|systemctl|journalctl", line)]
    assert len(lines) > 8
    files = [word for line in lines for word in line.split() if word.startswith("/opt/lodeline/")]
    assert files
    assert [word for word in files if not (ROOT / word.removeprefix("/opt/lodeline/")).exists()] == []
    named = {word for line in lines for word in line.split() if re.match(r"lodeline-[\w@-]+", word)}
    there = {path.name for path in UNITS.iterdir()}
    for name in named:
        unit = re.sub(r"@[\w-]+", "@", name)
        assert (unit if "." in unit else f"{unit}.service") in there, name
    targets = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert "setup" in " ".join(targets).split()
    assert any("make -C /opt/lodeline setup" in line for line in lines)


def documented_lines() -> list[str]:
    return [one.line for one in documented() if one.page == "docs/operations.md"]
