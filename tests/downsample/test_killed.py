"""Roll-ups that are really killed: at 50 random points, beside late data, they end as one that nobody ever killed."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pytest

from storage.declaration import BUCKETS, MEASUREMENTS, Tier
from storage.downsample.run import GRACE_S, roll_up
from storage.downsample.touch import touched_frame
from storage.frame import Frame
from storage.influx.provision import provision
from storage.influx.settings import InfluxSettings
from storage.spool.record import Batch, SpoolRecord
from storage.store import Store
from tests.bench.fleet import ticks
from tests.downsample.roller import MEASURED, opened
from tests.downsample.test_run import DAY, HOUR, T
from tests.influx.server import InfluxServer

pytestmark = pytest.mark.faults

HOURS = 26
NOW = T + HOURS * HOUR + GRACE_S
Tick = tuple[int, list[Frame]]


def deliver(store: Store, part: Sequence[Tick], nth: int) -> None:
    """The data of some ticks, then the touched hours: what a sink does."""
    records = [SpoolRecord("miners", 1, 0, Batch(f"{slot}", slot, "run", frames)) for slot, frames in part]
    store.write([frame for record in records for frame in record.batch.frames if frame.measurement in MEASURED])
    touched = touched_frame(records, "edge", NOW * 10**9 + nth)
    assert touched is not None
    store.write([touched])


def deliveries(seed: int, late: int) -> list[list[Tick]]:
    """Most ticks, then ``late`` deliveries of ticks that were held up; some ticks never come."""
    chance = random.Random(seed)
    all_ticks = list(ticks(2, T, HOURS * 4, every_s=900, seed=seed))
    chance.shuffle(all_ticks)
    size = len(all_ticks) // 25
    held_up = [all_ticks[n * size : (n + 1) * size] for n in range(late)]
    return [all_ticks[(late + 2) * size :], *held_up]


def digests(store: Store) -> dict[str, str]:
    """SHA-256 of every tier as a reader gets it, byte by byte."""
    found = {}
    for name in MEASURED:
        for tier in (Tier.HOURLY, Tier.DAILY):
            rows = store.read(MEASUREMENTS[name], tier, T, T + 2 * DAY)
            assert rows.num_rows, (name, tier)
            sink = pa.BufferOutputStream()
            with pa.ipc.new_stream(sink, rows.schema) as writer:
                writer.write_table(rows.combine_chunks(), max_chunksize=1 << 20)
            found[f"{name} {tier}"] = hashlib.sha256(sink.getvalue()).hexdigest()
    return found


class Rollers:
    """Roll-ups in processes of their own."""

    def __init__(self, kind: str, where: str) -> None:
        command = [sys.executable, "-m", "tests.downsample.roller", kind, where, str(NOW)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> Rollers:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def run(self, seconds: float | None = None) -> str:
        """One roll-up, killed after some seconds of work where it is not done by then."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        child = int(self._line())
        if seconds is not None:
            time.sleep(seconds)
            with contextlib.suppress(ProcessLookupError):  # it was done before
                os.kill(child, signal.SIGKILL)
        return self._line()

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


def killed_and_not(kind: str, killed: tuple[Store, str], spared: Store, kills: int, seed: int) -> None:
    """Roll up in ``killed`` under SIGKILLs and in ``spared`` once; the same deliveries, the same bytes."""
    chance = random.Random(seed)
    parts = deliveries(seed, late=8)
    for nth, part in enumerate(parts):
        deliver(spared, part, nth)
    roll_up(spared, NOW, measurements=MEASURED)
    store, where = killed
    deliver(store, parts.pop(0), 0)
    count = 0
    with Rollers(kind, where) as rollers:
        for nth in range(1, 1000):
            outcome = rollers.run(chance.expovariate(1 / 0.15))
            assert outcome in ("done", "killed"), outcome
            count += outcome == "killed"
            if parts and (outcome == "done" or chance.random() < 0.15):
                deliver(store, parts.pop(0), nth)
            elif outcome == "done" and count < kills:
                deliver(store, chance.choice(deliveries(seed, late=8)), nth)  # a resend: all is to be done again
            if not parts and count >= kills:
                break
        assert count >= kills
        assert rollers.run() == "done"
    assert digests(store) == digests(spared)


def test_killed_at_50_random_points_the_lake_has_the_same_bytes(tmp_path: Path) -> None:
    seed = int(os.environ.get("LODELINE_KILL_SEED", "0")) or time.time_ns()
    store, spared = opened("embedded", str(tmp_path / "killed")), opened("embedded", str(tmp_path / "spared"))
    print(f"repeat with LODELINE_KILL_SEED={seed}")
    killed_and_not("embedded", (store, str(tmp_path / "killed")), spared, 50, seed)
    store.close()
    spared.close()


def test_a_second_run_touches_no_file(tmp_path: Path) -> None:
    store = opened("embedded", str(tmp_path))
    deliver(store, deliveries(1, late=0)[0], 0)
    roll_up(store, NOW, measurements=MEASURED)

    def files() -> dict[str, str]:
        return {
            str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in tmp_path.rglob("*") if path.is_file()
        }

    before = files()
    assert roll_up(store, NOW, measurements=MEASURED).rows == 0
    assert files() == before
    store.close()


@pytest.mark.influx
def test_killed_at_random_points_influxdb_has_the_same_bytes(tmp_path: Path) -> None:
    seed = int(os.environ.get("LODELINE_KILL_SEED", "0")) or time.time_ns()
    print(f"repeat with LODELINE_KILL_SEED={seed}")
    servers = [InfluxServer(tmp_path / name).start() for name in ("killed", "spared")]
    try:
        stores = []
        for server in servers:
            provision(InfluxSettings(url=server.url), dict.fromkeys(BUCKETS, 36500))
            stores.append(opened("influx", server.url))
        killed_and_not("influx", (stores[0], servers[0].url), stores[1], 15, seed)
        for store in stores:
            store.close()
    finally:
        for server in servers:
            server.stop()
