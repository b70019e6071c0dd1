"""``lodeline anomalies`` on scores of two miners."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from deployments.command import app
from storage.frame import Value, build_frame
from storage.lake.store import EmbeddedStore

HOUR = int(time.time()) // 3_600 * 3_600 - 3_600


@pytest.fixture
def runner(tmp_path: Path) -> CliRunner:
    miners = [{"id": name, "model": "S19", "ip": f"127.0.0.{number}"} for number, name in enumerate(("m1", "m2"), 1)]
    (tmp_path / "data_collection_config.yaml").write_text(yaml.safe_dump({"miners": miners}))
    return CliRunner(env={"LODELINE_CONFIG": str(tmp_path), "LODELINE_DATA_DIRECTORY": str(tmp_path / "data")})


@pytest.fixture
def scores(runner: CliRunner, tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path / "data" / "lake")
    columns: dict[str, Sequence[Value]] = {
        "miner_id": ["m1", "m1", "m1", "m2"],
        "time_period": ["1h", "300s", "300s", "1h"],
        "hashrate": [0.9, 0.0, 1.0, None],
        "overall": [0.91, 0.1, 1.0, None],
        "anomalous": [True, False, True, None],
        "reasons": ["hashrate: 1 boards lost", "", "hashrate: the same", "not judged: it is unreachable"],
    }
    store.write([build_frame("anomaly_score", [HOUR, HOUR + 300, HOUR + 600, HOUR], columns)])
    store.close()


@pytest.mark.usefixtures("scores")
def test_the_odd_ones_with_their_reasons_the_oddest_first(runner: CliRunner) -> None:
    result = runner.invoke(app, ["anomalies", "--format", "json"])
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)
    assert [(row["time_period"], row["reasons"]) for row in rows] == [
        ("300s", "hashrate: the same"), ("1h", "hashrate: 1 boards lost"),
    ]  # fmt: skip


@pytest.mark.usefixtures("scores")
def test_all_and_one_with_what_is_not_known(runner: CliRunner) -> None:
    result = runner.invoke(app, ["anomalies", "--all", "--format", "json"])
    assert [row["miner_id"] for row in json.loads(result.stdout)] == ["m1", "m1", "m2"]
    (alone,) = json.loads(runner.invoke(app, ["anomalies", "--miner", "m2", "--format", "json"]).stdout)
    assert (alone["overall"], alone["anomalous"], alone["reasons"]) == (None, None, "not judged: it is unreachable")


def test_none_and_a_wrong_id(runner: CliRunner) -> None:
    result = runner.invoke(app, ["anomalies"])
    assert result.exit_code == 0
    assert "Nothing is odd, or nothing was judged" in result.stderr
    result = runner.invoke(app, ["anomalies", "--miner", "m3"])
    assert result.exit_code == 2
    assert "no miner m3 is configured" in result.stderr
