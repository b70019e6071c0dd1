"""The allocators that a shift works with are those of its worker's environment."""

from __future__ import annotations

import os
import subprocess
import sys

from deployments.up.processes import worker_environment


def test_arrow_keeps_no_pool_of_its_own_in_a_shift():
    environment = worker_environment(os.environ, {})
    asked = "import pyarrow; print(pyarrow.default_memory_pool().backend_name)"
    done = subprocess.run([sys.executable, "-c", asked], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["system"]
    assert environment["MALLOC_ARENA_MAX"] == "2"
    assert environment["MALLOC_MMAP_THRESHOLD_"] == "1048576"
