"""``python -m deployments.farm.abacus``: the fake in a process of its own.

Prints one JSON line with its address when it listens, and ends on SIGTERM or SIGINT with exit code 0. The key that it
knows is the variable LODELINE_ABACUS__GENERAL__API_KEY.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
from pathlib import Path

from deployments.farm.abacus.configuration import KEY
from deployments.farm.abacus.foresight import deploy
from deployments.farm.abacus.server import FakeAbacus


def main(arguments: list[str] | None = None) -> int:
    """Run the fake until it is told to stop. Exit codes: 0 well, 2 it has no key."""
    parser = argparse.ArgumentParser(prog="python -m deployments.farm.abacus", description="A fake of Abacus.AI.")
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 takes a free one")
    parser.add_argument("--state", type=Path, metavar="FILE", help="SQLite file of what it holds (default: memory)")
    options = parser.parse_args(arguments)
    key = os.environ.get(KEY)
    if not key:
        print(f"fake Abacus.AI: {KEY} is not set", file=sys.stderr)  # noqa: T201
        return 2
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with FakeAbacus(key, path=options.state, port=options.port) as fake:
        deploy(fake.backend)
        print(json.dumps({"fake": True, "url": fake.url}), flush=True)  # noqa: T201
        stop.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
