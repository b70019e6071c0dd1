"""A short game day, as anybody plays it: a miner dies while the process that polls is killed, under the real ``lodeline
up``. What noticed it, what is stored, and that the proof says so where it is not."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from deltalake import DeltaTable, write_deltalake

from tests.gameday.__main__ import main
from tests.gameday.proof import of_files
from tests.up.orphans import processes_of

pytestmark = [
    pytest.mark.prefect,
    pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc"),
]

MINERS = 12


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the day was played; ``told.json`` is what came of it."""
    folder = tmp_path_factory.mktemp("day")
    options = ["--short", "--embedded", "--miners-only", "--miners", str(MINERS), "--folder", str(folder)]
    code = main([*options, "--json", str(folder / "told.json")])
    told = json.loads((folder / "told.json").read_text())
    assert code == 0, told
    return folder


@pytest.fixture
def told(day: Path) -> Any:
    return json.loads((day / "told.json").read_text())


def test_each_mishap_is_noticed_by_what_should_notice_it(told: Any) -> None:
    rows = {one["name"]: one for one in told["scenarios"]}
    assert rows.keys() == {"miner dies", "shift killed"}
    assert rows["miner dies"]["detected_by"].startswith("alert miner_unreachable: miner_0003: does not answer: ")
    assert rows["shift killed"]["detected_by"] == "another process on shift"
    for one in rows.values():
        assert (one["fault"], one["skipped"]) == ("", "")
        assert one["detected_s"] > 0
        assert one["over_s"] is not None
        assert one["told"]


def test_all_that_was_read_is_stored_once_and_true(told: Any) -> None:
    proof, summary = told["proof"], told["summary"]
    assert (told["well"], told["store"], proof["faults"]) == (True, "embedded", [])
    assert proof["counted"]["ticks"] == proof["counted"]["reports"] >= 4
    assert proof["counted"]["held_against_the_truth"] >= 10
    assert proof["counted"]["miner_telemetry"] > MINERS
    assert summary["points_accepted"] == summary["points_stored"] > 0
    assert summary["points_dead_lettered"] == summary["backlog"] == 0
    assert summary["flow_runs"]["crashed"] == 1, "the shift that was killed, and nothing else"
    assert "failed" not in summary["flow_runs"]


def test_nothing_of_it_is_left(day: Path) -> None:
    assert processes_of(day / "data") == []


@pytest.fixture
def copy(day: Path, tmp_path: Path) -> Iterator[Path]:
    """What was stored, to be spoilt."""
    for part in ("lake", "state"):
        shutil.copytree(day / "data" / part, tmp_path / part)
    assert of_files(tmp_path).faults == []
    yield tmp_path
    shutil.rmtree(tmp_path / "lake")


def table_of(data: Path, name: str) -> tuple[Path, pa.Table]:
    (path,) = (data / "lake").glob(f"*/{name}")
    return path, pa.table(DeltaTable(str(path)).to_pyarrow_table())


def test_a_row_that_is_gone_is_found(copy: Path) -> None:
    path, rows = table_of(copy, "miner_telemetry")
    write_deltalake(str(path), rows.slice(1), mode="overwrite")
    gone = rows["time"][0]
    polled = pc.sum(pc.equal(rows["time"], gone)).as_py()
    said = f"tick {int(gone.as_py().timestamp())}: {polled} miners were polled, {polled - 1} rows are stored"
    assert said in of_files(copy).faults


def test_a_row_that_is_there_twice_is_found(copy: Path) -> None:
    path, rows = table_of(copy, "miner_fan")
    write_deltalake(str(path), rows.slice(0, 1), mode="append")
    (fault,) = of_files(copy).faults
    assert fault.startswith("miner_fan: 1 rows are there more than once")


def test_a_tick_that_was_told_and_is_not_stored_is_found(copy: Path) -> None:
    path, rows = table_of(copy, "collector_tick")
    lost = int(rows["time"][0].as_py().timestamp())
    write_deltalake(str(path), rows.slice(1), mode="overwrite")
    assert f"tick {lost} was reported and is not stored" in of_files(copy).faults
