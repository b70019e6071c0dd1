"""Poll slots: multiples of the interval in Unix time. Every host and every run means the same slot by the same number.

Slots come from the wall clock, since they are the time of the readings; waiting and lateness are measured with the
monotonic clock, since the wall clock may be set in between.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

LOOK_EVERY_S = 0.2
"""Longest sleep in one piece: how soon a wall clock that was set, a successor or a stop is noticed."""


@dataclass(frozen=True, slots=True)
class Slot:
    """One slot to tick: its ``time`` in Unix seconds, and how many slots were ``missed`` since the one before."""

    time: int
    missed: int = 0


class Slots:
    """The sequence of slots of one shift, ``interval_s`` whole seconds apart, of which those are ticked that are
    ``wanted``. Slots are counted as missed in units of ``usual_s``, the interval at which work is usually due.

    ``last`` is the newest slot that the lane has ticked, by whichever run; None where it never ticked. The first slot
    is the current one unless it is ``last`` already: a successor neither skips nor repeats a slot, and a first start
    does not wait.
    """

    def __init__(
        self,
        interval_s: int,
        last: int | None = None,
        *,
        usual_s: int | None = None,
        wanted: Callable[[int], bool] = lambda _: True,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        if interval_s < 1:
            raise ValueError(f"interval_s is at least 1, got {interval_s}")
        self.interval_s = interval_s
        self.usual_s = usual_s or interval_s
        self._wanted = wanted
        self._last = last
        self._wall = wall
        self._monotonic = monotonic
        self._last_began: float | None = None

    def due(self) -> Slot | None:
        """The slot to tick now, or None while the current one is done or not wanted; taking it makes it the last.

        A tick that ran over skips to the newest slot. Skipped slots are counted by the monotonic clock within a run,
        so that setting the wall clock is no loss; between runs there is only the wall clock. A wall clock set back by
        more than an interval is followed, else nothing would be read until it caught up; set back by less, the next
        new slot is awaited.
        """
        wall, at = self._wall(), self._monotonic()
        current = int(wall // self.interval_s) * self.interval_s
        last = self._last
        if last is not None and current <= last and last - wall < self.interval_s:
            return None
        began = at - (wall - current)  # the slot's start by the monotonic clock
        if self._last_began is not None:
            elapsed = began - self._last_began
        else:
            elapsed = float(current - last) if last is not None else 0.0
        self._last, self._last_began = current, began
        missed = max(0, round(elapsed / self.usual_s) - 1)
        return Slot(current, missed) if self._wanted(current) else None

    async def wait(self, ended: Callable[[], bool]) -> Slot | None:
        """Sleep until a slot is due; None when ``ended`` says so first."""
        while not ended():
            slot = self.due()
            if slot is not None:
                return slot
            into = self._wall() % self.interval_s
            await asyncio.sleep(min(self.interval_s - into, LOOK_EVERY_S))
        return None
