"""Kill -9 whatever works on a data directory: collecting, delivering, rolling up, merging, archiving, deleting.

Run by hand: ``python -m tests.faults.killing --kills 1000``. Every role is a process of its own, forked from one that
has imported everything and done nothing, so that a new one is at work within a millisecond. One role after another is
killed at a random moment and begins again. At the end each finishes in peace, and the books are compared with what
the collector acknowledged: 0 lost, 0 doubled, every table readable, the audit trail whole, nothing erased back.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.faults.roles import ROLES
from tests.faults.settling import is_well, settle_and_compare

PAUSE_S = 0.15
"""Between two kills, of any role, on average."""

STARVED = 15
"""So many kills of a role without a piece of work finished, and all are left alone until it finishes one: on a busy
machine every kill would hit a beginning."""

PATIENCE_S = 20.0
"""How long that is waited for: there may be nothing to archive yet."""

FINISHES = {"collect": "collected", "deliver": "delivered", "roll": "rolled", "merge": "merged", "archive": "archived",
            "delete": "erased"}  # fmt: skip
"""What each role counts."""

WEIGHTS = {"collect": 6, "deliver": 4, "roll": 2, "merge": 4, "archive": 3, "delete": 0.5}
"""How often each role is killed: what takes seconds must come to its end now and then, too."""


def _begin(role: str, data: Path) -> int:
    child = os.fork()
    if child:
        return child
    try:
        ROLES[role](data)
    except BaseException:  # whatever it is, the parent shall see it
        traceback.print_exc()
    os._exit(1)


@contextmanager
def _time_limit(seconds: int) -> Iterator[None]:
    """Die with a traceback rather than hang: nothing here waits for anybody for long."""

    def give_up(*_: object) -> None:
        raise TimeoutError(f"not finished within {seconds} s")

    signal.signal(signal.SIGALRM, give_up)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)


def kill_over_and_over(folder: Path, kills: int, seed: int) -> dict[str, object]:
    """Kill ``kills`` times in ``folder``; what was found at the end."""
    dice = random.Random(seed)
    data = folder / "data"
    data.mkdir(parents=True)
    running = {role: _begin(role, data) for role in ROLES}
    began, killed = time.monotonic(), dict.fromkeys(ROLES, 0)
    starving, finished = dict.fromkeys(ROLES, 0), dict.fromkeys(ROLES, 0)
    faults: list[str] = []
    while sum(killed.values()) < kills and not faults:
        time.sleep(dice.expovariate(1 / PAUSE_S))
        (role,) = dice.choices(list(WEIGHTS), [*WEIGHTS.values()])
        if starving[role] >= STARVED:
            _let_finish(folder, role, finished[role])
        now_finished = _finished(folder, role)
        starving[role] = 0 if now_finished > finished[role] or starving[role] >= STARVED else starving[role] + 1
        finished[role] = now_finished
        os.kill(running[role], signal.SIGKILL)
        _, status = os.waitpid(running[role], 0)
        if os.WIFEXITED(status):
            faults.append(f"{role} ended by itself after {sum(killed.values())} kills")
            break
        killed[role] += 1
        running[role] = _begin(role, data)
    for role, child in running.items():
        if not faults or not faults[0].startswith(role):
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    work = {path.stem: path.stat().st_size for path in sorted(folder.glob("*.count"))}
    took_s = time.monotonic() - began
    with _time_limit(600):
        found = settle_and_compare(data, faults)
    return {"kills": sum(killed.values()), "killed": killed, "seed": seed, "seconds": round(took_s, 1),
            "work": work, **found}  # fmt: skip


def _finished(folder: Path, role: str) -> int:
    """Pieces of work of ``role`` so far."""
    try:
        return (folder / f"{FINISHES[role]}.count").stat().st_size
    except FileNotFoundError:
        return 0


def _let_finish(folder: Path, role: str, before: int) -> None:
    until = time.monotonic() + PATIENCE_S
    while _finished(folder, role) == before and time.monotonic() < until:
        time.sleep(0.02)


def main() -> int:
    """Print what was found as one JSON line; exit code 1 where not all is well."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kills", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=int(os.environ.get("LODELINE_KILL_SEED", "0")) or time.time_ns())
    parser.add_argument("--folder", type=Path, help="kept afterwards; a temporary one by default")
    wanted = parser.parse_args()
    if wanted.folder is not None:
        found = kill_over_and_over(wanted.folder, wanted.kills, wanted.seed)
    else:
        with tempfile.TemporaryDirectory(prefix="killing-") as folder:
            found = kill_over_and_over(Path(folder), wanted.kills, wanted.seed)
    print(json.dumps(found), flush=True)
    return 0 if is_well(found) else 1


if __name__ == "__main__":
    sys.exit(main())
