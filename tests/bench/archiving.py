"""Archiving, verifying, reading, restoring and erasing: seconds a day of raw rows, peak memory, growth with the miners.

Raw telemetry of every minute is generated straight into the lake and merged as the upkeep does it. Each size runs in a
process of its own, so that its peak memory is its own.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np

from storage.archive.catalogue import Catalogue
from storage.archive.moving import archive_table
from storage.archive.reading import ArchiveReader
from storage.archive.restoring import restore
from storage.archive.verifying import verify
from storage.declaration import Tier
from storage.erasure.archive import erase_from_archive
from storage.erasure.entity import Entity
from storage.lake.compaction import compact
from storage.lake.table import LakeTable
from tests.bench.figure import Figure
from tests.bench.querying import DAY, HOUR, START, TELEMETRY, _rows

DAYS = int(os.environ.get("LODELINE_BENCH_ARCHIVE_DAYS", "3"))
SIZES = (100, 1000, 5000)
MOST_MB = 1200


class Measured(msgspec.Struct):
    """Seconds by what was done, bytes before and after, and peak MB of the process."""

    seconds: dict[str, float]
    before: int
    after: int
    peak_mb: float


def figures() -> list[Figure]:
    """DAYS of 1,000 miners, and one day of every size for the growth."""
    made = []
    thousand = _in_child(1000, DAYS)
    for name, seconds in thousand.seconds.items():
        note = f"{DAYS} days of 1,000 miners, a row a minute, generated; {seconds / DAYS:.2f} s a day"
        made.append(
            Figure(name=f"archive_{name}", value=round(seconds, 2), unit="s", target="shown", ok=None, note=note)
        )
    made.append(
        Figure(
            name="archive_peak",
            value=round(thousand.peak_mb),
            unit="MB",
            target=f"at most {MOST_MB}",
            ok=thousand.peak_mb <= MOST_MB,
            note=f"{thousand.before / 1e6:.0f} MB became {thousand.after / 1e6:.0f} MB",
        )
    )
    growth = {miners: _in_child(miners, 1) for miners in SIZES}
    for name in ("move", "verify", "restore", "erase_one_miner"):
        costs = [growth[miners].seconds[name] for miners in SIZES]
        ratio = (costs[-1] / costs[1]) / (SIZES[-1] / SIZES[1])
        told = ", ".join(f"{seconds:.2f} s at {miners}" for miners, seconds in zip(SIZES, costs, strict=True))
        made.append(
            Figure(
                name=f"archive_growth_{name}",
                ratio=round(ratio, 2),
                target="at most 1.3 of linear from 1,000 to 5,000",
                ok=ratio <= 1.3,
                note=f"one day: {told}; peak at {SIZES[-1]}: {growth[SIZES[-1]].peak_mb:.0f} MB",
            )
        )
    return made


def _in_child(miners: int, days: int) -> Measured:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_measure, (miners, days))


def _measure(miners: int, days: int) -> Measured:
    with tempfile.TemporaryDirectory() as folder:
        lake, archive, restored = (Path(folder) / name for name in ("lake", "archive", "restored"))
        table = LakeTable(lake, TELEMETRY, Tier.RAW)
        chance = np.random.default_rng(1)
        stop = START + days * DAY
        for first in range(START, stop, 6 * HOUR):
            table.append([(0, _rows(chance, miners, np.arange(first, first + 6 * HOUR, 60), Tier.RAW))])
        compact(table, int(time.time()) + 30 * DAY)
        snapshot = table.snapshot(fresh=True)
        before = sum(part.size for part in snapshot.parts) if snapshot else 0
        catalogue = Catalogue.open(archive)
        seconds: dict[str, float] = {}

        def timed(name: str, act: Callable[[], object]) -> None:
            begun = time.perf_counter()
            act()
            seconds[name] = time.perf_counter() - begun

        timed("move", lambda: archive_table(lake, archive, TELEMETRY, Tier.RAW, stop))
        after = sum(part.bytes for part in catalogue.parts())
        timed("verify", lambda: verify(catalogue, catalogue.parts(), read=True))
        one = {"miner_id": "m00007"}
        reader = ArchiveReader(archive)
        timed("read_one_miner_day", lambda: reader.read(TELEMETRY, Tier.RAW, START, START + DAY, where=one))
        timed("restore", lambda: restore(catalogue, catalogue.parts(), restored))
        timed("erase_one_miner", lambda: erase_from_archive(archive, Entity(one)))
        return Measured(seconds, before, after, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
