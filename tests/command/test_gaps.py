"""``lodeline gaps`` on a host whose collector was away for twenty minutes."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from deployments.command import app
from deployments.farm import Farm
from storage.frame import build_frame
from storage.lake.sink import LakeSink
from storage.spool.record import Batch, SpoolRecord

EVERY_S = 60
MISSING = 19


@pytest.fixture
def runner(tmp_path: Path) -> Iterator[CliRunner]:
    """Two miners of a farm that answers in a thread of its own, since the command has its own event loop."""
    started, stop = threading.Event(), threading.Event()

    async def serve() -> None:
        async with Farm(2, port=0) as farm:
            configuration = farm.configuration()
            configuration["pools"] = [{"id": "ltc", "kind": "litecoinpool", "account": "f", "api_key": "none"}]
            for miner in configuration["miners"]:
                miner |= {"polling_interval_seconds": EVERY_S, "adaptive": False, "driver": "vnish-rest"}
            (tmp_path / "data_collection_config.yaml").write_text(yaml.safe_dump(configuration))
            started.set()
            await asyncio.to_thread(stop.wait)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert started.wait(60)
    now = int(time.time()) // EVERY_S * EVERY_S
    slots = [now - 1_800, *range(now - 600, now, EVERY_S)]
    ids = [each["id"] for each in yaml.safe_load((tmp_path / "data_collection_config.yaml").read_text())["miners"]]
    times = [slot for slot in slots for _ in ids]
    host = [socket.gethostname()] * len(slots)
    frames = [
        build_frame(
            "collector_tick", slots, {"host": host, "lane": ["miners"] * len(slots), "points": [3] * len(slots)}
        ),
        build_frame("miner_telemetry", times, {"miner_id": ids * len(slots), "reachable": [True] * len(times)}),
        build_frame(
            "pool_performance", [now - 7_200, now - 300], {"pool_id": ["ltc", "ltc"], "status": ["online", "online"]}
        ),
        build_frame(
            "source_request", [now - 3_600] * 2,
            {"host": host[:2], "source": ["ltc"] * 2, "request": ["a", "b"], "ok": [False] * 2,
             "failure": ["timeout", "refused"]},
        ),
    ]  # fmt: skip
    LakeSink(tmp_path / "data" / "lake", "host").deliver(
        [SpoolRecord("miners", 1, 0, Batch("m/1", now, "run", frames))]
    )
    try:
        yield CliRunner(
            env={"LODELINE_CONFIG": str(tmp_path), "LODELINE_DATA_DIRECTORY": str(tmp_path / "data"), "COLUMNS": "100"}
        )
    finally:
        stop.set()
        thread.join()


def test_gaps_are_shown_then_filled_then_gone(runner: CliRunner) -> None:
    shown = runner.invoke(app, ["gaps"])
    assert shown.exit_code == 0, shown.output
    pool, *lines = shown.stdout.splitlines()
    assert pool.startswith("ltc (pool): no reading from ")
    assert pool.endswith(": 2 of 2 requests failed: timeout 1, refused 1")
    assert lines[-1] == "2 gaps; --fill asks the miners for them"
    assert all(f": {MISSING} readings from " in line for line in lines[:-1])

    told = json.loads(runner.invoke(app, ["gaps", "--json"]).stdout)
    assert [len(gap["slots"]) for gap in told["gaps"]] == [MISSING] * 2
    assert told["filled"] is None
    assert [(gap["source"], gap["open"]) for gap in told["sources"]] == [("ltc", False)]
    alone = json.loads(runner.invoke(app, ["gaps", "--json", "--source", "ltc"]).stdout)
    assert (alone["gaps"], alone["sources"]) == ([], told["sources"])

    miner = told["gaps"][0]["miner_id"]
    one = json.loads(runner.invoke(app, ["gaps", "--json", "--fill", "--miner", miner]).stdout)
    assert [each["miner_id"] for each in one["filled"]] == [miner]
    left = json.loads(runner.invoke(app, ["gaps", "--json"]).stdout)
    expected = 2 if one["filled"][0]["reason"] else 1  # a miner of the other dialect has no history
    assert len(left["gaps"]) == expected

    filled = runner.invoke(app, ["gaps", "--fill"])
    assert filled.exit_code == 0, filled.output
    assert " readings filled" in filled.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--miner", "nobody"], "no miner nobody is configured"),
        (["--source", "lct"], "no pool or provider lct is configured"),
        (["--from", "2026-11-25T12:00Z", "--to", "2026-11-25T11:00Z"], "is not before"),
        (["--from", "yesterday"], "'yesterday' is not a time"),
    ],
)
def test_mistakes_are_said(runner: CliRunner, arguments: list[str], said: str) -> None:
    result = runner.invoke(app, ["gaps", *arguments])
    assert result.exit_code == 2
    assert said in result.stderr
