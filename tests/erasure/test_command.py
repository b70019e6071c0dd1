"""``lodeline erase`` and ``lodeline audit`` as a user meets them."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deployments.command import app
from storage.audit.trail import Trail
from storage.erasure.tombstones import Tombstones
from tests.erasure.host import GONE, fill


def lodeline(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, list(arguments))
    return done.exit_code, done.output


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setenv("LODELINE_DATA_DIRECTORY", str(folder))
    fill(folder, slots=5)
    return folder


def test_from_a_search_to_the_proof(data: Path) -> None:
    code, said = lodeline("erase", "--miner", GONE, "--dry-run")
    assert code == 0
    assert "found" in said
    assert Tombstones(data).cases() == []

    code, said = lodeline("erase", "--miner", GONE)  # nobody says yes
    assert code == 1
    assert Tombstones(data).cases() == []

    code, said = lodeline("erase", "--miner", GONE, "--yes", "--json")
    assert code == 0
    assert json.loads(said)["proof"]["hits"] == {}

    code, said = lodeline("audit", "--kind", "erased")
    assert code == 0
    assert "hits 0" in said
    assert GONE not in lodeline("audit")[1]
    code, said = lodeline("audit", "--verify")
    assert code == 0
    assert said.count("whole") == 2  # the host's own, and that of the made-up host


def test_a_forged_trail_is_told_by_the_exit_code(data: Path) -> None:
    trail = Trail.open(data, "mine-1")
    trail.path.write_bytes(trail.path.read_bytes().replace(b'"actor":"test"', b'"actor":"best"', 1))
    code, said = lodeline("audit", "--verify")
    assert code == 1
    assert "line 1: entry 1: it was changed" in said


def test_a_trail_that_was_deleted_is_missed(data: Path) -> None:
    Trail.open(data, "mine-1").path.unlink()
    code, said = lodeline("audit", "--verify")
    assert code == 1
    assert "its end was cut off" in said


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "nothing to erase is named"),
        (["--tag", "miner_id"], "not a tag and its value"),
        (["--tag", "nothing=x"], "not a tag and its value"),
        (["--miner", "x", "--measurement", "nothing"], "no measurement nothing"),
        (["--miner", "x", "--from", "2026-11-02", "--to", "2026-11-01"], "the range is empty"),
        (["--miner", "miner_0001"], "is configured and would be polled again"),
    ],
)
def test_mistakes_are_told_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], told: str
) -> None:
    monkeypatch.setenv("LODELINE_DATA_DIRECTORY", str(tmp_path / "data"))
    (tmp_path / "data_collection_config.yaml").write_text(
        "miners:\n  - id: miner_0001\n    ip: 127.0.0.9\n    driver: vnish-rest\n    model: Antminer S19\n"
    )
    code, said = lodeline("erase", "--config", str(tmp_path), "--yes", *arguments)
    assert code == 2
    assert told in said
    assert not (tmp_path / "data").exists()


def test_the_names_of_hosts_are_names_of_files(data: Path) -> None:
    lodeline("erase", "--miner", GONE, "--yes")
    assert Trail.open(data, socket.gethostname()).path.exists()
