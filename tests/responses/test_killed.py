"""Ended by SIGKILL between any two steps, a responder acts once at most, and never again where nobody knows."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def test_killed_at_each_step_nothing_is_done_twice(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.responses.killed", str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told == {
        # nothing was intended: it is answered by the next run
        "before the evidence": [True, ["done"], 1],
        "after the evidence": [True, ["done"], 1],
        # intended, and nobody knows: a human is told, and it is not done again
        "after the intent": [True, ["unclear"], 0],
        "before the audit trail": [True, ["unclear"], 0],
        "after the audit trail": [True, ["unclear"], 0],
        "before the act": [True, ["unclear"], 0],
        "after the act": [True, ["unclear"], 1],
        "before the outcome": [True, ["unclear"], 1],
        # known
        "after the outcome": [True, ["done"], 1],
        "before the outcome is audited": [True, ["done"], 1],
    }
