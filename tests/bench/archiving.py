"""Archiving, verifying, reading, restoring and erasing: seconds a day of raw rows, peak memory, growth with the miners.

Raw telemetry of every minute is generated straight into the lake and merged as the upkeep does it. Each step runs in a
process of its own, so that its peak memory is its own.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import tempfile
import time
from collections.abc import Callable, Sequence
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
from storage.erasure.lake import erase_from_lake
from storage.lake.compaction import compact
from storage.lake.table import LakeTable
from tests.bench.figure import Figure
from tests.bench.querying import DAY, HOUR, START, TELEMETRY, _rows

DAYS = int(os.environ.get("LODELINE_BENCH_ARCHIVE_DAYS", "3"))
SIZES = (100, 1000, 5000)
MOST_MB = 600
MOST_MB_OF_LAKE = 900
"""A file of the lake is rewritten as a whole; it has as many rows as the upkeep merges at a time."""
ONE, ANOTHER = {"miner_id": "m00007"}, {"miner_id": "m00009"}
GROWING = ("erase_from_the_lake", "move", "verify", "restore", "erase_one_miner")


class Measured(msgspec.Struct):
    """Seconds and peak MB by what was done, bytes before and after."""

    seconds: dict[str, float]
    peak_mb: dict[str, float]
    before: int
    after: int


def figures() -> list[Figure]:
    """DAYS of 1,000 miners, and one day of every size for the growth."""
    made = []
    thousand = _measured(1000, DAYS)
    for name, seconds in thousand.seconds.items():
        note = f"{DAYS} days of 1,000 miners, a row a minute, generated; {seconds / DAYS:.2f} s a day; "
        note += f"peak {thousand.peak_mb[name]:.0f} MB"
        made.append(
            Figure(name=f"archive_{name}", value=round(seconds, 2), unit="s", target="shown", ok=None, note=note)
        )
    growth = {miners: _measured(miners, 1) for miners in SIZES}
    # One file at a time, in groups of rows: neither days nor miners make it more.
    peak = max(growth[SIZES[-1]].peak_mb[name] for name in GROWING if name != "erase_from_the_lake")
    made.append(
        Figure(
            name="archive_peak",
            value=round(peak),
            unit="MB",
            target=f"at most {MOST_MB}",
            ok=peak <= MOST_MB,
            note=f"moving, verifying, restoring, erasing one of a day of {SIZES[-1]} miners; "
            f"{DAYS} days of 1,000: {thousand.before / 1e6:.0f} MB became {thousand.after / 1e6:.0f} MB",
        )
    )
    peak = growth[SIZES[-1]].peak_mb["erase_from_the_lake"]
    made.append(
        Figure(
            name="erase_lake_peak",
            value=round(peak),
            unit="MB",
            target=f"at most {MOST_MB_OF_LAKE}",
            ok=peak <= MOST_MB_OF_LAKE,
            note=f"erasing one of {SIZES[-1]} miners from a day of the lake, a file at a time",
        )
    )
    for name in GROWING:
        costs = [growth[miners].seconds[name] for miners in SIZES]
        ratio = (costs[-1] / costs[1]) / (SIZES[-1] / SIZES[1])
        told = ", ".join(f"{seconds:.2f} s at {miners}" for miners, seconds in zip(SIZES, costs, strict=True))
        made.append(
            Figure(
                name=f"archive_growth_{name}",
                ratio=round(ratio, 2),
                target="at most 1.3 of linear from 1,000 to 5,000",
                ok=ratio <= 1.3,
                note=f"one day: {told}; peak at {SIZES[-1]}: {growth[SIZES[-1]].peak_mb[name]:.0f} MB",
            )
        )
    return made


def _measured(miners: int, days: int) -> Measured:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        before = int(_in_child(_fill, folder, miners, days)[0])
        seconds: dict[str, float] = {}
        peaks: dict[str, float] = {}
        for step in (_erase_from_the_lake, _move, _verify, _read_one_miner_day, _restore, _erase_one_miner):
            took, peak = _in_child(step, folder, days)
            seconds[step.__name__[1:]], peaks[step.__name__[1:]] = took, peak
            if step is _move:
                after = sum(part.bytes for part in Catalogue.open(folder / "archive").parts())
        return Measured(seconds, peaks, before, after)


def _in_child(step: Callable[..., float], *given: object) -> tuple[float, float]:
    """What ``step`` returns, and the peak MB of a process that did nothing else."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_peaking, (step, given))


def _peaking(step: Callable[..., float], given: Sequence[object]) -> tuple[float, float]:
    answer = step(*given)
    return answer, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _fill(folder: Path, miners: int, days: int) -> float:
    """Fills the lake; its bytes."""
    table = LakeTable(folder / "lake", TELEMETRY, Tier.RAW)
    chance = np.random.default_rng(1)
    for first in range(START, START + days * DAY, HOUR):  # as many at a time as the upkeep merges of an hour
        table.append([(0, _rows(chance, miners, np.arange(first, first + HOUR, 60), Tier.RAW))])
    compact(table, int(time.time()) + 30 * DAY)
    snapshot = table.snapshot(fresh=True)
    return float(sum(part.size for part in snapshot.parts) if snapshot else 0)


def _seconds(act: Callable[[], object]) -> float:
    begun = time.perf_counter()
    act()
    return time.perf_counter() - begun


def _erase_from_the_lake(folder: Path, _: int) -> float:
    return _seconds(lambda: erase_from_lake(folder / "lake", Entity(ANOTHER)))


def _move(folder: Path, days: int) -> float:
    return _seconds(lambda: archive_table(folder / "lake", folder / "archive", TELEMETRY, Tier.RAW, START + days * DAY))


def _verify(folder: Path, _: int) -> float:
    catalogue = Catalogue.open(folder / "archive")
    return _seconds(lambda: verify(catalogue, catalogue.parts(), read=True))


def _read_one_miner_day(folder: Path, _: int) -> float:
    reader = ArchiveReader(folder / "archive")
    return _seconds(lambda: reader.read(TELEMETRY, Tier.RAW, START, START + DAY, where=ONE))


def _restore(folder: Path, _: int) -> float:
    catalogue = Catalogue.open(folder / "archive")
    return _seconds(lambda: restore(catalogue, catalogue.parts(), folder / "restored"))


def _erase_one_miner(folder: Path, _: int) -> float:
    return _seconds(lambda: erase_from_archive(folder / "archive", Entity(ONE)))
