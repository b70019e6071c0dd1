"""Spark reads the very files that the Delta log lists, and comes to the same sums. It never writes them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from storage.arrow_schema import frame_to_table
from storage.declaration import MEASUREMENTS, Tier
from storage.frame import build_frame
from storage.lake.compaction import compact
from storage.lake.store import EmbeddedStore
from storage.lake.table import LakeTable
from tests.lake.rows import NOON

MINERS, MINUTES = 50, 80


@pytest.fixture
def spark_python() -> str:
    """The Python that has pyspark: SPARK_PYTHON, else our own."""
    found = os.environ.get("SPARK_PYTHON") or (sys.executable if find_spec("pyspark") else None)
    if found is None:
        pytest.skip("no pyspark here; set SPARK_PYTHON to a Python that has it (docs/scale-out.md)")
    return found


def test_spark_comes_to_the_same_sums(spark_python, tmp_path):
    measurement = MEASUREMENTS["miner_telemetry"]
    table = LakeTable(tmp_path, measurement, Tier.RAW)
    for minute in range(MINUTES):
        columns: dict[str, list[Any]] = {
            "miner_id": [f"m{miner:03}" for miner in range(MINERS)],
            "reachable": [miner % 7 > 0 for miner in range(MINERS)],
            "shares_accepted": [None if miner % 7 == 0 else minute * miner for miner in range(MINERS)],
        }
        frame = build_frame("miner_telemetry", [NOON + 60 * minute] * MINERS, columns)
        table.append([(minute, frame_to_table(frame))])
        if minute == 70:
            compact(table, NOON + 7200)
    snapshot = table.snapshot(fresh=True)
    assert snapshot is not None
    files = [str(part.path) for part in snapshot.parts]
    assert 1 < len(files) < MINUTES, "merged and young ones"
    store = EmbeddedStore(tmp_path)
    day = NOON // 86400 * 86400
    (ours,) = store.windows(measurement, day, day + 86400, 86400, aggregates={"shares_accepted": "sum"}).to_pylist()
    store.close()
    script = Path(__file__).with_name("spark_sums.py")
    command = [spark_python, str(script)]
    done = subprocess.run(command, input=json.dumps(files), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    theirs = json.loads(done.stdout.splitlines()[-1])
    print(theirs)  # what it took, for pytest -s
    assert theirs["shares_accepted"] == ours["shares_accepted_sum"]
    assert (theirs["rows"], theirs["miners"]) == (MINUTES * MINERS, MINERS)
