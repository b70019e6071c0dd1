"""Servers that tests need. Absent: skipped, loudly; with LODELINE_REQUIRE_SERVICES=1 (CI): failed."""

from __future__ import annotations

import os
import shutil

import pytest


def program(name: str, *, variable: str | None = None) -> str:
    """Path of a server's program, from ``variable`` in the environment or from PATH; skips or fails without it."""
    found = (os.environ.get(variable) if variable else None) or shutil.which(name)
    if found:
        return found
    message = f"{name} is not installed (Debian: apt-get install {name}); the tests that need it did not run"
    if os.environ.get("LODELINE_REQUIRE_SERVICES") == "1":
        pytest.fail(message)
    pytest.skip(message)
