"""``lodeline override``: for a while, with a reason, by somebody; and what it leaves behind."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from deployments.command import app
from storage.audit.trail import Trail
from tasks.overrides.file import OverrideFile


@pytest.fixture
def runner(tmp_path: Path) -> CliRunner:
    miners = [{"id": f"miner_000{n}", "ip": f"127.0.0.{n}", "model": "S19"} for n in (1, 2)]
    miners[1]["driver"] = "auto"
    content = {"miners": miners}
    (tmp_path / "data_collection_config.yaml").write_text(yaml.safe_dump(content))
    return CliRunner(env={"LODELINE_CONFIG": str(tmp_path), "LODELINE_DATA_DIRECTORY": str(tmp_path / "data")})


def run(runner: CliRunner, *words: str) -> str:
    done = runner.invoke(app, ["override", *words])
    assert done.exit_code == 0, done.output
    return done.output


def test_a_pause_is_set_listed_audited_shown_by_status_and_ended(runner: CliRunner, tmp_path: Path) -> None:
    assert run(runner) == "Nothing is set by hand\n"
    said = run(runner, "pause", "miner", "miner_0001", "--hours", "2", "--why", "fan swap")
    assert "miner miner_0001: paused by hand until " in said
    (held,) = json.loads(run(runner, "list", "--json"))["overrides"]
    assert (held["kind"], held["subject"], held["why"]) == ("pause", "miner_0001", "fan swap")
    assert held["until"] - held["made"] == pytest.approx(7_200)
    assert held["by"]
    assert run(runner, "list").startswith(f"{held['id']}  miner miner_0001: paused by hand until ")
    status = runner.invoke(app, ["status"]).output
    assert "By hand\n  miner miner_0001: paused by hand until " in status
    assert run(runner, "end", held["id"]) == "miner miner_0001 is not paused by hand any more\n"
    assert run(runner) == "Nothing is set by hand\n"
    import socket

    entries = list(Trail.open(tmp_path / "data", socket.gethostname()).entries())
    assert [entry.kind for entry in entries] == ["override_set", "override_ended"]
    assert entries[0].detail is not None
    assert entries[0].detail["why"] == "fan swap"
    assert entries[0].detail["subject"] == "miner_0001"


def test_states_are_forced_and_drivers_detected_anew(runner: CliRunner, tmp_path: Path) -> None:
    run(runner, "force", "miner", "miner_0001", "--state", "maintenance", "--why", "new board")
    run(runner, "redetect", "miner", "miner_0002", "--why", "it was flashed")
    run(runner, "shed", "host", "--why", "a backup runs")
    held = OverrideFile(tmp_path / "data" / "state").read()
    assert [(one.kind, one.target, one.state) for one in held] == [
        ("force", "miner", "maintenance"), ("redetect", "miner", ""), ("shed", "host", ""),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["pause", "miner", "miner_0001"], 'an override needs a reason. Give one, e.g. --why "fan swap"'),
        (["pause", "miner", "miner_001", "--why", "x"], "no miner 'miner_001' is configured. Did you mean miner_000"),
        (["pause", "source", "coingeko", "--why", "x"], "no source 'coingeko' is configured"),
        (["pause", "--why", "x"], "expected pause miner ID or pause source ID"),
        (
            ["force", "miner", "miner_0001", "--why", "x"],
            "--state is one of maintenance, stopped, failed; none is given",
        ),
        (["force", "miner", "miner_0001", "--state", "mining", "--why", "x"], "failed; not 'mining'"),
        (["force", "source", "miner_0001", "--state", "failed", "--why", "x"], "expected force miner ID"),
        (["pause", "miner", "miner_0001", "--state", "failed", "--why", "x"], "--state belongs to force"),
        (
            ["redetect", "miner", "miner_0001", "--why", "x"],
            "is configured to be vnish-rest: there is nothing to detect",
        ),
        (["shed", "--why", "x"], "shed is of this host. Write lodeline override shed host"),
        (["pause", "miner", "miner_0001", "--why", "x", "--hours", "nan"], "Invalid value for '--hours'"),
        (["end"], "end needs the id of an override"),
        (["end", "abc123"], "no override abc123 holds"),
        (["list", "m1"], "list takes no names"),
    ],
)
def test_a_mistake_changes_nothing(runner: CliRunner, tmp_path: Path, words: list[str], told: str) -> None:
    done = runner.invoke(app, ["override", *words])
    assert done.exit_code == 2
    assert told in done.output
    assert OverrideFile(tmp_path / "data" / "state").read() == []
    assert not (tmp_path / "data" / "audit").exists()


def test_a_damaged_file_is_named_by_command_and_status(runner: CliRunner, tmp_path: Path) -> None:
    state = tmp_path / "data" / "state"
    state.mkdir(parents=True)
    (state / "overrides.json").write_bytes(b"{")
    done = runner.invoke(app, ["override", "pause", "miner", "miner_0001", "--why", "x"])
    assert done.exit_code == 2
    assert "move it away: no override holds then" in done.output
    assert "overrides.json cannot be read" in runner.invoke(app, ["status"]).output
