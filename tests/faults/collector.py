"""A collector to kill: it spools batches as fast as it can, notes what was accepted, and delivers beside it.

Started by test_kill.py as ``python -m tests.faults.collector FOLDER URL SINK...``. Every line on its stdin forks one
collector (imports are done once) whose process id it prints. The collector prints every batch it noted; after its end
``ended`` is printed.
"""

from __future__ import annotations

import os
import random
import sqlite3
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from storage.delivery.delivery import Delivery
from storage.frame import Frame, Value, build_frame
from storage.sink import DeadLetter, Receipt, Sink
from storage.spool.durable import replace_file
from storage.spool.lane import Lane
from storage.spool.record import Batch, SpoolRecord

START = 1_795_478_400
EVERY_S = 10
CAP_BYTES = 1 << 30
SEGMENT_BYTES = 20_000
DEAD_EVERY = 17
"""Of the test's own sinks; real stores take every point."""


def points_of(number: int) -> list[str]:
    """Miners in batch ``number``: 1 to 40 of them."""
    return [f"m{row:02d}" for row in range(1 + number * 7919 % 40)]


def key(miner: str, time: int) -> str:
    """Name of one point."""
    return f"{miner}@{time}"


def keys_of(number: int) -> list[str]:
    """Names of all points in batch ``number``."""
    return [key(miner, START + number * EVERY_S) for miner in points_of(number)]


def batch_of(number: int) -> Batch:
    """The same batch for the same number, always."""
    slot, miners = START + number * EVERY_S, points_of(number)
    columns: dict[str, list[Value]] = {
        "miner_id": list(miners),
        "model": ["S19"] * len(miners),
        "site": ["north"] * len(miners),
        "hashrate_hs": [float(number * 64 + row) for row in range(len(miners))],
    }
    return Batch(f"miners/{slot}/0", slot, "run", [build_frame("miner_telemetry", [slot] * len(miners), columns)])


def keys_in(records: Sequence[SpoolRecord]) -> Iterator[tuple[SpoolRecord, str]]:
    """Every point in ``records``."""
    for record in records:
        for frame in record.batch.frames:
            yield from ((record, key(*point)) for point in zip(_miners(frame), frame.times, strict=True))


def _miners(frame: Frame) -> list[str]:
    return list(frame.columns["miner_id"])


def is_dead(point: str) -> bool:
    """Whether the test's own sinks refuse it, always the same."""
    miner, _, time = point.partition("@")
    return (int(miner[1:]) + int(time) // EVERY_S) % DEAD_EVERY == 0


def _receipt(records: Sequence[SpoolRecord]) -> Receipt:
    points = [point for _, point in keys_in(records)]
    dead = [DeadLetter("miner_telemetry", point, "refused by the test") for point in points if is_dead(point)]
    return Receipt(len(points) - len(dead), dead)


class SqliteSink:
    """Rows keyed by point, like InfluxDB's: the same again replaces."""

    name = "sqlite"

    def __init__(self, folder: Path) -> None:
        self._path = folder / "stored.sqlite"

    def deliver(self, records: Sequence[SpoolRecord]) -> Receipt:
        """Upsert in one transaction."""
        rows = [(point,) for _, point in keys_in(records) if not is_dead(point)]
        connection = sqlite3.connect(self._path, isolation_level=None)
        try:
            connection.execute("create table if not exists point (name text primary key)")
            connection.execute("begin immediate")
            connection.executemany("insert or replace into point values (?)", rows)
            connection.execute("commit")
        finally:
            connection.close()
        return _receipt(records)

    def stored(self) -> list[str]:
        """Names of all points stored."""
        connection = sqlite3.connect(self._path)
        try:
            return [name for (name,) in connection.execute("select name from point")]
        finally:
            connection.close()


class FileSink:
    """One file per record, keyed by its sequence: a point spooled under two sequences shows twice."""

    name = "files"

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "files"
        self._folder.mkdir(exist_ok=True)

    def deliver(self, records: Sequence[SpoolRecord]) -> Receipt:
        """Replace the file of each record."""
        for record in records:
            points = [point for _, point in keys_in([record]) if not is_dead(point)]
            replace_file(self._folder / f"{record.sequence:09d}", "\n".join(points).encode())
        return _receipt(records)

    def stored(self) -> list[str]:
        """Names of all points stored, as often as they are."""
        return [line for path in sorted(self._folder.glob("?????????")) for line in path.read_text().split()]


def open_sink(name: str, folder: Path, url: str) -> Sink:
    """A sink by name; ``influx`` and ``lake`` are the real ones."""
    if name == "influx":
        from storage.influx.settings import InfluxSettings
        from storage.influx.sink import InfluxSink

        return InfluxSink(InfluxSettings(url=url), "host")
    if name == "lake":
        from storage.lake.sink import LakeSink

        return LakeSink(folder / "lake", "host")
    return SqliteSink(folder) if name == "sqlite" else FileSink(folder)


def accepted_numbers(folder: Path) -> list[int]:
    """Batches accepted for certain: noted after ``append`` returned, outside the spool, fsynced."""
    path = folder / "accepted"
    return [int(line) for line in path.read_bytes().split(b"\n")[:-1]] if path.exists() else []


def collect(folder: Path, url: str, names: Sequence[str], seed: int) -> None:
    """Spool and deliver until killed."""
    chance = random.Random(seed)
    noted = accepted_numbers(folder)
    # The batch in flight at the last kill is tried again, or given up: a collector may do either.
    number = (noted[-1] + 1 if noted else 0) + chance.randint(0, 1)
    delivery = Delivery(folder / "spool", [open_sink(name, folder, url) for name in names], "host")
    threading.Thread(target=delivery.run, args=(threading.Event(),), daemon=True).start()
    lane = Lane.open(folder / "spool", "miners", cap_bytes=CAP_BYTES, segment_bytes=SEGMENT_BYTES)
    accepted = os.open(folder / "accepted", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    while True:
        lane.append(batch_of(number))
        os.write(accepted, b"%d\n" % number)
        os.fsync(accepted)
        os.write(1, b"%d\n" % number)
        number += 1


def main() -> None:
    """Fork one collector per seed read from stdin."""
    folder, url, *names = sys.argv[1:]
    for name in names:
        open_sink(name, Path(folder), url)  # imports
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            collect(Path(folder), url, names, int(line))
        print(child, flush=True)
        os.waitpid(child, 0)
        print("ended", flush=True)


if __name__ == "__main__":
    main()
