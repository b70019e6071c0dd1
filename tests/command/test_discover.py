"""``lodeline discover`` as a user runs it, over a farm in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from deployments.command import app


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> CliRunner:
    monkeypatch.chdir(tmp_path)
    return CliRunner(env={"COLUMNS": "100"})


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Of six miners from 127.81.0.1 on."""
    command = [
        sys.executable,
        "-m",
        "deployments.farm",
        "--miners",
        "6",
        "--port",
        "0",
        "--first-address",
        "127.81.0.1",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as farm:
        assert farm.stdout is not None
        yield int(json.loads(farm.stdout.readline())["port"])
        farm.terminate()


def discover(runner: CliRunner, port: int, *options: str) -> Result:
    return runner.invoke(app, ["discover", "127.81.0.0/28", "--port", str(port), *options])


def test_what_is_found_is_listed_and_written(runner: CliRunner, port: int, tmp_path: Path) -> None:
    result = discover(runner, port)
    assert (result.exit_code, result.stderr) == (0, "ports: 14 asked\ndevices: 6 asked\n")
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["127.81.0.1", "vnish-rest", "Antminer", "S19", "Vnish", "1.2.7"]
    assert lines[6] == "14 addresses asked, 6 answered, 6 miners found."
    assert lines[7].startswith("Written to data_collection_config.yaml. ")
    checked = runner.invoke(app, ["check", "--config", str(tmp_path)], env={"MINER_PASSWORD": "of the environment"})
    assert checked.exit_code == 0, checked.stderr
    assert runner.invoke(app, ["check", "--config", str(tmp_path)]).exit_code == 2  # without that password


def test_a_file_that_is_there_stays_and_that_is_said(runner: CliRunner, port: int, tmp_path: Path) -> None:
    mine = tmp_path / "here" / "data_collection_config.yaml"
    mine.parent.mkdir()
    mine.write_text("miners: []\n")
    result = discover(runner, port, "--write", "here")
    assert (
        "here/data_collection_config.discovered.yaml, for data_collection_config.yaml is there already" in result.stdout
    )
    assert "put what you want of it there" in result.stdout
    assert mine.read_text() == "miners: []\n"


def test_a_dry_run_writes_nothing(runner: CliRunner, port: int, tmp_path: Path) -> None:
    result = discover(runner, port, "--dry-run", "--write", "nowhere")
    assert result.exit_code == 0
    assert "6 miners found" in result.stdout
    assert "Written" not in result.stdout
    assert list(tmp_path.iterdir()) == []


def test_in_json(runner: CliRunner, port: int) -> None:
    result = discover(runner, port, "--json", "--dry-run", "--concurrency", "1")
    told = json.loads(result.stdout)
    assert (told["asked"], told["answered"], told["unidentified"], told["file"]) == (14, 6, [], None)
    assert told["found"][0] == {
        "address": "127.81.0.1",
        "port": port,
        "driver": "vnish-rest",
        "model": "Antminer S19",
        "firmware_version": "Vnish 1.2.7",
        "mac": "02005e000001",
        "evidence": ["GET /: 200, text/html", "GET /api/v1/info: 200, application/json"],
    }


def test_nobody_there_is_no_error_and_no_file(runner: CliRunner, port: int, tmp_path: Path) -> None:
    result = runner.invoke(app, ["discover", "127.81.1.1-5", "--port", str(port)])
    assert (result.exit_code, result.stdout) == (0, "5 addresses asked, 0 answered, 0 miners found.\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("ranges", "said"),
    [(["10.0.0.0/8"], "one discovery asks 65,536 at most"), (["127.81.0.1", "ten"], "'ten' is no range")],
)
def test_a_slip_of_the_finger_asks_nobody(runner: CliRunner, tmp_path: Path, ranges: list[str], said: str) -> None:
    result = runner.invoke(app, ["discover", *ranges])
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr
    assert "Traceback" not in result.stderr
    assert list(tmp_path.iterdir()) == []
