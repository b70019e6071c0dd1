"""Bytes on disk of raw rows: InfluxDB against as-polled values with millisecond stamps, the lake against CSV gzip."""

from __future__ import annotations

import csv
import gzip
import io
import os
import random
import tempfile
import time
from pathlib import Path

import httpx
from deltalake import DeltaTable

from storage.declaration import BUCKETS
from storage.frame import Frame
from storage.influx.provision import provision
from storage.influx.settings import InfluxSettings
from storage.influx.sink import InfluxSink
from storage.lake.maintenance import maintain
from storage.lake.sink import LakeSink
from storage.line_protocol import encode
from storage.spool.record import Batch, SpoolRecord
from tests.bench.figure import Figure
from tests.bench.fleet import ticks
from tests.influx.server import InfluxServer

START = 1795478400
MINERS = int(os.environ.get("LODELINE_BENCH_DISK_MINERS", "20"))
HOURS = 24


def figures() -> list[Figure]:
    """A day of few miners; bytes a point scale with the number of series."""
    day = list(ticks(MINERS, START, 60 * HOURS))
    points = sum(len(frame) for _, frames in day for frame in frames)
    with tempfile.TemporaryDirectory() as folder:
        ours, as_polled = _influx(Path(folder) / "influxd", day)
        lake, csv_gz = _lake(Path(folder) / "lake", day)
    size = f"{points} points, {HOURS} h of {MINERS} miners at 60 s"
    return [
        Figure(
            name="disk_influx",
            ratio=round(ours / as_polled, 3),
            target="at most 0.55",
            ok=ours / as_polled <= 0.55,
            note=f"{ours / points:.2f} bytes a point against {as_polled / points:.2f}; {size}, after full compaction",
        ),
        Figure(
            name="disk_lake",
            ratio=round(lake / csv_gz, 3),
            target="at most 0.5",
            ok=lake / csv_gz <= 0.5,
            note=f"{lake / points:.2f} bytes a point against {csv_gz / points:.2f} of CSV gzip; {size}",
        ),
        Figure(
            name="disk_miner_day",
            value=round((ours + lake) / MINERS / 1000),
            unit="kB",
            target="none; docs/operations.md tells it",
            ok=None,
            note=f"kB that a miner polled every 60 s adds in a day: InfluxDB {ours / MINERS / 1000:.0f}, lake "
            f"{lake / MINERS / 1000:.0f}; raw tier, without what it answered word for word",
        ),
    ]


def _influx(folder: Path, day: list[tuple[int, list[Frame]]]) -> tuple[int, int]:
    """Bytes of both forms after the server compacted its shards: it does so when a shard was cold for a while."""
    server = InfluxServer(folder, cold="3s").start()
    try:
        settings = InfluxSettings(url=server.url, timeout_s=120)
        provision(settings, dict.fromkeys(BUCKETS, 36500))
        sink = InfluxSink(settings, "bench")
        server.query('CREATE DATABASE "as_polled"')
        before = 0
        for number, (slot, frames) in enumerate(day, 1):
            before += sink.deliver([SpoolRecord("bench", number, before, Batch(str(slot), slot, "b", frames))]).stored
            lines = [_at_its_own_time(line) for frame in frames for line in encode(_unrounded(frame))]
            asked = {"db": "as_polled", "precision": "ms"}
            httpx.post(f"{server.url}/write", params=asked, content=b"\n".join(lines)).raise_for_status()
        return _settled(folder, "mining_raw"), _settled(folder, "as_polled")
    finally:
        server.stop()


_chance = random.Random(1)


def _unrounded(frame: Frame) -> Frame:
    """Hashrates as a miner gives them, to 0.01 GH/s: what our 16 bits cut off is put back at random."""
    columns = dict(frame.columns)
    for name, values in columns.items():
        if name.endswith("_hs"):
            columns[name] = [
                None if v is None else round(v * _chance.uniform(1 - 2**-17, 1 + 2**-17), -7) for v in values
            ]
    return Frame(frame.measurement, frame.times, columns)


def _at_its_own_time(line: bytes) -> bytes:
    """The line stamped in milliseconds when its miner answered, within 4 s of the slot."""
    head, _, stamp = line.rpartition(b" ")
    return b"%b %d" % (head, int(stamp) * 1000 + _chance.randrange(4000))


def _settled(folder: Path, database: str) -> int:
    """Bytes of the TSM files of ``database`` once they stop changing."""
    last, since = -1, time.monotonic()
    while time.monotonic() - since < 8:
        now = sum(file.stat().st_size for file in (folder / "data" / database).rglob("*.tsm"))
        if now != last:
            last, since = now, time.monotonic()
        time.sleep(0.5)
    return last


def _lake(folder: Path, day: list[tuple[int, list[Frame]]]) -> tuple[int, int]:
    sink = LakeSink(folder, "bench")
    before = 0
    for first in range(0, len(day), 60):
        records = []
        for number, (slot, frames) in enumerate(day[first : first + 60], first + 1):
            records.append(SpoolRecord("bench", number, before, Batch(str(slot), slot, "bench", frames)))
            before = records[-1].points_after
        sink.deliver(records)
    maintain(folder, START + 86400 * 4)
    live = _live_bytes(folder)
    return live, _csv_gz(day)


def _live_bytes(folder: Path) -> int:
    tables = [path.parent for path in folder.rglob("_delta_log") if path.parent.name.startswith("miner_")]
    return sum(sum(DeltaTable(table).get_add_actions(flatten=True)["size_bytes"].to_pylist()) for table in tables)


def _csv_gz(day: list[tuple[int, list[Frame]]]) -> int:
    """One file a measurement, rows in the order of the polls."""
    files: dict[str, io.StringIO] = {}
    for _, frames in day:
        for frame in frames:
            text = files.setdefault(frame.measurement, io.StringIO())
            names = list(frame.declared.columns())[1:]
            empty = [None] * len(frame)
            rows = zip(frame.times, *(frame.columns.get(name, empty) for name in names), strict=True)
            csv.writer(text).writerows(rows)
    return sum(len(gzip.compress(text.getvalue().encode())) for text in files.values())
