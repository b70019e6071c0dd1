"""``lodeline advice`` on three opportunities."""

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

HOUR = int(time.time()) // 3_600 * 3_600


@pytest.fixture
def runner(tmp_path: Path) -> CliRunner:
    miner = {"id": "m1", "model": "S19", "ip": "127.0.0.1"}
    (tmp_path / "data_collection_config.yaml").write_text(yaml.safe_dump({"miners": [miner]}))
    return CliRunner(env={"LODELINE_CONFIG": str(tmp_path), "LODELINE_DATA_DIRECTORY": str(tmp_path / "data")})


@pytest.fixture
def advised(runner: CliRunner, tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path / "data" / "lake")
    columns: dict[str, Sequence[Value]] = {
        "miner_id": ["m1"] * 4,
        "type": ["fan", "fan", "board", "preset"],
        "subject": ["fan 1", "fan 1", "board 2", "preset 2400 W"],
        "potential_impact_usd_day": [0.1, 0.4, None, 2.0],
        "status": ["open", "open", "open", "taken"],
    }
    store.write([build_frame("optimization_opportunity", [HOUR - 7_200, HOUR, HOUR, HOUR], columns)])
    store.close()


def shown(runner: CliRunner, *arguments: str) -> list[tuple[str, float | None]]:
    told = runner.invoke(app, ["advice", "--format", "json", *arguments])
    assert told.exit_code == 0, told.output
    return [(row["subject"], row["potential_impact_usd_day"]) for row in json.loads(told.stdout)]


@pytest.mark.usefixtures("advised")
def test_what_is_open_is_shown_by_its_newest_row(runner: CliRunner) -> None:
    assert shown(runner) == [("fan 1", 0.4), ("board 2", None)]
    assert shown(runner, "--ended") == [("preset 2400 W", 2.0), ("fan 1", 0.4), ("board 2", None)]
    assert shown(runner, "--least", "1") == [("board 2", None)], "what nobody knows the gain of is not little"
    assert shown(runner, "--miner", "m1") == shown(runner)


def test_nothing_and_nobody(runner: CliRunner) -> None:
    empty = runner.invoke(app, ["advice"])
    assert empty.exit_code == 0
    assert "flow advise has not run" in empty.stderr
    unknown = runner.invoke(app, ["advice", "--miner", "m9"])
    assert unknown.exit_code == 2
    assert "no miner m9 is configured" in unknown.output
