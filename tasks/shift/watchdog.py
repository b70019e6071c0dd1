"""The watchdog: ends a process whose ticks do not finish. Heartbeats cannot, they come from a thread that lives on."""

from __future__ import annotations

import faulthandler
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

EXIT_CODE = 70
"""``EX_SOFTWARE`` of sysexits.h; Prefect shows it in the Crashed state, whose trigger starts a new shift."""

PATIENCE_TICKS = 3
LEAST_PATIENCE_S = 120.0
"""Longer than any tick that is still tried again (tasks/shift/steps.py)."""


class Watchdog:
    """A thread that ends the process when :meth:`tick_finished` was not called for ``patience_s``.

    The stacks of all threads go to ``stacks`` first: after the end nobody can ask what hung.
    """

    def __init__(self, patience_s: float, stacks: Path, *, end: Callable[[int], object] = os._exit) -> None:
        self._patience_s = patience_s
        self._stacks = stacks
        self._end = end
        self._finished = time.monotonic()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    @classmethod
    def for_ticks(cls, interval_s: int, stacks: Path) -> Watchdog:
        """A watchdog for ticks that are due every ``interval_s`` seconds."""
        return cls(max(LEAST_PATIENCE_S, PATIENCE_TICKS * interval_s), stacks)

    def tick_finished(self) -> None:
        """A tick came to its end, well or badly."""
        self._finished = time.monotonic()

    def __enter__(self) -> Watchdog:
        self._finished = time.monotonic()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while True:
            left = self._finished + self._patience_s - time.monotonic()
            if left <= 0:
                break
            if self._over.wait(left):
                return
        try:
            self._stacks.parent.mkdir(parents=True, exist_ok=True)
            with self._stacks.open("a") as file:
                now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
                file.write(f"{now} process {os.getpid()}: no tick finished for {self._patience_s:.0f} s; stacks:\n")
                file.flush()
                faulthandler.dump_traceback(file)
        finally:  # a full disk must not keep a hung process alive
            self._end(EXIT_CODE)
