"""Upkeep of the lake: what a day of one-minute commits leaves in the log, and what merging costs by number of miners.

Each size runs in a process of its own, so that its peak memory is its own. An hour of ticks is written in deliveries
of five minutes and merged as the hourly upkeep does it; cost has to grow no faster than the miners.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec
from deltalake import DeltaTable

from storage.arrow_schema import frame_to_table
from storage.declaration import MEASUREMENTS, Tier
from storage.lake.compaction import compact
from storage.lake.layout import Layout
from storage.lake.maintenance import maintain
from storage.lake.sink import LakeSink
from storage.lake.table import LakeTable
from storage.retention_settings import RetentionSettings
from storage.spool.record import Batch, SpoolRecord
from tests.bench.figure import Figure, median_cost
from tests.bench.fleet import ticks

START = 1795478400
SIZES = (100, 1000, 5000)
MEASURED = ("miner_telemetry", "miner_board", "miner_fan", "miner_pool")
COMMITS = int(os.environ.get("LODELINE_BENCH_UPKEEP_COMMITS", "1440"))
MOST_MB = 1200
LOG_BYTES, OPEN_MS = 2_000_000, 20.0

Answer = TypeVar("Answer")


class Hour(msgspec.Struct):
    """An hour of a fleet: rows, bytes before and after merging, seconds of it, peak MB of the process."""

    rows: int
    hot: int
    merged: int
    seconds: float
    peak_mb: float


class Log(msgspec.Struct):
    """A day of one-minute commits with hourly upkeep: bytes of the log, live files, ms of CPU and clock to open it."""

    bytes: int
    files: int
    open_cpu_ms: float
    open_ms: float


def figures() -> list[Figure]:
    """The log of a day, then each size, then how cost grows, then codecs."""
    log = _in_child(_day_of_commits, COMMITS)
    made = [
        Figure(
            name="lake_log",
            value=log.bytes,
            unit="bytes",
            target=f"below {LOG_BYTES}",
            ok=log.bytes < LOG_BYTES,
            note=f"of one table after {COMMITS} one-minute commits, all of which can be read; {log.files} live files",
        ),
        Figure(
            name="lake_open",
            value=round(log.open_cpu_ms, 1),
            unit="ms",
            target=f"below {OPEN_MS}",
            ok=log.open_cpu_ms < OPEN_MS,
            note=f"of the processor, from a fresh handle to its files, median of 9; {log.open_ms:.1f} ms on the clock, "
            "which other work of the machine lengthens",
        ),
    ]
    hours = {size: _in_child(_hour_of, size) for size in SIZES}
    for size, hour in hours.items():
        made.append(
            Figure(
                name=f"lake_merge_{size}",
                value=round(hour.seconds, 2),
                unit="s",
                target="shown",
                ok=None,
                note=f"an hour of {size} miners, {hour.rows} rows, 4 tables: {hour.hot / 1e6:.1f} MB in 12 files each "
                f"to {hour.merged / 1e6:.1f} MB, {hour.merged * 24 / size / 1e3:.0f} kB a miner and day",
            )
        )
    peak = max(hour.peak_mb for hour in hours.values())
    made.append(
        Figure(
            name="lake_merge_peak",
            value=round(peak),
            unit="MB",
            target=f"at most {MOST_MB}",
            ok=peak <= MOST_MB,
            note=", ".join(f"{size} miners: {hour.peak_mb:.0f}" for size, hour in hours.items()),
        )
    )
    small, large = hours[SIZES[1]], hours[SIZES[2]]
    growth = (large.seconds / small.seconds) / (SIZES[2] / SIZES[1])
    made.append(
        Figure(
            name="lake_merge_growth",
            ratio=round(growth, 2),
            target="at most 1.3",
            ok=growth <= 1.3,
            note=f"seconds a miner at {SIZES[2]} against {SIZES[1]}",
        )
    )
    sizes = _in_child(_codecs, 1000)
    made.append(
        Figure(
            name="lake_snappy",
            ratio=round(sizes["snappy"] / sizes["zstd"], 2),
            target="shown",
            ok=None,
            note="bytes of the same merged hour, snappy against zstd; "
            + ", ".join(f"{codec} {size / 1e6:.1f} MB" for codec, size in sizes.items()),
        )
    )
    return made


def _in_child(work: Callable[[Path, int], Answer], size: int) -> Answer:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        answer: Answer = pool.apply(_in_folder, (work, size))
        return answer


def _in_folder(work: Callable[[Path, int], Answer], size: int) -> Answer:
    with tempfile.TemporaryDirectory() as folder:
        return work(Path(folder), size)


def _day_of_commits(root: Path, commits: int) -> Log:
    measurement = MEASUREMENTS["miner_telemetry"]
    table = LakeTable(root, measurement, Tier.RAW)
    for number, (slot, frames) in enumerate(ticks(20, START, commits), 1):
        frame = next(frame for frame in frames if frame.measurement == measurement.name)
        table.append([(number, frame_to_table(frame))], app="bench/miners")
        if number % 60 == 0:
            maintain(root, slot + 900)
    log = table.folder / "_delta_log"
    assert isinstance(log, Path)
    files = len(DeltaTable(str(table.folder)).file_uris())
    opened = median_cost(lambda: DeltaTable(str(table.folder)).file_uris(), 9)
    size = sum(path.stat().st_size for path in log.iterdir())
    return Log(size, files, opened.cpu_s * 1000, opened.wall_s * 1000)


def _written(root: Path, miners: int) -> tuple[list[LakeTable], int]:
    """An hour of ``miners`` in deliveries of five minutes: its tables, and rows."""
    sink = LakeSink(root, "bench")
    records: list[SpoolRecord] = []
    rows = 0
    for number, (slot, frames) in enumerate(ticks(miners, START, 60), 1):
        records.append(SpoolRecord("bench", number, rows, Batch(str(slot), slot, "bench", frames)))
        rows += sum(len(frame) for frame in frames)
        if number % 5 == 0:
            sink.deliver(records)
            records = []
    return [LakeTable(root, MEASUREMENTS[name], Tier.RAW) for name in MEASURED], rows


def _hour_of(root: Path, miners: int) -> Hour:
    tables, rows = _written(root, miners)
    hot = _bytes(tables)
    begun = time.perf_counter()
    for table in tables:
        compact(table, START + 7200)
    seconds = time.perf_counter() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Hour(rows, hot, _bytes(tables), seconds, peak)


def _codecs(root: Path, miners: int) -> dict[str, int]:
    sizes = {}
    for codec in ("zstd", "snappy", "gzip", "lz4", "brotli", "none"):
        tables, _ = _written(root / codec, miners)
        kept = RetentionSettings().bucket_tables()["mining_raw"].model_copy(update={"compression": codec})
        for table in tables:
            table.lay_out(Layout.of(table.measurement, table.tier, kept))
            compact(table, START + 7200)
        sizes[codec] = _bytes(tables)
    return sizes


def _bytes(tables: list[LakeTable]) -> int:
    snapshots = [table.snapshot(fresh=True) for table in tables]
    return sum(part.size for snapshot in snapshots if snapshot for part in snapshot.parts)
