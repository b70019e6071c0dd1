"""A tick in parts: bounded, each once however often the slot is tried, and counted as one tick."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from storage.declaration import MEASUREMENTS, Tier
from storage.delivery.books import books_of_lane
from storage.delivery.delivery import Delivery
from storage.errors import NeedsHuman
from storage.frame import Frame, build_frame
from storage.lake.sink import LakeSink
from storage.lake.store import EmbeddedStore
from storage.spool.lane import Lane, LaneReader
from storage.spool.record import Batch, SpoolRecord
from tasks.shift import parts
from tasks.shift.journal import Journal
from tasks.shift.parts import miners_in, parts_of
from tasks.shift.recorder import Recorder
from tasks.shift.slots import Slot
from tests.shift import killed
from tests.spool.batches import SLOT

BODIES = ("a" * 40, None, "b" * 40, "c" * 20, "d" * 150, "e" * 10)
PART_TEXT = 100
READINGS = 3


def answers(bodies: tuple[str | None, ...] = BODIES) -> Frame:
    columns: dict[str, list[Any]] = {
        "miner_id": [f"m{row}" for row in range(len(bodies))],
        "path": ["/summary"] * len(bodies),
        "body": list(bodies),
        "failure": ["timeout" if body is None else None for body in bodies],
    }
    return build_frame("raw_payload", [SLOT] * len(bodies), columns)


def readings(hashrate: float = 1.5) -> Frame:
    names = [f"m{row}" for row in range(READINGS)]
    return build_frame("miner_telemetry", [SLOT] * READINGS, {"miner_id": names, "hashrate_hs": [hashrate] * READINGS})


def outcome(*frames: Frame) -> Any:
    return SimpleNamespace(
        frames=frames, polled=READINGS, failed=0, failed_by_reason={}, standings=(), left_alone=0,
        configurations_dropped=0, payloads_dropped=0, next_slot=None, tick_s=0.5, loop_lag_ms=1.0,
    )  # fmt: skip


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr("tasks.shift.recorder.parts_of", lambda frames: parts_of(frames, PART_TEXT))


@pytest.fixture
def lane(tmp_path):
    with Lane.open(tmp_path, "miners", cap_bytes=10**7) as lane:
        yield lane


def a_recorder(tmp_path: Path, lane: Lane) -> Recorder:
    journal = Journal(tmp_path / "state", "miners")
    return Recorder(lane, tmp_path / "miners", journal, host="h", store="embedded", sinks=["lake"], run_id="run")


def spooled(tmp_path: Path) -> list[SpoolRecord]:
    return LaneReader(tmp_path / "miners").records_after(0, 10**9)


def rows(records: list[SpoolRecord], measurement: str, column: str) -> list[Any]:
    found: list[Any] = []
    for record in records:
        for frame in record.batch.frames:
            if frame.measurement == measurement:
                found += frame.columns.get(column, [None] * len(frame))
    return found


@pytest.mark.parametrize(
    ("bodies", "expected"),
    [
        pytest.param((), ["m0 m1 m2"], id="no answers"),
        pytest.param(("x" * 100,), ["m0 m1 m2"], id="as much as fits is one part"),
        pytest.param((None, None), ["m0 m1 m2"], id="nobody answered"),
        pytest.param(BODIES, ["m0 m1 m2 m3", "m4", "m5"], id="one longer than a part is one"),
        pytest.param(("x" * 101,), ["m0", "m1 m2"], id="only one, and too long"),
        pytest.param(("x" * 50,) * 5, ["m0 m1", "m2 m3", "m4"], id="full to the last character"),
    ],
)
def test_parts_are_bounded_and_have_all_rows_of_a_miner_in_one(bodies, expected):
    frames = [readings(), *([answers(bodies)] if bodies else [])]
    found = list(parts_of(frames, PART_TEXT))
    assert [" ".join(sorted(miners_in(part))) for part in found] == expected
    for frame in frames:
        parts_of_it = [part for each in found for part in each if part.measurement == frame.measurement]
        assert {
            name: [v for part in parts_of_it for v in part.columns[name]] for name in frame.columns
        } == frame.columns
        assert [time for part in parts_of_it for time in part.times] == frame.times


def test_readings_are_bounded_too():
    """Of 12 miners with a row in each of two frames, three fit into a part of seven rows; fleet-wide rows go first."""
    names = [f"m{row:02d}" for row in range(12)]
    fans = build_frame("miner_fan", [SLOT] * 12, {"miner_id": names[::-1], "fan": ["0"] * 12, "speed_rpm": [5] * 12})
    telemetry = build_frame("miner_telemetry", [SLOT] * 12, {"miner_id": names, "power_w": list(range(12))})
    of_nobody = build_frame("collector_tick", [SLOT], {"host": ["h"], "lane": ["miners"], "polled": [12]})
    found = list(parts_of([fans, telemetry, of_nobody], PART_TEXT, 7))
    assert [sum(map(len, part)) for part in found] == [7, 6, 6, 6]
    assert [miners_in(part) for part in found] == [set(names[::-1][n : n + 3]) for n in range(0, 12, 3)]
    assert found[0][-1] == of_nobody
    assert sorted(w for part in found for frame in part for w in frame.columns.get("power_w", ())) == list(range(12))


def test_what_a_miner_answered_is_in_one_part():
    bodies = ["a" * 40, "b" * 40, "c" * 40, "d" * 40, "e" * 70, "f" * 70, None]
    columns: dict[str, list[Any]] = {
        "miner_id": ["m0", "m0", "m1", "m1", "m2", "m2", "m3"], "path": list("aababab"), "body": bodies,
        "failure": [None] * 6 + ["timeout"],
    }  # fmt: skip
    found = list(parts_of([build_frame("raw_payload", [SLOT] * len(bodies), columns)], PART_TEXT))
    kept = [[name for frame in part for name in frame.columns["miner_id"]] for part in found]
    assert kept == [["m0", "m0"], ["m1", "m1"], ["m2", "m2"], ["m3"]]


def test_a_large_tick_is_one_tick_in_several_records(tmp_path, lane):
    recorder = a_recorder(tmp_path, lane)
    report = recorder.record(Slot(SLOT), outcome(readings(), answers()))
    records = spooled(tmp_path)
    assert [record.batch.batch_id for record in records] == [f"miners/{SLOT}/{part}" for part in range(3)]
    assert {(record.batch.slot, record.batch.run_id) for record in records} == {(SLOT, "run")}
    assert report.points == READINGS + len(BODIES) + 1
    assert report.points == report.points_accepted == sum(record.batch.points for record in records)
    assert report.points == LaneReader(tmp_path / "miners").points_accepted
    assert [frame.measurement for frame in records[0].batch.frames] == [
        "miner_telemetry", "raw_payload", "collector_tick",
    ]  # fmt: skip
    assert rows(records, "collector_tick", "batch_id") == [records[0].batch.batch_id]
    assert rows(records, "collector_tick", "sequence") == [records[0].sequence]
    assert rows(records, "collector_tick", "points") == [report.points]
    following = recorder.record(Slot(SLOT + 60), outcome(readings()))
    assert rows(spooled(tmp_path), "collector_tick", "sequence") == [1, 4]
    assert following.points_accepted == report.points + following.points


@pytest.mark.parametrize("taken", range(3))
@pytest.mark.parametrize("restarted", [False, True])
def test_a_failure_between_two_parts_doubles_nothing(tmp_path, monkeypatch, taken, restarted):
    journal = Journal(tmp_path / "state", "miners")
    append, appended = Lane.append, 0

    def failing(self: Lane, batch: Batch, *, follows: bool = False) -> SpoolRecord:
        nonlocal appended
        if appended == taken:
            raise NeedsHuman("the disk is full", remedy="Free space")
        appended += 1
        return append(self, batch, follows=follows)

    read = outcome(readings(), answers())
    lane = Lane.open(tmp_path, "miners", cap_bytes=10**7)
    recorder = a_recorder(tmp_path, lane)
    with monkeypatch.context() as broken:
        broken.setattr(Lane, "append", failing)
        with pytest.raises(NeedsHuman):
            recorder.record(Slot(SLOT), read)
    assert journal.newest() is None, "a tick counts when all of it is in"
    assert len(spooled(tmp_path)) == taken
    if restarted:
        lane.close()
        lane = Lane.open(tmp_path, "miners", cap_bytes=10**7)
        recorder = a_recorder(tmp_path, lane)
    for _ in range(2):
        report = recorder.record(Slot(SLOT), read)
    records = spooled(tmp_path)
    lane.close()
    assert [record.batch.batch_id for record in records] == [f"miners/{SLOT}/{part}" for part in range(3)]
    assert rows(records, "raw_payload", "body") == list(BODIES)
    assert rows(records, "collector_tick", "sequence") == [1]
    assert report.points == report.points_accepted == READINGS + len(BODIES) + 1
    assert journal.newest() == report


@pytest.mark.parametrize("taken", [1, 3])
def test_a_kill_between_two_parts_leaves_readings_and_answers_of_one_poll(tmp_path, taken):
    """What was killed is delivered, segments that are done with are removed, and a successor polls the slot again."""
    command = [sys.executable, "-m", "tests.shift.killed", str(tmp_path), str(taken)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (-signal.SIGKILL, "")
    delivery = Delivery(tmp_path / "spool", [LakeSink(tmp_path / "lake", "host")], "host")
    assert delivery.flush(60)
    killed.record(tmp_path, 2e14, "successor")
    assert delivery.flush(60)
    delivery.close()

    store = EmbeddedStore(tmp_path / "lake")
    telemetry, ticks, kept = (
        store.read(MEASUREMENTS[name], Tier.RAW, SLOT, SLOT + 1).to_pylist()
        for name in ("miner_telemetry", "collector_tick", "raw_payload")
    )
    store.close()
    old = 3 * taken  # miners of the parts that were durable
    assert [row["hashrate_hs"] for row in telemetry] == [1e14] * old + [2e14] * (killed.MINERS - old)
    assert [row["run_id"] for row in ticks] == ["killed"]
    assert {row["body"].strip(".") for row in kept} == {
        f"{row['miner_id']} hashes {row['hashrate_hs']:f}" for row in telemetry
    }
    books = books_of_lane(tmp_path / "spool" / "miners")["lake"]
    assert books.accepted == books.stored == len(telemetry) + len(ticks) + len(kept), "no row came twice"


def test_a_miner_that_a_killed_run_has_spooled_is_not_read_twice_and_the_others_are_added(tmp_path, lane):
    first = Batch(f"miners/{SLOT}/0", SLOT, "killed", [readings(hashrate=1.0), build_frame(
        "collector_tick", [SLOT], {"host": ["h"], "lane": ["miners"], "polled": [READINGS]}
    )])  # fmt: skip
    lane.append(first)
    report = a_recorder(tmp_path, lane).record(Slot(SLOT), outcome(readings(hashrate=2.0), answers()))
    records = spooled(tmp_path)
    assert records[0].batch == first
    assert rows(records, "miner_telemetry", "hashrate_hs") == [1.0] * READINGS
    assert rows(records, "raw_payload", "miner_id") == ["m3", "m4", "m5"], "whose readings are not of another poll"
    assert report.points == report.points_accepted == first.points + 3


def test_rows_of_no_miner_are_those_of_the_run_that_was_first(tmp_path, lane):
    """As of a lane of pools: its tick is one part, and of a second poll of the slot nothing is added."""

    def price(usd: float) -> Frame:
        return build_frame("market_data", [SLOT], {"source": ["s"], "coin_id": ["bitcoin"], "price_usd": [usd]})

    for usd in (1.0, 2.0):
        a_recorder(tmp_path, lane).record(Slot(SLOT), outcome(price(usd)))
    assert rows(spooled(tmp_path), "market_data", "price_usd") == [1.0]


def test_a_usual_small_fleet_has_one_record_a_tick():
    assert parts.PART_TEXT > 1_000 * 2 * 2_600
    assert parts.PART_POINTS > 1_000 * 13
    assert len(list(parts_of([readings(), answers(("x" * 2_600,) * 2_000)]))) == 1


def polled(*answers_ms: float | None) -> Frame:
    """A miner of each time; None: it did not answer, and its time-out is no answer's time."""
    names = [f"m{number}" for number in range(len(answers_ms))]
    columns: dict[str, list[Any]] = {
        "miner_id": names,
        "reachable": [took is not None for took in answers_ms],
        "poll_ms": [5000.0 if took is None else took for took in answers_ms],
    }
    return build_frame("miner_telemetry", [SLOT] * len(names), columns)


def test_a_tick_tells_how_long_answers_took_and_counts_on(tmp_path, lane):
    told = outcome(polled(100.0, 200.0, 300.0, None))
    told.polled, told.failed, told.failed_by_reason = 4, 1, {"timeout": 1}
    a_recorder(tmp_path, lane).record(Slot(SLOT), told)
    records = spooled(tmp_path)
    # straight between the answers: 0.95 x 2 = 1.9 of the way from the first to the third
    assert [rows(records, "collector_tick", f"latency_p{part}_ms")[0] for part in (50, 95, 99)] == [200.0, 290.0, 298.0]

    told.failed_by_reason = {"timeout": 1, "refused": 1}
    again = a_recorder(tmp_path, lane)  # another process: it counts on
    tally = again.record(Slot(SLOT + 60, missed=2), told).tally
    assert (tally.ticks, tally.missed, tally.asked, tally.failed) == (2, 2, 8, {"refused": 1, "timeout": 2})
    assert tally.answers.count == 6
    assert tally.answers.sum == pytest.approx(1.2)


def test_who_asks_nobody_that_answers_has_no_latency(tmp_path, lane):
    a_recorder(tmp_path, lane).record(Slot(SLOT), outcome(polled(None)))
    assert rows(spooled(tmp_path), "collector_tick", "latency_p50_ms") == [None]


def test_a_tick_that_the_disk_did_not_take_is_counted_once(tmp_path, lane, monkeypatch):
    recorder = a_recorder(tmp_path, lane)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Journal, "write", full)
        with pytest.raises(OSError, match="space"):
            recorder.record(Slot(SLOT), outcome(polled(100.0)))
    assert recorder.record(Slot(SLOT), outcome(polled(100.0))).tally.ticks == 1
