"""A thousand kills of collecting, delivering, rolling up, merging, archiving and deleting: tests/faults/killing.py."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from tests.bench.figure import Figure

KILLS = int(os.environ.get("LODELINE_BENCH_KILLS", "1000"))
FAULTS = ("lost", "doubled", "wrong", "hours_wrong", "revived", "unreadable", "audit_fault", "faults")


def figures() -> list[Figure]:
    """One figure: points lost, doubled, wrong or revived, tables unreadable and breaks of the audit chain."""
    command = [sys.executable, "-m", "tests.faults.killing", "--kills", str(KILLS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if not done.stdout:
        raise RuntimeError(done.stderr.strip().splitlines()[-1])
    found = json.loads(done.stdout)
    wrong = {name: found[name] for name in FAULTS if found[name]}
    work = ", ".join(f"{what} {number}" for what, number in found["work"].items())
    note = f"{found['slots']} slots, {work}; seed {found['seed']}; {wrong or 'nothing lost, doubled or unreadable'}"
    return [
        Figure(name="sigkills survived", value=found["kills"], unit="kills", target=f"{KILLS} with nothing lost or "
               "doubled, no table unreadable, audit chain whole", ok=done.returncode == 0, note=note)
    ]  # fmt: skip
