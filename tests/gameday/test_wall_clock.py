"""The clock of a game day: a process sees the step at once, and waits go by the clock that nobody sets."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.gameday.wall_clock import WallClock

TOLD = "import sys, time; [print(time.time(), time.monotonic(), flush=True) for _ in sys.stdin]"


def test_a_process_sees_its_clock_set_and_the_monotonic_one_left_alone(tmp_path: Path) -> None:
    clock = WallClock(tmp_path)
    if clock.lacks is not None:
        pytest.skip(clock.lacks)
    with subprocess.Popen(
        [sys.executable, "-u", "-c", TOLD],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | dict(clock.environ),
    ) as child:  # fmt: skip
        assert child.stdin is not None
        assert child.stdout is not None
        for offset_s in (0.0, 4_000.0, -4_000.0, 0.0):
            clock.set(offset_s)
            wall, monotonic = time.time(), time.monotonic()
            child.stdin.write("\n")
            child.stdin.flush()
            told = [float(word) for word in child.stdout.readline().split()]
            assert 0 <= told[0] - offset_s - wall < 60
            assert 0 <= told[1] - monotonic < 60
        child.stdin.close()
