"""Several processes at one lake, and processes that are killed."""

import contextlib
import multiprocessing
import random

import pytest

from storage.lake.sink import LakeSink
from tests.lake.rows import NOON, stored_rows, tick
from tests.lake.writing import append, deliver_and_tell

spawn = multiprocessing.get_context("spawn")


@pytest.mark.faults
def test_eight_processes_append_twenty_five_times_each(tmp_path):
    children = [spawn.Process(target=append, args=(tmp_path, f"host{at}", 1, 25)) for at in range(8)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0] * 8, "no CommitFailedError"
    rows = [(row["time"].timestamp(), row["miner_id"], row["speed_rpm"]) for row in stored_rows(tmp_path)]
    expected = [(NOON + 60 * s, f"m{m:04}", s) for s in range(1, 26) for m in range(3)] * 8
    assert sorted(rows) == sorted(expected)
    versions = [row["ingest_version"] for row in stored_rows(tmp_path)]
    assert len(set(versions)) == 200, "each commit is its own version"


@pytest.mark.faults
def test_killed_at_any_moment_and_replayed_every_row_is_there_once(tmp_path):
    moments = random.Random(7)
    acknowledged = 0
    for _ in range(6):
        receiving, sending = spawn.Pipe(duplex=False)
        child = spawn.Process(target=deliver_and_tell, args=(tmp_path, acknowledged + 1, sending))
        child.start()
        sending.close()
        for _ in range(moments.randint(1, 5)):
            acknowledged = receiving.recv()
        child.join(moments.random() * 0.1)
        child.kill()
        child.join()
        with contextlib.suppress(EOFError):
            while True:
                acknowledged = receiving.recv()
    LakeSink(tmp_path, "host").deliver([tick(s, miners=20) for s in range(max(1, acknowledged - 3), acknowledged + 3)])
    rows = sorted((row["speed_rpm"], row["miner_id"]) for row in stored_rows(tmp_path))
    assert rows == [(s, f"m{m:04}") for s in range(1, acknowledged + 3) for m in range(20)]
