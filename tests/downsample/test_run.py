"""Which windows are rolled up: closed ones, once; late ones again; after a kill at any call, the same result."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa
import pytest

from storage.declaration import MEASUREMENTS, Measurement, Tier
from storage.downsample.rollup import days_of_hours, hours_of_raw
from storage.downsample.run import DECLARED_DAYS, GRACE_S, roll_up
from storage.downsample.touch import touched_frame
from storage.frame import Frame, build_frame
from storage.spool.record import Batch, SpoolRecord
from storage.store import Store
from tests.downsample.memory_store import MemoryStore

T = 1795478400  # 2026-11-24T00:00Z
HOUR, DAY = 3600, 86400
TELEMETRY = MEASUREMENTS["miner_telemetry"]
ONLY = ("miner_telemetry",)


def polls(rows: Sequence[tuple[str, int, float | None, int | None]]) -> Frame:
    """(miner, time, hashrate, shares)."""
    return build_frame(
        "miner_telemetry",
        [time for _, time, _, _ in rows],
        {
            "miner_id": [miner for miner, _, _, _ in rows],
            "model": ["S19"] * len(rows),
            "site": ["hall"] * len(rows),
            "reachable": [rate is not None for _, _, rate, _ in rows],
            "state": ["mining" if rate is not None else "unreachable" for _, _, rate, _ in rows],
            "hashrate_hs": [rate for _, _, rate, _ in rows],
            "shares_accepted": [shares for _, _, _, shares in rows],
        },
    )


_delivered = iter(range(T * 10**9, 1 << 62, 7_919_000_003))
"""Times of delivery, in ns. The mark of an hour is the xor of its hosts': of small numbers some would be alike."""


def deliver(store: Store, frame: Frame, host: str = "edge-a") -> None:
    """What a sink does: the data, then the touched hours."""
    store.write([frame])
    record = SpoolRecord("miners", 1, 0, Batch("id", 0, "run", [frame]))
    touched = touched_frame([record], host, next(_delivered))
    assert touched is not None
    store.write([touched])


def random_polls(seed: int, miners: int = 4, hours: int = 50) -> list[tuple[str, int, float | None, int | None]]:
    chance = random.Random(seed)
    rows: list[tuple[str, int, float | None, int | None]] = []
    for miner in range(miners):
        shares = chance.randrange(1000)
        for time in range(T, T + hours * HOUR, 600):
            if chance.random() < 0.15 or (miner == 1 and T + 5 * HOUR <= time < T + 9 * HOUR):
                continue  # holes, one of them four hours long
            shares = 0 if chance.random() < 0.02 else shares + chance.randrange(40)
            rate = None if chance.random() < 0.1 else chance.uniform(1e13, 2e14)
            rows.append((f"m{miner}", time, rate, None if rate is None else shares))
    return rows


def whole(store: Store, start: int, stop: int) -> tuple[pa.Table, pa.Table]:
    """Hourly and daily tables worked out in one go from all raw rows, without windows, marks or slices."""
    nothing = hours_of_raw(TELEMETRY, store.read(TELEMETRY, Tier.RAW, 0, 0), pa.table({}))
    hourly = hours_of_raw(TELEMETRY, store.read(TELEMETRY, Tier.RAW, start, stop), nothing)
    return hourly, days_of_hours(TELEMETRY, hourly)


def check_rolled(store: Store, stop: int) -> None:
    hourly, daily = whole(store, T, stop)
    assert store.read(TELEMETRY, Tier.HOURLY, 0, 1 << 40).equals(hourly)
    closed_days = stop - stop % DAY
    expected = whole(store, T, closed_days)[1] if closed_days > T else daily.slice(0, 0)
    assert store.read(TELEMETRY, Tier.DAILY, 0, 1 << 40).equals(expected)


def test_only_closed_windows_are_rolled_up() -> None:
    store = MemoryStore()
    deliver(store, polls(random_polls(1, hours=3)))
    assert roll_up(store, T + HOUR + GRACE_S - 1, measurements=ONLY).rows == 0
    assert roll_up(store, T + HOUR + GRACE_S, measurements=ONLY).hours == {"miner_telemetry": 1}
    assert roll_up(store, T + HOUR + GRACE_S, measurements=ONLY).hours == {}, "a second run finds nothing to do"
    report = roll_up(store, T + 3 * HOUR + GRACE_S, measurements=ONLY)
    assert report.hours == {"miner_telemetry": 2}
    assert report.days == {}
    assert report.watermark["miner_telemetry"] == T + 3 * HOUR
    check_rolled(store, T + 3 * HOUR)


@pytest.mark.parametrize("seed", range(5))
def test_late_rows_in_any_order_end_like_rows_in_time(seed: int) -> None:
    chance = random.Random(seed)
    rows = random_polls(seed)
    late = chance.sample(rows, len(rows) // 3)
    store = MemoryStore()
    deliver(store, polls([row for row in rows if row not in late]))
    now = T + 50 * HOUR + GRACE_S
    roll_up(store, now, measurements=ONLY)
    while late:
        part, late = late[:40], late[40:]
        deliver(store, polls(part), host=chance.choice(["edge-a", "edge-b"]))
        if chance.random() < 0.5:
            roll_up(store, now, measurements=ONLY)
    roll_up(store, now, measurements=ONLY)
    check_rolled(store, T + 50 * HOUR)


def test_a_late_hour_moves_the_start_of_the_next_counter() -> None:
    """Shares 100 at 00:10 and 130 at 01:10; later 120 at 00:50 arrives: hour 1 grew by 10, not 30."""
    store = MemoryStore()
    deliver(store, polls([("a", T + 600, 1e14, 100), ("a", T + HOUR + 600, 1e14, 130)]))
    roll_up(store, T + 3 * HOUR, measurements=ONLY)

    def increases() -> list[int]:
        return list(store.read(TELEMETRY, Tier.HOURLY, 0, 1 << 40)["shares_accepted_inc"].to_pylist())

    assert increases() == [0, 30]
    deliver(store, polls([("a", T + 3000, 1e14, 120)]))
    roll_up(store, T + 3 * HOUR, measurements=ONLY)
    assert increases() == [20, 10]


class Killed(BaseException):
    """Stands for SIGKILL: no handler of the code under test may catch it."""


class DyingStore(MemoryStore):
    """Dies at the n-th writing call, before or after it took effect."""

    def __init__(self, inner: MemoryStore) -> None:
        super().__init__()
        self.rows = inner.rows
        self.calls_left = 1 << 30
        self.after = False

    def write(self, frames: Sequence[Frame]) -> None:
        self._die_or(lambda: super(DyingStore, self).write(frames))

    def replace(self, measurement: Measurement, tier: Tier, start: int, stop: int, rows: pa.Table) -> None:
        self._die_or(lambda: super(DyingStore, self).replace(measurement, tier, start, stop, rows))

    def _die_or(self, act: Callable[[], Any]) -> None:
        self.calls_left -= 1
        if self.calls_left < 0 and not self.after:
            raise Killed
        act()
        if self.calls_left < 0:
            raise Killed


@pytest.mark.parametrize("after", [False, True])
def test_killed_at_every_call_and_run_again(after: bool) -> None:
    rows = random_polls(7, miners=2, hours=30)
    late = rows[20:60]
    calls = 0
    while True:
        inner = MemoryStore()
        deliver(inner, polls([row for row in rows if row not in late]))
        now = T + 30 * HOUR + GRACE_S
        roll_up(inner, now, measurements=ONLY)
        deliver(inner, polls(late))
        store = DyingStore(inner)
        store.calls_left, store.after = calls, after
        try:
            roll_up(store, now, measurements=ONLY)
        except Killed:
            roll_up(inner, now, measurements=ONLY)
            check_rolled(inner, T + 30 * HOUR)
            calls += 1
        else:
            break
    assert calls > 5, "the run must have been killed at several places"


def test_an_early_stop_leaves_the_rest_due() -> None:
    store = MemoryStore()
    deliver(store, polls(random_polls(3)))
    turns = iter([False, False, True, True])
    roll_up(store, T + 50 * HOUR + GRACE_S, measurements=ONLY, stop=lambda: next(turns))
    roll_up(store, T + 50 * HOUR + GRACE_S, measurements=ONLY)
    check_rolled(store, T + 50 * HOUR)


def test_what_comes_late_for_a_time_of_which_raw_rows_go_spoils_no_roll_up() -> None:
    """Raw is kept 3 days by configuration. Late rows of 2 days ago are rolled up, of 5 days ago left where they are."""
    store = MemoryStore()
    deliver(store, polls([("a", T + 600, 1e14, 100), ("a", T + 3 * DAY, 1e14, 200)]))
    roll_up(store, T + 3 * DAY + 2 * HOUR, measurements=ONLY)
    before = store.read(TELEMETRY, Tier.HOURLY, T, T + DAY)
    assert before.num_rows == 1
    store.rows["miner_telemetry"] = {
        key: row for key, row in store.rows["miner_telemetry"].items() if key[1] >= T + DAY
    }
    deliver(store, polls([("a", T + 1200, 2e14, 110), ("a", T + 3 * DAY + 600, 2e14, 210)]))
    now = T + 5 * DAY + 2 * HOUR
    report = roll_up(store, now, measurements=ONLY, retention_days={**DECLARED_DAYS, "mining_raw": 3})
    assert report.hours == {"miner_telemetry": 1}
    assert store.read(TELEMETRY, Tier.HOURLY, T, T + DAY).equals(before)
    assert store.read(TELEMETRY, Tier.HOURLY, T + DAY, now)["shares_accepted_last"].to_pylist() == [210]


class CountingStore(MemoryStore):
    """Notes how many hours of raw rows were read at once."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: list[int] = []

    def read(self, measurement: Measurement, tier: Tier, start: int, stop: int, **more: Any) -> pa.Table:
        if measurement is TELEMETRY and tier is Tier.RAW:
            self.reads.append((stop - start) // HOUR)
        return super().read(measurement, tier, start, stop, **more)


def test_large_hours_are_read_one_by_one_and_small_ones_together(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {}
    for rows_at_once in (1_000_000, 10):
        monkeypatch.setattr("storage.downsample.run.ROWS_AT_ONCE", rows_at_once)
        store = CountingStore()
        deliver(store, polls(random_polls(5, hours=24)))
        roll_up(store, T + DAY + GRACE_S, measurements=ONLY)
        found[max(store.reads)] = store.read(TELEMETRY, Tier.HOURLY, T, T + DAY)
    assert list(found) == [6, 1]
    assert found[6].equals(found[1])
