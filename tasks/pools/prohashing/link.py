"""How the connection stands, shared by the stream that keeps it and the requests that step in for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

from tasks.pools.prohashing.subject import Subject
from tasks.sources.failure import Noticed, SourceFailureKind

QUIET_S = 300.0
"""A subject of which nothing came for so long is no longer covered, whatever the socket says."""


class Link:
    """State of one connection. ``clock`` is monotonic, in seconds."""

    def __init__(self, name: str, *, quiet_s: float = QUIET_S, clock: Callable[[], float] = time.monotonic) -> None:
        self.quiet_s = quiet_s
        self.malformed = 0
        """Payloads that could not be read, since the start."""
        self.connections = 0
        """Sessions that were joined, since the start."""
        self._name = name
        self._clock = clock
        self._live = False
        self._trouble = (SourceFailureKind.UNREACHABLE, "it was not connected yet")
        self._heard: dict[Subject, float] = {}
        self._joined_at = 0.0
        self._left = True
        self._settled = asyncio.Event()

    @property
    def live(self) -> bool:
        """Joined and subscribed."""
        return self._live

    @property
    def left(self) -> bool:
        """No stream keeps it: none was begun, or it was ended since the pool is paused by hand. That is no trouble."""
        return self._left

    def begun(self) -> None:
        """A stream keeps it from now on: it connects, and again after every loss."""
        self._left = False
        self._settled.clear()

    def leave(self) -> None:
        """The stream has ended."""
        self.lost(SourceFailureKind.UNREACHABLE, "it was not connected yet")
        self._left = True

    def joined(self) -> None:
        """The session is joined and subscribed."""
        self._live = True
        self._settled.set()
        self.connections += 1
        self._joined_at = self._clock()

    def lost(self, kind: SourceFailureKind, reason: str) -> None:
        """The session is lost, or was not joined; ``reason`` without secrets."""
        self._live = False
        self._settled.set()
        self._trouble = (kind, reason)
        self._heard.clear()

    def heard(self, subject: Subject) -> None:
        """Something of ``subject`` came."""
        self._heard[subject] = self._clock()

    def silent_s(self, subject: Subject | None = None) -> float:
        """Seconds since something of ``subject``, or of any, came, or since the session began."""
        times = self._heard.values() if subject is None else [self._heard.get(subject, self._joined_at)]
        return self._clock() - max(times, default=self._joined_at)

    def covers(self, subject: Subject) -> bool:
        """Whether the stream brings ``subject`` now."""
        return self._live and subject in self._heard and self.silent_s(subject) < self.quiet_s

    async def settled(self, within_s: float) -> None:
        """Return when the stream was joined or lost since it began, ``within_s`` at the latest, or if there is none."""
        if not self._left:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._settled.wait(), within_s)

    def check(self) -> None:
        """Return if live.

        Raises:
            Noticed: it is not, and why.
        """
        if not self._live:
            kind, reason = self._trouble
            raise Noticed(kind, f"{self._name}: {reason}")
