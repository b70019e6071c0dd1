"""The baton: which of a host's processes is on shift. Kernel file locks, so a killed holder lets go at once.

Three locks of one shift, all under ``<data>/locks``:

``<name>.now``   held by whoever is on shift
``<name>.next``  held by the one who waits to take over: the holder of ``now`` sees it and ends
``<name>.stop``  held by whoever wants the shift over without a successor (``lodeline up`` when it ends)

A deployment concurrency limit would do it across hosts, at 18 s without a reading per hand-over and with runs that
crash when the server restarts. The lock belongs to the host that polls, which is the right scope. Linux and macOS.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

LOOK_EVERY_S = 0.05
"""How often a waiting successor looks whether ``now`` is free: the most that a hand-over costs."""


TRIES = 4
"""Tries to become the successor: one alone could meet somebody who only looks whether the lock is held."""


class NotNeeded(Exception):
    """Somebody else waits for this shift already, or it is being stopped: this run has nothing to do."""


class Baton:
    """The locks of shift ``name`` in ``folder``, which is made where it is missing."""

    def __init__(self, folder: Path, name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._now, self._next, self._stop = (folder / f"{name}.{lock}" for lock in ("now", "next", "stop"))

    @property
    def wanted(self) -> bool:
        """Whether a successor waits."""
        return _is_held(self._next)

    @property
    def stopped(self) -> bool:
        """Whether the shift shall end without a successor."""
        return _is_held(self._stop)

    @property
    def taken(self) -> bool:
        """Whether somebody is on shift."""
        return _is_held(self._now)

    @property
    def holder(self) -> int | None:
        """Process id of whoever is on shift; None where nobody is."""
        if not self.taken:
            return None
        with suppress(ValueError, OSError):
            return int(self._now.read_text())
        return None

    @asynccontextmanager
    async def held(self) -> AsyncIterator[Baton]:
        """Wait until the shift before has ended, then be on shift until the block is left.

        Raises:
            NotNeeded: another successor waits already, or the shift is being stopped.
        """
        self._require_wanted()
        for _ in range(TRIES):
            if (queue := _try_lock(self._next)) is not None:
                break
            await asyncio.sleep(LOOK_EVERY_S)
        else:
            raise NotNeeded("another run waits for this shift already")
        try:
            while (now := _try_lock(self._now)) is None:
                await asyncio.sleep(LOOK_EVERY_S)
                self._require_wanted()  # first, since whoever held it may have ended because of a stop
        finally:
            os.close(queue)
        try:
            os.truncate(now, 0)
            os.pwrite(now, str(os.getpid()).encode(), 0)
            yield self
        finally:
            os.close(now)

    def _require_wanted(self) -> None:
        if self.stopped:
            raise NotNeeded("the shift is being stopped")

    @contextmanager
    def stopping(self) -> Iterator[None]:
        """Ask whoever is on shift to end, and keep all others from beginning, until the block is left."""
        stop = _open(self._stop)
        try:
            fcntl.flock(stop, fcntl.LOCK_EX)
            yield
        finally:
            os.close(stop)


def _open(path: Path) -> int:
    return os.open(path, os.O_CREAT | os.O_RDWR, 0o600)


def _try_lock(path: Path, kind: int = fcntl.LOCK_EX) -> int | None:
    descriptor = _open(path)
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _is_held(path: Path) -> bool:
    descriptor = _try_lock(path, fcntl.LOCK_SH)  # shared, so that two who look do not take each other for a holder
    if descriptor is None:
        return True
    os.close(descriptor)
    return False
