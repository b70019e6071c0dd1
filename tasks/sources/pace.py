"""How fast a source may be asked: a token bucket that all processes of a host share, with a smooth refill.

Kept as one number, the time at which the bucket would be full again (the generic cell rate algorithm): taking a token
moves it on by one interval, and whoever takes one knows at once how long it must wait.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

import msgspec

from tasks.sources.failure import HeldBack
from tasks.sources.shared_file import SharedFile

LONGEST_WAIT_S = 60.0


class SourcePace(Protocol):
    """The pace of one source, whoever it is kept by."""

    async def wait(self) -> None:
        """Take a token, and return when it is good.

        Raises:
            HeldBack: if that would be too late.
        """
        ...

    def close_for(self, seconds: float) -> None:
        """Let nobody on this host ask for ``seconds``: the source said so."""
        ...


class _Bucket(msgspec.Struct, frozen=True):
    full_at: float = 0.0
    closed_until: float = 0.0
    closed_at: float = 0.0


class HostPace:
    """At most ``per_minute`` requests a minute to ``source`` from this host, ``burst`` of them at once.

    ``folder`` holds one file a source. Times are wall clock, which all processes share; when it was set back by more
    than a place can be ahead, the bucket counts as empty, and what was closed by the clock of before is open.
    """

    def __init__(
        self,
        folder: Path,
        source: str,
        *,
        per_minute: float,
        burst: int = 1,
        longest_wait_s: float = LONGEST_WAIT_S,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        if per_minute <= 0 or burst < 1:
            raise ValueError(f"per_minute {per_minute} and burst {burst} must be positive")
        self.per_minute = per_minute
        self._source = source
        self._file = SharedFile(folder / f"{source}.pace.json", _Bucket)
        self._interval = 60.0 / per_minute
        self._burst = burst
        self._longest_wait_s = longest_wait_s
        self._clock = clock
        self._sleep = sleep

    async def wait(self) -> None:
        """Take a token, and return when it is good.

        Raises:
            HeldBack: if that would be later than ``longest_wait_s``; no token is taken then.
        """
        wait = self.take()
        if wait > 0:
            await self._sleep(wait)

    def take(self) -> float:
        """Take a token; the seconds until it is good. See :meth:`wait`."""
        now = self._clock()
        with self._file.held() as bucket:
            depth = self._burst * self._interval
            set_back = bucket.full_at > now + self._longest_wait_s + depth  # nobody was given such a place
            full_at = max(now, now + depth if set_back else bucket.full_at) + self._interval
            wait = full_at - depth - now
            closed = bucket.closed_until - now if bucket.closed_at <= now else 0.0
            if max(wait, closed) > self._longest_wait_s:
                raise HeldBack(
                    f"{self._source}: this host has asked as often as it may, the next is due in "
                    f"{max(wait, closed):.0f} s",
                    retry_after_s=max(wait, closed),
                )
            self._file.write(msgspec.structs.replace(bucket, full_at=full_at))
        return max(0.0, wait, closed)

    def close_for(self, seconds: float) -> None:
        """Let nobody on this host ask for ``seconds``: the source said so."""
        with self._file.held() as bucket:
            now = self._clock()
            until = max(bucket.closed_until if bucket.closed_at <= now else 0.0, now + seconds)
            self._file.write(msgspec.structs.replace(bucket, closed_until=until, closed_at=now))
