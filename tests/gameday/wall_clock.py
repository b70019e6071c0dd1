"""The wall clock of ``lodeline up`` in a game day: real time plus what a scenario sets, by a library preloaded into it.

The library (clock.c) is compiled here, so that it needs a C compiler and Linux.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

SOURCE = Path(__file__).with_name("clock.c")


class WallClock:
    """Its file and library lie in ``folder``. ``lacks``: why it cannot be set here; None where it can."""

    def __init__(self, folder: Path) -> None:
        self.offset_s = 0.0
        self._file = folder / "clock"
        self._library = folder / "clock.so"
        self.lacks = self._compile()
        if self.lacks is None:
            self._file.write_bytes(bytes(8))

    def _compile(self) -> str | None:
        if sys.platform != "linux":
            return "a process' clock is set by preloading a library, which is done for Linux only"
        compiler = shutil.which("cc")
        if compiler is None:
            return "a process' clock is set by a library that is compiled here, and there is no C compiler (cc)"
        done = subprocess.run(
            [compiler, "-shared", "-fPIC", "-O2", "-Wall", "-o", self._library, SOURCE, "-ldl"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        return (
            None if done.returncode == 0 else f"the library that sets a clock cannot be compiled: {done.stderr[:200]}"
        )

    @property
    def environ(self) -> Mapping[str, str]:
        """What a process must be started with."""
        return {} if self.lacks else {"LD_PRELOAD": str(self._library), "GAMEDAY_CLOCK": str(self._file)}

    def set(self, offset_s: float) -> None:
        """Step the clock of all that was started with it to real time plus ``offset_s``, at once."""
        self.offset_s = offset_s
        with self._file.open("r+b", buffering=0) as file:
            file.write(struct.pack("=q", int(offset_s * 1e9)))
