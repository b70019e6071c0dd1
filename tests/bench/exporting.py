"""Fifty kills amid exports to the fake of Abacus.AI: tests/faults/exporting.py."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from tests.bench.figure import Figure

KILLS = int(os.environ.get("LODELINE_BENCH_EXPORT_KILLS", "50"))


def figures() -> list[Figure]:
    """One figure: rows that are missing, and rows that are there twice, once all is over."""
    command = [sys.executable, "-m", "tests.faults.exporting", "--kills", str(KILLS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if not done.stdout:
        raise RuntimeError(done.stderr.strip().splitlines()[-1])
    found = json.loads(done.stdout)
    note = (
        f"{found['rows']} rows of {found['nights']} nights, {sum(found['faults'].values())} faults of the service; "
        f"{found['lost']} lost, {found['doubled']} doubled"
    )
    return [
        Figure(name="exports killed", value=found["kills"], unit="kills", target=f"{KILLS} with every row there once",
               ok=done.returncode == 0, note=note)
    ]  # fmt: skip
