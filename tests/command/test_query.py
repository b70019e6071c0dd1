"""``lodeline query`` on a lake with a day of two miners."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import time
from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from deployments.command import app
from storage.frame import Value, build_frame
from storage.lake.sink import LakeSink
from storage.spool.record import Batch, SpoolRecord

T = int(time.time()) // 86400 * 86400 - 3 * 86400
DAY, NEXT = (str(dt.datetime.fromtimestamp(T + at, dt.UTC).date()) for at in (0, 86400))
ASKED = ["query", "miner_telemetry", "--from", DAY, "--to", NEXT]


@pytest.fixture
def runner(tmp_path: Path) -> CliRunner:
    times = list(range(T, T + 86400, 900))
    columns: dict[str, Sequence[Value]] = {
        "miner_id": ["m1"] * 96 + ["m2"] * 96,
        "state": ["mining"] * 192,
        "power_w": [3000 + n for n in range(96)] * 2,
    }
    frame = build_frame("miner_telemetry", times * 2, columns)
    LakeSink(tmp_path / "lake", "host").deliver([SpoolRecord("miners", 1, 0, Batch("m/1", T, "run", [frame]))])
    return CliRunner(env={"LODELINE_CONFIG": None, "LODELINE_DATA_DIRECTORY": str(tmp_path), "COLUMNS": "100"})


def test_rows_go_to_stdout_and_where_they_came_from_to_stderr(runner: CliRunner) -> None:
    result = runner.invoke(app, [*ASKED, "--where", "miner_id=m1", "--columns", "power_w", "--format", "csv"])
    assert result.exit_code == 0, result.output
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert len(rows) == 96
    assert rows[1] == {
        "time": f"{DAY}T00:15:00Z", "miner_id": "m1", "model": "", "site": "", "power_w": "3001.0",
    }  # fmt: skip
    assert result.stderr == (
        f"{DAY} 00:00:00 to {NEXT} 00:00:00 UTC: 96 raw rows from embedded (the finest that is kept)\n"
    )


def test_windows_in_json(runner: CliRunner) -> None:
    asked = [*ASKED, "--every", "30m", "--columns", "power_w,power_w_max", "--where", "miner_id=m2"]
    rows = json.loads(runner.invoke(app, [*asked, "--format", "json"]).stdout)
    assert len(rows) == 48
    assert rows[1] | {"model": None, "site": None} == {
        "time": f"{DAY}T00:30:00Z", "miner_id": "m2", "model": None, "site": None,
        "power_w": 3002.5, "power_w_max": 3003,
    }  # fmt: skip


def test_text_for_people(runner: CliRunner) -> None:
    result = runner.invoke(app, [*ASKED, "--columns", "state,power_w", "--where", "miner_id=m1", "--every", "12h"])
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["time", "miner_id", "model", "site", "state", "power_w"]
    assert len(lines) == 3


def test_parquet_can_be_read_again(runner: CliRunner) -> None:
    result = runner.invoke(app, [*ASKED, "--format", "parquet"])
    rows = pq.ParquetFile(io.BytesIO(result.stdout_bytes)).read()
    assert rows.num_rows == 192


def test_short_gaps_are_closed_where_asked_for_and_marked(tmp_path: Path) -> None:
    columns: dict[str, Sequence[Value]] = {
        "miner_id": ["m1"] * 4, "state": ["mining"] * 4, "reachable": [True] * 4, "power_w": [3000, 3010, 3040, 3100],
        "hashrate_hs": [90e12, None, 92e12, 93e12],
    }  # fmt: skip
    frame = build_frame("miner_telemetry", [T, T + 300, T + 900, T + 2100], columns)
    LakeSink(tmp_path / "lake", "host").deliver([SpoolRecord("miners", 1, 0, Batch("m/1", T, "run", [frame]))])
    runner = CliRunner(env={"LODELINE_CONFIG": None, "LODELINE_DATA_DIRECTORY": str(tmp_path), "COLUMNS": "100"})
    asked = [*ASKED, "--columns", "power_w,hashrate_hs", "--format", "json"]
    told = json.loads(runner.invoke(app, [*asked, "--interpolate"]).stdout)
    assert [(r["time"][11:16], r["power_w"], r["interpolated"]) for r in told] == [
        ("00:00", 3000, None), ("00:05", 3010, "hashrate_hs"), ("00:10", 3025, "hashrate_hs,power_w"),
        ("00:15", 3040, None), ("00:35", 3100, None),  # three polls in a row are too long a gap
    ]  # fmt: skip
    assert set(told[0]) == {"time", "miner_id", "model", "site", "power_w", "hashrate_hs", "interpolated"}
    assert [r["power_w"] for r in json.loads(runner.invoke(app, asked).stdout)] == [3000, 3010, 3040, 3100]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["query", "miner_telemetri", "--from", DAY], "Did you mean miner_telemetry"),
        (["query", "miner_telemetry", "--from", "yesterday"], "'yesterday' is not a time"),
        (["query", "miner_telemetry", "--from", DAY, "--to", "9999-01-01"], "not between 1970 and 2200"),
        ([*ASKED, "--columns", "hashrate"], "no column ['hashrate']"),
        ([*ASKED, "--where", "miner_id"], "Write it as tag=value"),
        ([*ASKED, "--where", "miner=m1"], "no tag ['miner']"),
        ([*ASKED, "--every", "1w"], "no length of time"),
        ([*ASKED, "--every", "7h"], "neither divide a day"),
        ([*ASKED, "--every", "1h", "--interpolate"], "raw rows of miner_telemetry"),
        (["query", "miner_board", "--from", DAY, "--interpolate"], "raw rows of miner_telemetry"),
    ],
)
def test_a_mistake_is_told_in_a_line(runner: CliRunner, arguments: list[str], told: str) -> None:
    result = runner.invoke(app, arguments)
    assert result.exit_code == 2
    assert told in result.stderr
    assert "Traceback" not in result.output
    assert result.stdout == ""


def test_the_past_of_the_lake_and_what_is_before_it(runner: CliRunner, tmp_path: Path) -> None:
    time.sleep(1.1)  # versions are told apart by the second
    now = f"{dt.datetime.now(dt.UTC):%Y-%m-%dT%H:%M:%SZ}"
    time.sleep(1.1)
    frame = build_frame("miner_telemetry", [T + 60], {"miner_id": ["m1"], "power_w": [1]})
    LakeSink(tmp_path / "lake", "host").deliver([SpoolRecord("miners", 2, 0, Batch("m/2", T, "run", [frame]))])
    asked = [*ASKED, "--where", "miner_id=m1", "--columns", "power_w", "--format", "json"]
    assert len(json.loads(runner.invoke(app, asked).stdout)) == 97
    assert len(json.loads(runner.invoke(app, [*asked, "--as-of", now]).stdout)) == 96
    assert json.loads(runner.invoke(app, [*asked, "--as-of", DAY]).stdout) == [], "there was no table yet"
    off = runner.invoke(
        app, [*asked, "--as-of", now], env={"LODELINE_LAKE__ENABLED": "false", "LODELINE_INFLUX__URL": "http://[::1]:9"}
    )
    assert (off.exit_code, "it is off here" in off.output) == (2, True)
