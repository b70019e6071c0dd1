"""A short run of killing.py, which by hand kills a thousand times."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(importlib.util.find_spec("deltalake") is None, reason="needs the extra [lake]"),
]

KILLS = 20


def test_whatever_is_killed_nothing_is_lost_doubled_revived_or_unreadable(tmp_path: Path) -> None:
    seed = os.environ.get("LODELINE_KILL_SEED") or str(time.time_ns())
    command = [sys.executable, "-m", "tests.faults.killing", "--kills", str(KILLS), "--seed", seed]
    done = subprocess.run([*command, "--folder", str(tmp_path / "run")], capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    found = json.loads(done.stdout)
    assert done.returncode == 0, f"repeat with LODELINE_KILL_SEED={seed}: {found} {done.stderr}"
    assert found["kills"] == KILLS
    assert found["slots"] > 0
