"""``lodeline archive`` as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deployments.command import app
from storage.archive.catalogue import Catalogue
from tests.archive.test_archive import flip
from tests.lake.rows import FAN, stored_rows

OLD = 1_700_000_000  # 2023: past every retention of a raw tier


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    from storage.lake.sink import LakeSink
    from tests.lake.rows import tick

    monkeypatch.setenv("LODELINE_DATA_DIRECTORY", str(tmp_path / "data"))
    folder = tmp_path / "config"
    folder.mkdir()
    (folder / "data_retention_config.yaml").write_text(f"general:\n  archive_base_path: {tmp_path / 'archive'}\n")
    sink = LakeSink(tmp_path / "data" / "lake", "host")
    for number in range(3):
        sink.deliver([tick(number + 1, 3, OLD + 60 * number)])
    return folder


def lodeline(*words: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, list(words))
    assert result.exit_code == code, result.output
    return result.stdout


def test_from_full_lake_to_restored_rows(config: Path, tmp_path: Path) -> None:
    at = ["--config", str(config)]
    # three ticks of the fans, and what each touched for the roll-up
    assert "6 files with 12 rows moved" in lodeline("archive", "run", *at)
    assert "0 files with 0 rows moved" in lodeline("archive", "run", *at)
    parts = json.loads(lodeline("archive", "list", "--measurement", "miner_fan", "--json", *at))
    assert {(part["measurement"], part["date"], part["state"]) for part in parts} == {
        ("miner_fan", "2023-11-14", "moved")
    }
    assert "0 files" in lodeline("archive", "list", "--to", "2020-01-01", *at)
    assert "6 files, " in lodeline("archive", "verify", "--read", *at)
    asked = ["query", "miner_fan", "--from", str(OLD), "--to", str(OLD + 600), "--format", "json", *at]
    assert len(json.loads(lodeline(*asked))) == 9  # active or archived, the same question
    said = json.loads(lodeline("archive", "restore", "--entity", "miner_id=m0001", "--json", *at))
    assert said["rows_written"] == 9
    assert json.loads(lodeline("archive", "restore", "--json", *at))["rows_written"] == 3
    assert len(stored_rows(tmp_path / "data" / "restored", FAN)) == 9
    kinds = [line.split() for line in lodeline("audit", *at).splitlines()]
    assert sum("archived" in words for words in kinds) == 6
    assert sum("restored" in words for words in kinds) == 9


def test_a_damaged_file_is_named_with_both_hashes(config: Path, tmp_path: Path) -> None:
    at = ["--config", str(config)]
    lodeline("archive", "run", *at)
    catalogue = Catalogue.open(tmp_path / "archive")
    part = catalogue.parts()[1]
    flip(catalogue.path(part))
    said = lodeline("archive", "verify", *at, code=1)
    assert f"{part.path} is damaged: its SHA-256 is" in said
    assert part.sha256 in said
    lodeline("archive", "restore", *at, code=2)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--measurement", "nothing"], "There is no measurement 'nothing'"),
        (["--tier", "weekly"], "There is no tier 'weekly'"),
        (["--entity", "miner_0001"], "is not tag=value"),
        (["--from", "yesterday"], "'yesterday' is not a time"),
    ],
)
def test_a_mistake_is_one_clear_line(config: Path, words: list[str], said: str) -> None:
    result = CliRunner().invoke(app, ["archive", "list", *words, "--config", str(config)])
    assert result.exit_code == 2
    assert said in result.stderr


def test_without_an_archive_it_says_what_to_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LODELINE_DATA_DIRECTORY", str(tmp_path))
    result = CliRunner().invoke(app, ["archive", "list"])
    assert result.exit_code == 2
    assert "general.archive_base_path" in result.stderr
