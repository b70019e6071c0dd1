"""SIGKILLs amid exports to the fake of Abacus.AI, which has faults of its own: every row has to be there once.

``python -m tests.faults.exporting --kills 50 --seed 1``: a child imports everything once and forks a process a run, of
which each is killed after a random part of what a run takes. Prints one JSON line; exit code 1 where a row is missing
or twice.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import pyarrow as pa

from deployments.farm.abacus.faults import FaultKind
from deployments.farm.abacus.server import FakeAbacus
from storage.errors import NeedsHuman, TryAgain
from tests.abacus.conftest import KEY, T0, Host, view_rows

ROWS_A_NIGHT = 90
PART_BYTES = 1_500
KINDS: tuple[FaultKind, ...] = (
    "error_500", "cut", "lost", "html", "wrong_md5", "rows_short", "import_failed", "join_failed",
)  # fmt: skip


def rows_until(night: int) -> pa.Table:
    """What became known in the nights up to ``night``."""
    nights = [view_rows(ROWS_A_NIGHT, known=T0 + n, start=T0 + n * 200_000) for n in range(night + 1)]
    return pa.concat_tables(nights)


def survive(url: str, root: Path, kills: int, seed: int) -> None:
    """Export night after night, killed ``kills`` times, then once in peace. Prints how it went."""
    dice, killed, ended, nights = random.Random(seed), 0, 0, 0
    longest = 5.0  # seconds; then what a run took
    while killed < kills:
        child = os.fork()
        if child == 0:
            os._exit(_export(url, root, nights))
        deadline, began = time.monotonic() + dice.uniform(0, longest), time.monotonic()
        status: int | None = None
        while status is None and time.monotonic() < deadline:
            found, told = os.waitpid(child, os.WNOHANG)
            status = told if found else None
            time.sleep(0.002)
        if status is None:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            killed += 1
            continue
        ended += 1
        if status == 0:
            longest = 1.3 * max(time.monotonic() - began, 0.2)
            nights += 1
    tries = 0
    while _export(url, root, nights) and tries < 50:
        tries += 1
    print(json.dumps({"kills": killed, "ended": ended, "nights": nights + 1}), flush=True)


def _export(url: str, root: Path, night: int) -> int:
    host = Host(url, root, rows_until(night), max_retries=2)
    host.part_bytes = PART_BYTES
    try:
        host.run(until=T0 + night)
    except (TryAgain, NeedsHuman):
        return 1
    return 0


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--child", nargs=2, metavar=("URL", "ROOT"), help="what the parent starts")
    said = parser.parse_args()
    if said.child:
        survive(said.child[0], Path(said.child[1]), said.kills, said.seed)
        return 0
    with FakeAbacus(KEY, least_part_bytes=PART_BYTES) as fake, tempfile.TemporaryDirectory() as folder:
        fake.faults.at_random(random.Random(said.seed), 0.02, KINDS)
        command = [sys.executable, "-m", "tests.faults.exporting", "--child", fake.url, folder]
        command += ["--kills", str(said.kills), "--seed", str(said.seed)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        told = json.loads(done.stdout)
        there = Counter((row["record_id"], row["known_at"]) for row in fake.rows("miner_telemetry_batches"))
        expected = rows_until(told["nights"] - 1)
        lost, doubled = expected.num_rows - len(there), sum(count - 1 for count in there.values())
        faults = Counter(kind for _, kind in fake.faults.taken)
    print(json.dumps({**told, "rows": expected.num_rows, "lost": lost, "doubled": doubled, "faults": faults}))
    return int(bool(lost or doubled))


if __name__ == "__main__":
    sys.exit(main())
