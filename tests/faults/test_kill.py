"""SIGKILL at random moments of collecting, spooling and delivering: every accepted point keeps exactly one place."""

from __future__ import annotations

import importlib.util
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from storage.declaration import BUCKETS, MEASUREMENTS, Tier
from storage.delivery.books import books_of_lane
from storage.delivery.dead_letters import letters_of
from storage.delivery.delivery import Delivery
from storage.spool.lane import Lane, LaneReader
from tests.faults import collector
from tests.influx.server import InfluxServer

pytestmark = pytest.mark.faults

MOST_BATCHES = 6
"""A collector is killed at a random moment after up to so many batches: on a slow disk too it gets somewhere."""


class Zygote:
    """Forks collectors, so that each kill does not cost the imports again."""

    def __init__(self, folder: Path, url: str, names: list[str]) -> None:
        command = [sys.executable, "-m", "tests.faults.collector", str(folder), url, *names]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> Zygote:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the collector's parent is gone"
        return line.strip()

    def live_and_die(self, seed: int, batches: int, seconds: float) -> None:
        """One collector, killed ``seconds`` after it noted so many batches; it never ends by itself."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{seed}\n")
        self._process.stdin.flush()
        child = int(self._line())
        try:
            for _ in range(batches):
                assert self._line() != "ended", "the collector ended by itself"
            time.sleep(seconds)
        finally:
            os.kill(child, signal.SIGKILL)
        while self._line() != "ended":
            pass


def stored_in(name: str, folder: Path, url: str) -> list[str]:
    """Every point in a store, as often as it is there."""
    if name == "sqlite":
        return collector.SqliteSink(folder).stored()
    if name == "files":
        return collector.FileSink(folder).stored()
    if name == "influx":
        from storage.influx.settings import InfluxSettings
        from storage.influx.store import InfluxStore

        influx = InfluxStore(InfluxSettings(url=url))
        table = influx.read(MEASUREMENTS["miner_telemetry"], Tier.RAW, collector.START, collector.START + 10**7)
        influx.close()
    else:
        import pyarrow as pa
        import pyarrow.parquet as pq
        from deltalake import DeltaTable

        # The files as they are: the store's own read would merge what was stored twice.
        path = folder / "lake" / "mining_raw" / "miner_telemetry"
        files = DeltaTable(path).file_uris() if DeltaTable.is_deltatable(str(path)) else []
        if not files:
            return []
        table = pa.concat_tables(pq.ParquetFile(file).read(columns=["miner_id", "time"]) for file in files)
    times = [int(stamp.timestamp()) for stamp in table["time"].to_pylist()]
    return [collector.key(*point) for point in zip(table["miner_id"].to_pylist(), times, strict=True)]


def check(folder: Path, url: str, name: str, accepted: set[str]) -> None:
    """Every accepted point is stored, dead-lettered or still spooled; none twice, and nothing was made up."""
    lane = folder / "spool" / "miners"
    spooled = {point for _, point in collector.keys_in(LaneReader(lane).records_after(0, 10**9))}
    dead = Counter(letter.line for letter in letters_of(lane, name))
    stored = Counter(stored_in(name, folder, url))
    assert not [point for point, times in stored.items() if times > 1], "stored twice"
    assert not [point for point, times in dead.items() if times > 1], "dead-lettered twice"
    assert not stored.keys() & dead.keys(), "stored and dead-lettered"
    assert not accepted - stored.keys() - dead.keys() - spooled, "lost"
    books = books_of_lane(lane).get(name)
    if books is None:  # killed before its first delivery, every time
        assert not stored
        return
    assert books.shed == 0
    assert books.accepted == books.stored + books.dead_lettered + books.backlog
    assert books.stored <= len(stored)
    assert books.dead_lettered <= len(dead)


def attempted(numbers: list[int]) -> set[str]:
    """Points that may be there: accepted ones and those of batches in flight at a kill."""
    return {point for number in range(max(numbers) + 3) for point in collector.keys_of(number)}


def run(folder: Path, url: str, names: list[str], kills: int, longest_s: float) -> None:
    """Kill, check now and then; at the end deliver the rest and check that all came to one place."""
    seed = int(os.environ.get("LODELINE_KILL_SEED") or random.randrange(10**9))
    print(f"kills are reproduced as far as the machine allows by LODELINE_KILL_SEED={seed}")
    chance = random.Random(seed)
    with Zygote(folder, url, names) as zygote:
        for kill in range(kills):
            zygote.live_and_die(
                chance.randrange(10**9), chance.randint(0, MOST_BATCHES), chance.uniform(0.0, longest_s)
            )
            if kill % 25 == 24:
                Lane.open(folder / "spool", "miners", cap_bytes=collector.CAP_BYTES).close()
                accepted = {p for number in collector.accepted_numbers(folder) for p in collector.keys_of(number)}
                for name in names:
                    check(folder, url, name, accepted)

    numbers = collector.accepted_numbers(folder)
    accepted = {point for number in numbers for point in collector.keys_of(number)}
    assert len(numbers) == len(set(numbers)) > kills, "too few batches for the kills to meet"
    Lane.open(folder / "spool", "miners", cap_bytes=collector.CAP_BYTES).close()
    sinks = [collector.open_sink(name, folder, url) for name in names]
    delivery = Delivery(folder / "spool", sinks, "host")
    assert delivery.flush(120), delivery.books()
    delivery.close()
    for sink in sinks:
        getattr(sink, "close", int)()
    for name in names:
        check(folder, url, name, accepted)
        books = books_of_lane(folder / "spool" / "miners")[name]
        stored = stored_in(name, folder, url)
        dead = [letter.line for letter in letters_of(folder / "spool" / "miners", name)]
        assert (books.stored, books.dead_lettered, books.backlog) == (len(stored), len(dead), 0)
        assert accepted <= set(stored) | set(dead) <= attempted(numbers)
        if name in ("sqlite", "files"):
            assert set(dead) == {point for point in set(stored) | set(dead) if collector.is_dead(point)}


def test_every_accepted_point_has_one_place_after_110_kills(tmp_path):
    run(tmp_path, "", ["sqlite", "files"], 110, 0.1)


@pytest.mark.influx
def test_the_same_with_influxdb_and_the_lake(tmp_path):
    for module in ("pyarrow", "deltalake", "duckdb"):
        if importlib.util.find_spec(module) is None:
            pytest.skip("needs the extra [lake]")
    server = InfluxServer(tmp_path / "influxd").start()
    try:
        for bucket in BUCKETS:
            server.query(f'CREATE DATABASE "{bucket}"')
        run(tmp_path, server.url, ["influx", "lake"], 40, 0.4)
    finally:
        server.stop()
