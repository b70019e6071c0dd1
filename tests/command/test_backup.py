"""``lodeline backup`` and ``restore`` as a user meets them: what they say, and exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from deployments.command import app


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "data" / "state").mkdir(parents=True)
    (tmp_path / "data" / "state" / "a.json").write_text("{}")
    return tmp_path / "backup"


def run(folder: Path, *words: str, **variables: str) -> Result:
    env = {"LODELINE_CONFIG": None, "LODELINE_DATA_DIRECTORY": str(folder.with_name("data")), **variables}
    return CliRunner(env=env).invoke(app, list(words))


def test_from_a_backup_to_the_same_data(folder: Path, tmp_path: Path) -> None:
    made = run(folder, "backup", str(folder), LODELINE_INFLUX__URL="http://127.0.0.1:9")
    assert made.exit_code == 0, made.output
    assert "1 files, 2 bytes, 0 lanes" in made.stdout
    assert "Not in it: InfluxDB at http://127.0.0.1:9" in made.stderr
    (listed,) = json.loads(run(folder, "backup", "list", str(folder), "--json").stdout)
    assert (listed["files"], listed["bytes"], listed["lake"]) == (1, 2, False)
    assert "whole" in run(folder, "backup", "verify", str(folder)).stdout
    back = run(folder, "restore", str(folder), "--to", str(tmp_path / "new"), "--json")
    assert back.exit_code == 0, back.output
    assert json.loads(back.stdout)["files"] == 1
    assert (tmp_path / "new" / "state" / "a.json").read_text() == "{}"


def test_damage_is_told_by_the_exit_code(folder: Path, tmp_path: Path) -> None:
    run(folder, "backup", str(folder))
    (kept,) = folder.rglob("a.json")
    kept.write_text("[]")
    found = run(folder, "backup", "verify", str(folder))
    assert found.exit_code == 1
    assert "a.json is damaged: its SHA-256 is 4f53cda1" in found.stdout  # of "[]"
    refused = run(folder, "restore", str(folder), "--to", str(tmp_path / "new"))
    assert refused.exit_code == 2
    assert "nothing was restored" in refused.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["backup", "verify"], "'verify' is no backup folder"),
        (["backup", "a", "b"], "'a b' is no backup folder"),
        (["backup", "verify", "{empty}"], "There is no set in"),
        (["restore", "{empty}", "--to", "x"], "There is no set in"),
        (["backup", "{data}/inside"], "Name a folder outside of it"),
        (["backup", "{empty}", "--keep", "0"], "--keep"),
    ],
)
def test_mistakes(folder: Path, words: list[str], said: str) -> None:
    places = {"{empty}": str(folder.with_name("empty")), "{data}": str(folder.with_name("data"))}
    for placeholder, place in places.items():
        words = [word.replace(placeholder, place) for word in words]
    refused = run(folder, *words)
    assert refused.exit_code == 2
    assert said in refused.output
