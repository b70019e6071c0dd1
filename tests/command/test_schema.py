"""``lodeline schema`` on a lake of one table."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner

from deployments.command import app
from storage.lake.maintenance import maintain
from storage.lake.sink import LakeSink
from tests.lake.rows import NOON, tick


def test_versions_of_all_tables_and_the_history_of_one(tmp_path: Path) -> None:
    runner = CliRunner(env={"LODELINE_CONFIG": None, "LODELINE_DATA_DIRECTORY": str(tmp_path), "COLUMNS": "100"})
    unknown = runner.invoke(app, ["schema", "mining_raw/miner_fan"])
    assert (unknown.exit_code, "none yet" in unknown.output) == (2, True)
    LakeSink(tmp_path / "lake", "host").deliver([tick(1)])
    maintain(tmp_path / "lake", NOON)
    lines = runner.invoke(app, ["schema"]).stdout.splitlines()
    assert [line.split(" since ")[0] for line in lines] == [
        "mining_operational/window_touched version 1",
        "mining_raw/miner_fan version 1",
    ]
    (line,) = runner.invoke(app, ["schema", "mining_raw/miner_fan"]).stdout.splitlines()
    assert ": 10 columns (" in line
    wrong = runner.invoke(app, ["schema", "miner_fan"])
    assert (wrong.exit_code, "mining_raw/miner_fan" in wrong.output) == (2, True)
    off = {"LODELINE_LAKE__ENABLED": "false", "LODELINE_INFLUX__URL": "http://[::1]:9"}
    assert runner.invoke(app, ["schema"], env=off).exit_code == 2
