"""What tests need of a host. Absent: skipped, loudly; with LODELINE_REQUIRE_SERVICES=1 (CI): failed."""

from __future__ import annotations

import os
import shutil
from typing import NoReturn

import pytest


def program(name: str, *, variable: str | None = None, further: str = "", package: str | None = None) -> str:
    """Path of a server's program, from ``variable`` in the environment, from PATH or from the folder ``further``; skips
    or fails without it. ``package`` is Debian's, where it is not called like the program."""
    path = os.pathsep.join(filter(None, (os.environ.get("PATH", os.defpath), further)))
    found = (os.environ.get(variable) if variable else None) or shutil.which(name, path=path)
    if found:
        return found
    missing(f"{name} is not installed (Debian: apt-get install {package or name})")


def missing(why: str) -> NoReturn:
    """Skip or fail the tests that need what is not there."""
    message = f"{why}; the tests that need it did not run"
    if os.environ.get("LODELINE_REQUIRE_SERVICES") == "1":
        pytest.fail(message)
    pytest.skip(message)
