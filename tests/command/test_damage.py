"""``lodeline damage`` as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from deployments.command import app
from storage.lake.sink import LakeSink
from tests.lake.rows import live_paths, stored_rows, tick


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LODELINE_DATA_DIRECTORY", str(tmp_path / "data"))
    sink = LakeSink(tmp_path / "data" / "lake", "host")
    for sequence in (1, 2, 3):
        sink.deliver([tick(sequence)])
    return tmp_path / "data" / "lake"


def lodeline(*words: str, code: int = 0, answer: str | None = None) -> Result:
    result = CliRunner().invoke(app, list(words), input=answer)
    assert result.exit_code == code, result.output
    return result


def damaged(lake: Path) -> Path:
    path = live_paths(lake)[0]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    return path


def test_a_file_is_named_shown_asked_about_and_set_aside(lake: Path) -> None:
    assert lodeline("damage", "list").stdout == "6 files read back, 0 damaged\n"  # of fans, and of what they touched
    path = damaged(lake)
    said = lodeline("damage", "list", "--measurement", "miner_fan", code=1).stdout
    assert said.startswith(f"{path}\n  written was sha256 {path.stem.split('-')[2]}, on disk is sha256 ")
    assert "miner_fan, raw tier, table mining_raw/miner_fan: 3 rows from 2026-11-01T12:0" in said
    assert "miner_id m0000 to m0002" in said
    assert said.endswith("3 files read back, 1 damaged\n")
    (case,) = json.loads(lodeline("damage", "list", "--json", code=1).stdout)["damaged"]
    assert (case["path"], case["rows"]) == (str(path), 3)
    lodeline("damage", "list", "--to", "2026-11-01T12:00:00Z")

    said = lodeline("damage", "set-aside", str(path), code=1, answer="n\n").stdout
    assert "3 rows from 2026-11-01T12:0" in said
    assert "hourly tier: 0 of 1 windows of this time are rolled up" in said
    assert path in live_paths(lake)
    kept = lake.parent / "damaged" / "mining_raw" / "miner_fan" / path.name
    said = lodeline("damage", "set-aside", str(path), "--why", "disk 3", "--yes").stdout
    assert said.endswith(f"set aside: its bytes are {kept}\n")
    assert kept.exists()
    assert len(stored_rows(lake)) == 6
    lodeline("damage", "list")
    (entry,) = lodeline("audit", "--kind", "set_aside", "--json").stdout.splitlines()
    assert json.loads(entry)["detail"]["why"] == "disk 3"
    again = json.loads(lodeline("damage", "set-aside", str(path), "--yes", "--json").stdout)
    assert (again["copy"], again["case"]["rows"]) == (str(kept), 3)


def test_a_whole_copy_is_put_back(lake: Path) -> None:
    whole = {path: path.read_bytes() for path in live_paths(lake)}
    path = damaged(lake)
    copy = lake.parent / "copy.parquet"
    copy.write_bytes(whole[path])
    lodeline("damage", "set-aside", str(path), "--yes")
    said = lodeline("damage", "list").stdout
    assert "0 damaged\nset aside:\n" in said
    assert str(path) in said
    assert "is not what was written" in lodeline("damage", "put-back", str(path), code=2).stderr
    assert (
        "back: 3 rows of mining_raw/miner_fan" in lodeline("damage", "put-back", str(path), "--copy", str(copy)).stdout
    )
    assert lodeline("damage", "put-back", str(path), "--copy", str(copy)).stdout == "it is back already\n"
    assert len(stored_rows(lake)) == 9
    lodeline("damage", "set-aside", str(damaged(lake)), "--yes")
    (aside,) = json.loads(lodeline("damage", "list", "--json").stdout)["set_aside"]
    assert "back as it was, damaged" in lodeline("damage", "put-back", aside["path"], "--as-it-is").stdout
    lodeline("damage", "list", code=1)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["list", "--measurement", "nothing"], "there is no measurement 'nothing'"),
        (["list", "a.parquet"], "takes none"),
        (["list", "--from", "yesterday"], "'yesterday' is not a time"),
        (["set-aside"], "no file is named"),
        (["set-aside", "a.parquet", "--yes"], "no file that a table of the lake, or the archive, has now"),
    ],
)
def test_a_mistake_is_one_clear_line(lake: Path, words: list[str], said: str) -> None:
    assert said in lodeline("damage", *words, code=2).stderr


def test_a_whole_file_is_refused(lake: Path) -> None:
    path = live_paths(lake)[0]
    assert "this file is whole" in lodeline("damage", "set-aside", str(path), "--yes", code=2).stderr
    assert len(stored_rows(lake)) == 9
