"""One process that the supervisor started: its log, its end, and never an orphan."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from storage.errors import LodelineError
from storage.log_files import close_log, close_log_in_use

TAIL_LINES = 15
LOOK_S = 0.05
RESTARTS = 3
WITHIN_S = 3_600.0
"""So many starts again in so long a time: what ends more often will not do better the next time."""


class ChildEnded(LodelineError):
    """A process that should run has ended; the text holds its last log lines."""


class Child:
    """A process in a session of its own, so that Ctrl-C at the terminal reaches the supervisor alone.

    Output goes to ``<logs>/<name>.log``; storage/log_files.py says how the file of the start before is kept.
    """

    def __init__(self, name: str, arguments: Sequence[str], environ: Mapping[str, str], logs: Path) -> None:
        self.name = name
        self.log = logs / f"{name}.log"
        self._restarted: list[float] = []
        self._arguments = list(arguments)
        self._environ = dict(environ)
        logs.mkdir(parents=True, exist_ok=True)
        close_log(self.log)
        self._process = self._started()

    def _started(self) -> subprocess.Popen[bytes]:
        leash = [sys.executable, "-m", "deployments.up.leash", str(os.getpid()), sys.executable]
        with self.log.open("ab") as log:
            output: IO[bytes] = log
            return subprocess.Popen(
                [*leash, *self._arguments],
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Process id, also that of its session."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """How it ended, a negative number by that signal; None while it runs."""
        return self._process.poll()

    def check(self) -> None:
        """Raise ChildEnded where it does not run any more."""
        if not self.alive:
            raise ChildEnded(f"{self.name} {self._end()}. Its last lines ({self.log}):\n{self.tail()}")

    def restart(self) -> None:
        """Start it again after it ended, RESTARTS times within WITHIN_S at most; then raise ChildEnded.

        What it had started is left alone: the flows of a worker that died work on, and hand over as usual.
        """
        now = time.monotonic()
        self._restarted = [at for at in self._restarted if now - at < WITHIN_S]
        if len(self._restarted) >= RESTARTS:
            self.check()
        self._restarted.append(now)
        self._process = self._started()

    async def stop(self, patience_s: float) -> bool:
        """SIGTERM, and SIGKILL to its whole session when ``patience_s`` is over. Whether it ended by itself."""
        if not self.alive:
            return True
        self._process.terminate()
        waited = 0.0
        while self.alive and waited < patience_s:
            await asyncio.sleep(LOOK_S)
            waited += LOOK_S
        well = not self.alive
        self._kill_session()  # it ended just now, so the number is not another's yet
        return well

    def kill(self) -> None:
        """SIGKILL to it and all that it started, unless it ended before."""
        if self.alive:
            self._kill_session()

    def _kill_session(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()

    def close_log(self, at: float) -> None:
        """Close the file of the day of ``at`` (Unix seconds), and go on in a new one."""
        close_log_in_use(self.log, at)

    def tail(self, lines: int = TAIL_LINES) -> str:
        """The last lines of its log."""
        text = self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""
        return "\n".join(f"  | {line}" for line in text.splitlines()[-lines:]) or "  | (it wrote nothing)"

    def _end(self) -> str:
        code = self._process.returncode
        return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
