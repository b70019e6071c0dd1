"""``make bench``: one JSON line per figure, each measured against a baseline in the same run.

Arguments name rooms; none runs all of them but ``soaking`` and ``killing``, which take minutes and are run by their
names. Exit code 1 where a figure misses its target. A room that fails says so in its line; the others go on.
"""

from __future__ import annotations

import sys
from importlib import import_module

from tests.bench.figure import Figure

ROOMS = (
    "encoding", "spooling", "reading", "collecting", "rolling", "disk", "forecasting", "anomalies", "features",
    "deriving",
)  # fmt: skip
LONG_ROOMS = ("soaking", "querying", "archiving", "upkeep", "killing", "exporting", "anomaly_farm", "loading")


def main(rooms: list[str]) -> int:
    """Run ``rooms``; returns the exit code."""
    unknown = sorted(set(rooms) - {*ROOMS, *LONG_ROOMS})
    if unknown:
        print(f"unknown: {', '.join(unknown)}; there are {', '.join(ROOMS + LONG_ROOMS)}", file=sys.stderr)
        return 2
    missed = False
    for room in rooms or ROOMS:
        for figure in _figures(room):
            print(figure.line(), flush=True)
            missed |= figure.ok is False
    return int(missed)


def _figures(room: str) -> list[Figure]:
    try:
        figures: list[Figure] = import_module(f"tests.bench.{room}").figures()
    except Exception as error:
        return [Figure(name=room, target="to be measured", ok=False, note=f"failed: {type(error).__name__}: {error}")]
    return figures


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
