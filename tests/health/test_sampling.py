"""Looks at a host become rows: exact shares, the worst of five minutes, one process of the host at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from storage.declaration import MEASUREMENTS, Tier
from storage.delivery.books import Books
from storage.delivery.courier import Courier
from storage.delivery.lag import Lag
from storage.histogram import DELAYS, empty
from storage.opening import open_sinks, open_store
from storage.settings import StorageSettings
from storage.spool.lane import Lane, LaneReader
from tasks.health import sampling
from tasks.health.host import Clock, CpuTimes, HostState
from tasks.health.processes import Usage
from tasks.health.rows import delivery_frame, host_frame, process_frame, waiting_s
from tasks.health.sampling import Sampler, Sampling
from tasks.health.status import read_status
from tests.delivery.sinks import MemorySink
from tests.spool.batches import batch

T = 1_800_000_000
assert T % sampling.ROW_S == 0


def state(**given: Any) -> HostState:
    usual: dict[str, Any] = {
        "cpus": 4, "load_1m": 0.5, "cpu": CpuTimes(busy_s=100, whole_s=1000), "memory_total": 1000,
        "memory_available": 600, "swap_used": 0, "disk_total": 10**9, "disk_free": 10**8,
        "temperature_c": 50.0, "throttled": False,
        "under_voltage": None, "uptime_s": 99, "clock": Clock(synchronised=True, error_s=0.1),
        "reasons": {"under_voltage": "no_sensor"},
    }  # fmt: skip
    return HostState(**{**usual, **given})


def row(frame: Any, number: int = 0) -> dict[str, Any]:
    return {name: values[number] for name, values in frame.columns.items()}


def test_a_row_of_the_host_tells_the_worst_of_its_minutes() -> None:
    looks = [
        state(memory_available=90, temperature_c=None),
        state(temperature_c=81.0, throttled=True, under_voltage=None),
        state(cpu=CpuTimes(busy_s=400, whole_s=1600)),
    ]
    told = row(host_frame(looks, state(), 0.25, "edge", T))
    assert told["cpu_busy"] == 0.5, "300 of 600 ticks"
    assert (told["memory_available"], told["temperature_c"], told["throttled"]) == (90, 81.0, True)
    assert "under_voltage" not in told, "nobody knows: null, not false"
    assert told["reason"] == "under_voltage:no_sensor"
    assert (told["clock_synchronised"], told["clock_error_s"], told["clock_offset_s"]) == (True, 0.1, 0.25)


def test_the_first_row_has_no_share_of_the_processor() -> None:
    told = row(host_frame([state(reasons={})], None, "no_influxdb", "edge", T))
    assert "cpu_busy" not in told
    assert told["reason"] == "clock_offset_s:no_influxdb,cpu_busy:first_look"
    assert "clock_offset_s" not in told


def test_rows_of_processes() -> None:
    frame = process_frame([Usage("flows", 2, None, 10, None, 5, 6), Usage("page", 1, 0.5, 10, 9, 5, 6)], "edge", T)
    assert row(frame)["reason"] == "cpu_cores:first_look,pss:not_readable"
    assert (row(frame, 1)["process"], row(frame, 1)["cpu_cores"], row(frame, 1)["reason"]) == ("page", 0.5, None)


def books(accepted: int, stored: int, lag: Lag | None = None) -> Books:
    return Books(accepted, stored, 0, 0, accepted - stored, None, lag)


def test_rows_of_delivery() -> None:
    slow = Lag(slot=T - 400, delays=empty(DELAYS).plus([2.0], 100))
    # 300 points more within 5 s, straight between 2.5 and 5: half of them by 3.75 s
    now = Lag(slot=T - 60, delays=slow.delays.plus([4.0], 300))
    before = {("miners", "lake"): books(100, 100, slow)}
    after = {
        ("miners", "lake"): books(400, 340, now),
        ("pools", "lake"): books(5, 0),
        ("replay", "lake"): books(5, 5, now),
    }
    frame = delivery_frame(after, before, 300.0, "edge", T)
    miners, pools, replay = (row(frame, number) for number in range(3))
    assert (miners["accepted_per_s"], miners["stored_per_s"], miners["backlog"]) == (1.0, 0.8, 60)
    assert miners["lag_p50_s"] == pytest.approx(3.75)
    assert miners["lag_p99_s"] == pytest.approx(2.5 + 2.5 * 0.99)
    assert miners["waiting_s"] == 60.0
    assert miners["reason"] is None
    assert pools["waiting_s"] is None
    assert (
        pools["reason"]
        == "accepted_per_s:first_look,lag:first_look,stored_per_s:first_look,waiting_s:nothing_stored_yet"
    )
    assert replay["lag_p50_s"] is None, "a replay is of long ago, and so it is no delay"
    assert "lag:of_the_past" in replay["reason"]


def test_nothing_waits() -> None:
    assert waiting_s(books(5, 5), T) == 0.0
    assert waiting_s(books(6, 5, Lag(slot=T - 30, delays=empty(DELAYS))), T) == 30.0


@pytest.fixture
def storage(tmp_path: Path) -> StorageSettings:
    return StorageSettings(data_directory=tmp_path)


@pytest.fixture
def lane(storage: StorageSettings) -> Iterator[Lane]:
    with Lane.open(storage.spool_directory, "health-edge", cap_bytes=10**7) as lane:
        yield lane


def spooled(storage: StorageSettings) -> list[Any]:
    return LaneReader(storage.spool_directory / "health-edge").records_after(0, 10**6)


def test_a_row_every_five_minutes_and_the_same_minute_once(storage: StorageSettings, lane: Lane) -> None:
    looks = iter([state()] + [state(memory_available=available) for available in (5, 4, 3, 2, 7, 6, 8)])
    sampler = Sampler(lane, storage, host="edge", run_id="run", look_at=lambda _: next(looks))
    sampler.begin(T - 299.0)
    told = [sampler.minute(T - 300.0 + 60 * minute + 0.2) for minute in (1, 2, 3, 4, 5)]
    assert told[:4] == [0, 0, 0, 0]
    assert told[4] >= 1
    assert sampler.minute(T + 0.9) == 0  # woken twice in one minute
    assert sampler.minute(T + 299.9) == 0  # a clock that is being set right woke it early
    (record,) = spooled(storage)
    assert record.batch.batch_id == f"health/edge/{T}"
    host = next(frame for frame in record.batch.frames if frame.measurement == "pipeline_host")
    assert (host.times, host.columns["memory_available"]) == ([T], [2])


def test_deliveries_of_the_host_are_told(storage: StorageSettings, lane: Lane) -> None:
    sampler = Sampler(lane, storage, host="edge", run_id="run", look_at=lambda _: state())
    with Lane.open(storage.spool_directory, "miners", cap_bytes=10**7) as miners:
        miners.append(batch("a", ["p"], T))
    sink = MemorySink("lake")
    courier = Courier(
        storage.spool_directory / "miners", sink, ["lake"], holder="t", random=lambda: 0.5, now=lambda: T + 3.0
    )
    sampler.begin(T + 1.0)
    courier.attempt()
    sampler.minute(T + 300.0)
    frame = next(f for f in spooled(storage)[-1].batch.frames if f.measurement == "pipeline_delivery")
    told = {
        (lane, sink): number
        for number, (lane, sink) in enumerate(zip(frame.columns["lane"], frame.columns["sink"], strict=True))
    }
    miners_row = row(frame, told["miners", "lake"])
    assert (miners_row["backlog"], miners_row["waiting_s"]) == (0, 0.0)


def test_one_process_of_a_host_looks(
    storage: StorageSettings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    begun, wanted = threading.Event(), threading.Event()
    began: list[str] = []

    def begin(self: Sampler, _now: float) -> None:
        began.append(self._run_id)
        begun.set()

    class Tried(Lane):
        @classmethod
        def open(cls, *given: Any, **more: Any) -> Lane:
            try:
                return super().open(*given, **more)
            finally:
                if begun.is_set():
                    wanted.set()

    monkeypatch.setattr(Sampler, "begin", begin)
    monkeypatch.setattr(sampling, "Lane", Tried)
    with Sampling(storage, host="Edge", run_id="first"):
        assert begun.wait(30)
        with Sampling(storage, host="Edge", run_id="second"):
            assert wanted.wait(30)
    begun.clear()
    with Sampling(storage, host="Edge", run_id="third"):
        assert begun.wait(30)
    assert began == ["first", "third"], "the second found the lane taken; the third has it as soon as it is free"
    assert not caplog.records


def test_rows_come_into_the_store_and_their_lane_needs_no_ticks(storage: StorageSettings, lane: Lane) -> None:
    Sampler(lane, storage, host="edge", run_id="run", look_at=lambda _: state()).minute(T)
    (sink,) = open_sinks(storage, "edge")
    courier = Courier(storage.spool_directory / "health-edge", sink, ["lake"], holder="t", random=lambda: 0.5)
    assert courier.attempt() == 0.0
    courier.close()
    store = open_store(storage)
    (told,) = store.read(MEASUREMENTS["pipeline_host"], Tier.RAW, T, T + 1).to_pylist()
    store.close()
    assert (told["host"], told["memory_available"], told["under_voltage"]) == ("edge", 600, None)
    status = read_status(storage.data_directory, T)
    assert [reason for reason in status.reasons if "lane" in reason] == []
