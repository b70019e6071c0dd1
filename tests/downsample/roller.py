"""Roll-ups to kill. ``python -m tests.downsample.roller embedded|influx FOLDER_OR_URL NOW``, driven by stdin.

Every line forks one (imports are done once): it prints its process id, works, and ends. Once it has, ``done`` or
``killed`` is printed.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from storage.downsample.run import roll_up
from storage.influx.settings import InfluxSettings
from storage.influx.store import InfluxStore
from storage.lake.store import EmbeddedStore
from storage.store import Store

MEASURED = ("miner_telemetry", "miner_board", "miner_pool")


def opened(kind: str, where: str) -> Store:
    """The store under test."""
    if kind == "embedded":
        return EmbeddedStore(Path(where))
    return InfluxStore(InfluxSettings(url=where))


def main() -> None:
    """Fork at every line, wait for its end."""
    kind, where, now = sys.argv[1:]
    for _ in sys.stdin:
        child = os.fork()
        if child == 0:
            store = opened(kind, where)
            print(os.getpid(), flush=True)
            roll_up(store, int(now), measurements=MEASURED)
            store.close()
            os._exit(0)
        _, status = os.waitpid(child, 0)
        print("done" if status == 0 else "killed" if os.WIFSIGNALED(status) else "failed", flush=True)


if __name__ == "__main__":
    main()
