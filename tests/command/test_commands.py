"""The command line as a user meets it: exit codes, streams, help, no traceback."""

import json
from importlib.metadata import version
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from deployments.command import COMMANDS, app
from deployments.command.errors import CommandGroup
from storage.errors import NeedsHuman, TryAgain

CASE = Path(__file__).parents[1] / "configuration" / "testcases" / "several_faults_in_all_files"


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> CliRunner:
    monkeypatch.chdir(tmp_path)
    return CliRunner(env={"LODELINE_CONFIG": None, "LODELINE_REQUIRE_SERVICES": None, "COLUMNS": "100"})


def test_check_tells_every_fault_on_a_line_and_exits_2(runner: CliRunner) -> None:
    result = runner.invoke(app, ["check", "--config", str(CASE)])
    faults = (CASE / "expected.txt").read_text()
    number = len(faults.splitlines())
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.replace(f"{CASE}/", "") == f"{faults}lodeline: {number} faults; nothing was started\n"


def test_check_in_json(runner: CliRunner) -> None:
    wrong = runner.invoke(app, ["check", "--config", str(CASE), "--json"])
    assert wrong.exit_code == 2
    told = json.loads(wrong.stdout)
    assert told["ok"] is False
    assert [fault.replace(f"{CASE}/", "") for fault in told["faults"]] == (
        CASE / "expected.txt"
    ).read_text().splitlines()
    right = runner.invoke(app, ["check", "--json"], env={"LODELINE_INFLUX__URL": "http://influx:8086"})
    assert right.exit_code == 0
    summary = json.loads(right.stdout)
    assert (summary["ok"], summary["faults"], summary["influx"]) == (True, [], "http://influx:8086")


def test_check_starts_and_writes_nothing(runner: CliRunner, tmp_path: Path) -> None:
    assert runner.invoke(app, ["check"]).exit_code == 0
    assert list(tmp_path.iterdir()) == []


def test_a_variable_nothing_reads_is_a_fault(runner: CliRunner) -> None:
    result = runner.invoke(app, ["check"], env={"LODELINE_DATA_DIRECTROY": "/x"})
    assert result.exit_code == 2
    assert "did you mean LODELINE_DATA_DIRECTORY?" in result.stderr


def test_version(runner: CliRunner) -> None:
    result = runner.invoke(app, ["--version"])
    assert (result.exit_code, result.stdout) == (0, f"lodeline {version('lodeline')}\n")


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.__name__)
def test_every_command_has_help_with_an_example(runner: CliRunner, command: object) -> None:
    name = command.__name__  # type: ignore[attr-defined]
    result = runner.invoke(app, [name, "--help"])
    assert result.exit_code == 0
    assert f"Example: lodeline {name}" in result.stdout
    assert "Options:" in result.stdout


def test_every_option_of_every_command_says_what_it_is() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    silent = [f"{name} {param.name}" for name, c in commands.items() for param in c.params if not param.help]
    assert silent == []


def test_a_dialect_that_no_simulated_miner_speaks_starts_nothing(runner: CliRunner) -> None:
    result = runner.invoke(app, ["up", "--dialect", "vnish"])
    assert result.exit_code == 2
    assert "antminer-stock DG1+_V1.0.5" in result.stderr
    assert "--dialect all" in result.stderr


def test_an_unknown_command_is_a_mistake_of_the_user(runner: CliRunner) -> None:
    result = runner.invoke(app, ["chek"])
    assert result.exit_code == 2
    assert "check" in result.stderr


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (NeedsHuman("no Prefect server is named", remedy="Set PREFECT_API_URL"), "named. Set PREFECT_API_URL"),
        (TryAgain("the server did not answer"), "the server did not answer"),
        (PermissionError(13, "Permission denied", "/data/x"), "/data/x may not be read or written by this user. Run"),
        (OSError(28, "No space left on device", "/data/x"), "/data/x: No space left on device. lodeline doctor"),
    ],
)
def test_an_error_meant_for_people_is_text_and_no_traceback(runner: CliRunner, error: Exception, told: str) -> None:
    failing = typer.Typer(cls=CommandGroup, pretty_exceptions_enable=False)

    @failing.command()
    def one() -> None:
        raise error

    failing.command()(lambda: None)
    result = runner.invoke(failing, ["one"])
    assert result.exit_code == 2
    assert told in result.stderr
    assert "Traceback" not in result.output
