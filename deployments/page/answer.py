"""Answers that many browsers share: one question to the store at a time, kept for a while, and kept when it is away.

A store that fails or hangs costs the viewers freshness, never the page: they get the last answer with its age and the
reason. All questions go through one thread, so that a store need not be safe for several.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from storage.errors import LodelineError

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

RETRY_S = 20.0
"""How soon a question that was not answered is asked again."""
_KEPT = 256
"""Answers kept; the one asked for longest ago goes first."""


@dataclass(frozen=True, slots=True)
class Answer(Generic[T_co]):
    """The newest answer there is. ``trouble`` says since when and why there is no newer one."""

    value: T_co | None
    read_at: float | None
    away_since: float | None = None
    trouble: str | None = None


@dataclass(slots=True)
class _Kept:
    value: Any = None
    read_at: float | None = None
    asked_at: float = 0.0
    failed_at: float | None = None
    away_since: float | None = None
    trouble: str | None = None
    running: asyncio.Task[None] | None = field(default=None, repr=False)


class Answers:
    """Answers by key, refreshed in ``executor``. Used from one event loop.

    ``patience_s``: how long a viewer waits for a fresh answer before it is shown the old one.
    """

    def __init__(self, executor: Executor, *, patience_s: float, clock: Callable[[], float] = time.time) -> None:
        self._executor = executor
        self._patience_s = patience_s
        self._clock = clock
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._closed = False

    async def get(self, key: str, keep_s: float, ask: Callable[[], T]) -> Answer[T]:
        """The answer to ``key``, at most ``keep_s`` old unless the store is away. ``ask`` blocks, in the executor."""
        kept = self._kept.setdefault(key, _Kept())
        self._kept.move_to_end(key)
        last = max((moment for moment in (kept.read_at, kept.failed_at) if moment is not None), default=None)
        if kept.running is None and not self._closed and (last is None or self._clock() - last >= keep_s):
            kept.asked_at = self._clock()
            kept.running = asyncio.create_task(self._refresh(kept, ask))
        if kept.running is not None:
            await asyncio.wait({kept.running}, timeout=self._patience_s)
        self._forget()
        return self._answer(kept)

    def peek(self, key: str, keep_s: float, ask: Callable[[], T]) -> Answer[T]:
        """The answer to ``key`` as it is now, without waiting for anything: one older than ``keep_s`` is being renewed
        meanwhile, and after a failure it is asked again within RETRY_S. No value and no trouble: it is being read."""
        kept = self._kept.setdefault(key, _Kept())
        self._kept.move_to_end(key)
        now = self._clock()
        due = not self._closed and (kept.read_at is None or now - kept.read_at >= keep_s)
        if kept.running is None and due and (kept.failed_at is None or now - kept.failed_at >= RETRY_S):
            kept.asked_at = now
            kept.running = asyncio.create_task(self._refresh(kept, ask))
        self._forget()
        return Answer(kept.value, kept.read_at, kept.away_since, kept.trouble)

    def close(self) -> None:
        """Ask no more: the executor ends. Viewers that are still there see what was answered last."""
        self._closed = True

    def drop(self, key: str) -> None:
        """Forget the answer to ``key``: somebody has changed what it is about."""
        kept = self._kept.get(key)
        if kept is not None:
            kept.read_at = kept.failed_at = None

    async def _refresh(self, kept: _Kept, ask: Callable[[], Any]) -> None:
        try:
            kept.value = await asyncio.get_running_loop().run_in_executor(self._executor, ask)
        except LodelineError as error:
            kept.failed_at = self._clock()
            kept.away_since = kept.away_since or kept.failed_at
            kept.trouble = str(error)
        else:
            kept.read_at = self._clock()
            kept.failed_at = kept.away_since = kept.trouble = None
        finally:
            kept.running = None

    def _answer(self, kept: _Kept) -> Answer[Any]:
        if kept.away_since is None and kept.running is not None:
            waited = self._clock() - kept.asked_at
            return Answer(kept.value, kept.read_at, kept.asked_at, f"no answer for {waited:.0f} s")
        return Answer(kept.value, kept.read_at, kept.away_since, kept.trouble)

    def _forget(self) -> None:
        for key in [key for key, kept in self._kept.items() if kept.running is None][: max(len(self._kept) - _KEPT, 0)]:
            del self._kept[key]
