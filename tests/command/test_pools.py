"""``lodeline pools`` on two pools, of which one told something."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from deployments.command import app
from storage.lake.store import EmbeddedStore
from tasks.pools.stored import frame_of_rows

H, DAY = 3_600, 86_400
HOUR = int(time.time()) // H * H - H
MIDNIGHT = HOUR // DAY * DAY


@pytest.fixture
def runner(tmp_path: Path) -> CliRunner:
    pools = [
        {"id": "ltc", "kind": "litecoinpool", "state": "gone"},
        {"id": "old", "kind": "viabtc", "state": "gone"},
    ]
    (tmp_path / "data_collection_config.yaml").write_text(yaml.safe_dump({"pools": pools}))
    return CliRunner(env={"LODELINE_CONFIG": str(tmp_path), "LODELINE_DATA_DIRECTORY": str(tmp_path / "data")})


def match(worker: str, status: str, gap: float | None = None, hour: int = HOUR, **more: Any) -> dict[str, Any]:
    named = {"pool_id": "ltc", "worker_id": f"farm.{worker}", "miner_id": worker, "status": status}
    return {"time": hour, **named, "gap_unexplained_ratio": gap, "reason": "", **more}


def day(number: int, **more: Any) -> dict[str, Any]:
    """A day of Beijing: it starts at 16:00 UTC of the day before."""
    named = {"pool_id": "ltc", "coin_id": "litecoin", "settlement_zone": "Asia/Shanghai"}
    return {"time": MIDNIGHT - 8 * H - number * DAY, **named, "reason": "", **more}


@pytest.fixture
def told(runner: CliRunner, tmp_path: Path) -> None:
    account = {"pool_id": "ltc", "coin_id": "litecoin", "status": "live", "workers_inactive": 0, "unpaid": 0.5}
    store = EmbeddedStore(tmp_path / "data" / "lake")
    store.write(
        [
            frame_of_rows("pool_account", [{**account, "time": HOUR}, {**account, "time": HOUR + 60, "unpaid": 0.6}]),
            frame_of_rows(
                "worker_match",
                [
                    match("a", "matched", 0.01, hashrate_miner_hs=9.5e9),
                    match("b", "matched", -0.2),
                    match("c", "missing_worker", reason="ltc does not tell of farm.c"),
                    match("d", "superseded"),
                    match("e", "matched", 0.9, HOUR - H),
                    match("thief", "wrong_pool", pool_id=None),
                ],
            ),
            frame_of_rows(
                "pool_reconciliation",
                [day(number, predicted=0.014, credited=None if number == 1 else 0.0139) for number in range(1, 5)],
            ),
        ]
    )
    store.close()


@pytest.mark.usefixtures("told")
def test_all_in_json(runner: CliRunner) -> None:
    result = runner.invoke(app, ["pools", "--days", "2", "--json"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    first, second = found["accounts"]
    assert (first["pool_id"], first["unpaid"], first["workers_inactive"], first["reason"]) == ("ltc", 0.6, 0, None)
    assert first["age_s"] == pytest.approx(time.time() - HOUR - 60, abs=60)
    assert (second["pool_id"], second["unpaid"]) == ("old", None)
    assert second["reason"] == "told nothing of its account in seven days"
    # of the newest hour, those to look at first
    assert [row["miner_id"] for row in found["workers"]] == ["c", "thief", "b", "a"]
    assert found["worker_states"] == {"matched": 2, "missing_worker": 1, "wrong_pool": 1}
    assert [row["credited"] for row in found["days"]] == [None, 0.0139]
    assert found["days"][0]["day"] == time.strftime("%Y-%m-%d", time.gmtime(MIDNIGHT - DAY))
    assert (found["days"][0]["settlement_zone"], found["days"][0]["predicted"]) == ("Asia/Shanghai", 0.014)


@pytest.mark.usefixtures("told")
def test_text(runner: CliRunner) -> None:
    result = runner.invoke(app, ["pools"])
    assert result.exit_code == 0, result.output
    assert ": 2 matched, 1 missing_worker, 1 wrong_pool" in result.stdout
    assert "ltc does not tell of farm.c" in result.stdout
    assert result.stdout.count("Asia/Shanghai") == 4


@pytest.mark.usefixtures("told")
def test_one_pool(runner: CliRunner) -> None:
    found = json.loads(runner.invoke(app, ["pools", "--pool", "old", "--json"]).stdout)
    assert [row["pool_id"] for row in found["accounts"]] == ["old"]
    assert (found["workers"], found["days"], found["worker_states"]) == ([], [], {})


def test_most_workers_are_not_shown_unless_asked_for(runner: CliRunner, tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path / "data" / "lake")
    store.write([frame_of_rows("worker_match", [match(f"w{number:02}", "matched", 0.0) for number in range(25)])])
    store.close()
    few = runner.invoke(app, ["pools"]).stdout
    assert ("w19" in few, "w20" in few, "and 5 more; --all shows them" in few) == (True, False, True)
    assert "farm.w24" in runner.invoke(app, ["pools", "--all"]).stdout


def test_nothing_yet_and_no_such_pool(runner: CliRunner, tmp_path: Path) -> None:
    nothing = runner.invoke(app, ["pools"])
    assert nothing.exit_code == 0
    assert "no hour of the last 24 is worked out" in nothing.stdout
    assert "no day is reconciled yet" in nothing.stdout
    nobody = runner.invoke(app, ["pools", "--pool", "x"])
    assert (nobody.exit_code, "no pool x is configured" in nobody.stderr) == (2, True)
    assert "configured: ltc, old" in nobody.stderr
    (tmp_path / "data_collection_config.yaml").write_text("{}\n")
    assert "no pool is configured" in runner.invoke(app, ["pools"]).stdout
