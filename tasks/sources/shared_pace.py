"""How fast several hosts may ask one source together: a limit that they share, and what one does when it is alone.

The limit is kept elsewhere, by a server that may be away. It is never what a request waits for in vain: where it cannot
be asked, a host goes on by itself, at the part of the rate that is its own whatever the others do.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from storage.errors import TryAgain
from tasks.sources.failure import HeldBack
from tasks.sources.pace import LONGEST_WAIT_S, HostPace

AskPlace = Callable[[str], Awaitable[float]]
"""Asks the shared limit of a name for a place, once: 0 if it was given, else the seconds after which to ask again.
Raises LimitAway."""

ASKED_AGAIN_AFTER_S = 60.0
"""A limit that could not be asked is left alone for so long: its server may take seconds to say nothing."""

_log = logging.getLogger(__name__)


class LimitAway(TryAgain):
    """A shared limit cannot be asked, or does not exist; the text says why."""


class SharedPace:
    """The pace of ``source`` on one of several hosts that share the limit ``limit``.

    A request first waits for its place on this host (``own``, at the whole rate), then for one at the limit. While the
    limit is away it waits for one of ``alone`` instead, this host's part of the rate.
    """

    def __init__(
        self,
        source: str,
        limit: str,
        ask: AskPlace,
        *,
        own: HostPace,
        alone: HostPace,
        longest_wait_s: float = LONGEST_WAIT_S,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._source = source
        self._limit = limit
        self._ask = ask
        self._own = own
        self._alone = alone
        self._longest_wait_s = longest_wait_s
        self._clock = clock
        self._sleep = sleep
        self._away_until: float | None = None

    @property
    def together(self) -> bool:
        """Whether the limit was there when it was asked last; else this host keeps to its own part of the rate."""
        return self._away_until is None

    async def wait(self) -> None:
        """See :class:`tasks.sources.pace.SourcePace`."""
        await self._own.wait()
        if self._away_until is None or self._clock() >= self._away_until:
            try:
                await self._place()
            except LimitAway as away:
                self._go_alone(away)
            else:
                return
        await self._alone.wait()

    def close_for(self, seconds: float) -> None:
        """See :class:`tasks.sources.pace.SourcePace`. Other hosts are told so by the source itself."""
        self._own.close_for(seconds)

    async def _place(self) -> None:
        give_up = self._clock() + self._longest_wait_s
        while (again := await self._ask(self._limit)) > 0:
            self._together_again()
            if self._clock() + again > give_up:
                raise HeldBack(
                    f"{self._source}: its hosts have asked as often as they may together (limit {self._limit}), "
                    f"the next is due in {again:.0f} s",
                    retry_after_s=again,
                )
            await self._sleep(again)
        self._together_again()

    def _go_alone(self, away: LimitAway) -> None:
        if self._away_until is None:
            _log.warning(
                "%s: the rate is not shared with other hosts for now, this host keeps to its own part of it, "
                "%g requests a minute: %s", self._source, self._alone.per_minute, away,
            )  # fmt: skip
        self._away_until = self._clock() + ASKED_AGAIN_AFTER_S

    def _together_again(self) -> None:
        if self._away_until is not None:
            _log.warning("%s: the rate is shared with other hosts again, by limit %s", self._source, self._limit)
        self._away_until = None
