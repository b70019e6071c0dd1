"""A stored point is traced to everything it came from; what is gone is said."""

from __future__ import annotations

import asyncio
import json
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from deployments.command import app
from deployments.farm import Fault
from storage.declaration import MEASUREMENTS, Tier
from storage.lake.store import EmbeddedStore
from storage.spool.lane import LaneReader
from tasks.health.status import LANES_WITHOUT_TICKS, read_status
from tasks.miners import backfill
from tasks.miners.payloads import content_id, lodeline_version
from tasks.normalize import hashrate
from tasks.replay.replay import LANE
from tasks.shift.parts import parts_of
from tests.replay.collected import RUN, START, STEP_S, collect

DEAD = "miner_0002"
AT = START + STEP_S
DAY = 86_400


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    asyncio.run(collect(tmp_path, 2, {1: {DEAD: Fault(kind="dead", start=AT - 1)}}))
    monkeypatch.setenv("LODELINE_DATA_DIRECTORY", str(tmp_path))
    monkeypatch.setattr("time.time", lambda: AT + 3600.0)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner(env={"LODELINE_CONFIG": None, "COLUMNS": "200"}).invoke(app, list(arguments))


def traced(measurement: str = "miner_telemetry", miner: str = "miner_0001", at: int = AT) -> dict[str, Any]:
    result = run("trace", measurement, "--miner", miner, "--at", str(at), "--json")
    assert result.exit_code == 0, result.output
    return dict(json.loads(result.stdout))


def test_from_a_point_to_all_it_came_from(data: Path) -> None:
    found = traced(at=AT + 200)
    assert (found["time"], found["store"], found["notes"]) == (AT, "embedded", [])
    assert found["rows"][0]["reachable"] is True
    assert found["driver"] in ("vnish-rest", "vnish-cgi")
    assert found["version"] == lodeline_version()
    assert found["address"].startswith("127.")
    (carried,) = found["carried"]
    assert carried == {
        "lane": "miners", "host": "host", "batch_id": f"miners/{AT}/0", "sequence": 2, "run_id": RUN, "on_disk": True,
        "answers_in": None,
    }  # fmt: skip
    paths = [answer["path"] for answer in found["answers"]]
    assert paths
    assert paths == sorted(set(paths))
    lake = EmbeddedStore(data / "lake")
    bodies = {
        row["path"]: row["body"]
        for row in lake.read(
            MEASUREMENTS["raw_payload"], Tier.RAW, AT, AT + 1, where={"miner_id": "miner_0001"}
        ).to_pylist()
    }
    lake.close()
    assert {answer["path"]: answer["sha256"] for answer in found["answers"]} == {
        path: content_id(body) for path, body in bodies.items()
    }
    for measurement in ("miner_board", "miner_fan", "miner_pool"):
        of_parts = traced(measurement)
        assert of_parts["answers"] == found["answers"]
        assert {row["time"] for row in of_parts["rows"]} == {AT}


def test_one_board_of_several(data: Path) -> None:
    every = traced("miner_board")["rows"]
    assert len(every) > 1
    chosen = run("trace", "miner_board", "--where", "miner_id=miner_0001", "--where", f"board={every[1]['board']}",
                 "--at", str(AT), "--json")  # fmt: skip
    assert json.loads(chosen.stdout)["rows"] == [every[1]]


def test_in_words(data: Path) -> None:
    result = run("trace", "miner_telemetry", "--miner", "miner_0001", "--at", "2026-11-25T12:05:00Z")
    assert result.exit_code == 0
    for said in ("miner_telemetry of miner_0001 at 2026-11-25 12:05:00 UTC, in embedded", "read by   vnish-",
                 f"batch miners/{AT}/0, record 2 (still in the spool)", f"by run    {RUN}", ": 200, "):  # fmt: skip
        assert said in result.stdout


def test_miners_of_a_large_tick_are_in_several_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.shift.recorder.parts_of", partial(parts_of, part_text=6_000))
    asyncio.run(collect(tmp_path, 2))
    monkeypatch.setenv("LODELINE_DATA_DIRECTORY", str(tmp_path))
    lane = LaneReader(tmp_path / "spool" / "miners")
    holder = {
        miner: (record.batch.batch_id, record.sequence)
        for record in lane.records_after(0, 10**6)
        for frame in record.batch.frames
        for miner in frame.columns.get("miner_id", ())
        if frame.measurement == "raw_payload" and record.batch.slot == AT
    }
    last_of_each = {place: miner for miner, place in holder.items()}
    assert len(last_of_each) > 2
    own = last_of_each.pop((f"miners/{AT}/0", min(sequence for _, sequence in last_of_each)))
    assert traced(miner=own)["carried"][0]["answers_in"] is None, "it is in the record of the tick"
    for (batch_id, sequence), miner in last_of_each.items():
        (carried,) = traced(miner=miner)["carried"]
        assert (carried["batch_id"], carried["on_disk"]) == (f"miners/{AT}/0", True)
        assert carried["answers_in"] == {"batch_id": batch_id, "sequence": sequence}
        said = run("trace", "miner_telemetry", "--miner", miner, "--at", str(AT)).stdout
        assert f"the miner in batch {batch_id}, record {sequence} (still in the spool)" in said
    shutil.rmtree(tmp_path / "spool")
    (carried,) = traced()["carried"]
    assert (carried["batch_id"], carried["on_disk"], carried["answers_in"]) == (f"miners/{AT}/0", False, None)


def test_a_miner_that_did_not_answer(data: Path) -> None:
    found = traced(miner=DEAD)
    assert found["rows"][0]["reachable"] is False
    assert {answer["failure"] for answer in found["answers"]} == {found["rows"][0]["failure"]}


def test_what_is_gone_is_said(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(data / "lake" / "mining_payload")
    shutil.rmtree(data / "spool")
    found = traced()
    assert found["carried"][0]["on_disk"] is False
    assert found["version"] is None
    assert found["driver"] in ("vnish-rest", "vnish-cgi"), "that of the configuration"
    assert "LODELINE_LAKE__RAW_PAYLOADS" in found["notes"][0]
    monkeypatch.setattr("time.time", lambda: AT + 8.0 * DAY)
    assert "older than raw_data.miner_payloads" in traced()["notes"][0]
    shutil.rmtree(data / "lake" / "mining_operational")
    assert any("no tick is stored" in note for note in traced()["notes"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("price", "--miner", "m", "--at", "2026-11-25"), "There is no measurement 'price'"),
        (("fleet_health", "--at", "2026-11-25"), "'fleet_health' cannot be traced"),
        (("miner_board", "--miner", "m", "--where", "board=9", "--at", str(AT)), "of miner 'm', board 9, in the hour"),
        (("miner_telemetry", "--miner", "nobody", "--at", str(AT)), "no miner_telemetry of miner 'nobody'"),
        (("miner_telemetry", "--miner", "m", "--at", "noon"), "'noon' is not a time"),
    ],
)
def test_a_users_mistakes(data: Path, arguments: tuple[str, ...], said: str) -> None:
    result = run("trace", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr


def test_replay_as_a_user_runs_it(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    span = ("--from", str(START), "--to", str(AT + 1))
    same = run("replay", *span)
    assert (same.exit_code, same.stdout.count("\n")) == (0, 2)
    assert " 0 differ, 0 new, 0 gone" in same.stdout

    factors = hashrate.hashrate_factor

    def today(unit: str | None) -> float | None:
        factor = factors(unit)
        return None if factor is None else 1.001 * factor

    for dialect in ("vnish_rest.session", "vnish_cgi.parse"):
        monkeypatch.setattr(f"tasks.miners.{dialect}.hashrate_factor", today)
    compared = run("replay", *span, "--miner", "miner_0001", "--dry-run")
    assert compared.exit_code == 0
    assert "miner_telemetry.hashrate_hs: 2 changed" in compared.stdout
    assert "Nothing was stored" in compared.stdout
    before = traced()

    corrected = run("replay", *span, "--miner", "miner_0001", "--into-store", "--json")
    assert corrected.exit_code == 0, corrected.output
    told = json.loads(corrected.stdout)
    assert (told["batches"], told["polls"]) == (1, 2)
    after = traced()
    ratio = after["rows"][0]["hashrate_hs"] / before["rows"][0]["hashrate_hs"]
    assert ratio == pytest.approx(1.001, rel=1e-4)
    assert [each["lane"] for each in after["carried"]] == ["miners", "replay"]
    assert after["carried"][1]["run_id"].startswith("lodeline replay ")
    assert any("a replay corrected this poll" in note for note in after["notes"])
    assert not [reason for reason in read_status(data, AT + 60.0).reasons if "replay" in reason]
    assert " 0 differ" in run("replay", *span, "--miner", "miner_0001", "--into-store").stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--from", "2026-11-24", "--to", "2026-11-25"), "no answers are kept"),
        (("--from", "2026-11-25", "--to", "2026-11-24"), "is not before"),
        (("--from", "2026-11-24", "--to", "2026-11-25", "--dry-run", "--into-store"), "exclude each other"),
    ],
)
def test_a_users_mistakes_with_replay(data: Path, arguments: tuple[str, ...], said: str) -> None:
    result = run("replay", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr


def test_lanes_without_ticks_are_those_of_their_rooms() -> None:
    assert {LANE, backfill.LANE} <= LANES_WITHOUT_TICKS
