"""``lodeline quality`` on rows of two days."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deployments.command import app
from storage.frame import Value, build_frame
from storage.lake.store import EmbeddedStore

DAY_S = 86_400
YESTERDAY = (int(time.time()) // DAY_S - 1) * DAY_S


@pytest.fixture
def runner(tmp_path: Path) -> CliRunner:
    (tmp_path / "data_collection_config.yaml").write_text("miners: []")
    return CliRunner(env={"LODELINE_CONFIG": str(tmp_path), "LODELINE_DATA_DIRECTORY": str(tmp_path / "data")})


@pytest.fixture
def judged(runner: CliRunner, tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path / "data" / "lake")
    columns: dict[str, Sequence[Value]] = {
        "kind": ["miner", "miner", "pool", "price"],
        "source": ["m1", "m1", "viabtc", "coingecko"],
        "score": [0.2, 0.9, 0.5, None],
        "reason": ["gap", None, None, "completeness:not_configured"],
    }
    store.write([build_frame("source_quality", [YESTERDAY - DAY_S, YESTERDAY, YESTERDAY, YESTERDAY], columns)])
    store.close()


def shown(runner: CliRunner, *arguments: str) -> list[tuple[str, float | None]]:
    told = runner.invoke(app, ["quality", "--format", "json", *arguments])
    assert told.exit_code == 0, told.output
    return [(row["source"], row["score"]) for row in json.loads(told.stdout)]


@pytest.mark.usefixtures("judged")
def test_the_last_day_by_default_and_the_worst_first(runner: CliRunner) -> None:
    assert shown(runner) == [("viabtc", 0.5), ("m1", 0.9), ("coingecko", None)]
    before = str(YESTERDAY - DAY_S + 7_200)  # in the middle of a day: from its start
    assert shown(runner, "--from", before)[-1] == ("m1", 0.2)
    assert shown(runner, "--from", before, "--source", "m1") == [("m1", 0.9), ("m1", 0.2)]
    assert shown(runner, "--kind", "pool") == [("viabtc", 0.5)]


def test_nothing_and_nonsense(runner: CliRunner) -> None:
    nothing = runner.invoke(app, ["quality"])
    assert (nothing.exit_code, "flow derive-quality makes it" in nothing.stderr) == (0, True)
    future = runner.invoke(app, ["quality", "--from", "2199-01-01"])
    assert (future.exit_code, "--from is in the future" in future.stderr) == (2, True)
    wrong = runner.invoke(app, ["quality", "--from", "someday"])
    assert (wrong.exit_code, "'someday' is not a time" in wrong.stderr) == (2, True)
