"""What the page asks the store in the background: derived every hour, so that nobody waits for it.

A thread and a connection of its own: a question over a day of a thousand miners never holds up the states. While the
store is away the last values stay, with their age. Nothing is asked while nobody looks.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from deployments.page.answer import Answer, Answers
from deployments.page.configured import Configured
from deployments.page.day import Day, read_day
from deployments.page.health import Machines, read_machines
from deployments.page.market import Market, read_market
from deployments.page.money import Money, read_money
from deployments.page.pools import Pools, read_pools
from deployments.page.story import Story, read_story
from storage.store import Store

T = TypeVar("T")

KEEP_S = 300.0
"""How long a value is kept that is worked out anew every hour."""
STORY_S = 60.0
"""The same of one miner, to which something may happen at any poll."""


class Background:
    """Answers that are there at once, however old; see :meth:`Answers.peek`. Used from one event loop."""

    def __init__(
        self,
        open_store: Callable[[], Store],
        configured: Configured,
        *,
        clock: Callable[[], float],
    ) -> None:
        self._open_store = open_store
        self._opened: Store | None = None
        self._configured = configured
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, "page-background")
        self._answers = Answers(self._thread, patience_s=0.0, clock=clock)

    def day(self) -> Answer[Day]:
        """The last 24 hours of hashrate."""
        return self._ask("day", lambda store: read_day(store, self._configured, self._clock()))

    def money(self) -> Answer[Money]:
        """Profit of today and yesterday, and what was credited."""
        return self._ask("money", lambda store: read_money(store, self._configured, self._clock()))

    def pools(self) -> Answer[Pools]:
        """Accounts, and what pools say against what miners say."""
        return self._ask("pools", lambda store: read_pools(store, self._configured, self._clock()))

    def market(self) -> Answer[Market]:
        """Prices, indicators and what mining is worth."""
        return self._ask("market", lambda store: read_market(store, self._configured, self._clock()))

    def machines(self) -> Answer[Machines]:
        """What hosts measured of themselves."""
        return self._ask("machines", lambda store: read_machines(store, self._clock()))

    def story(self, miner_id: str) -> Answer[Story]:
        """Money, advice, anomalies and events of one miner."""
        return self._ask(
            f"story {miner_id}", lambda store: read_story(store, self._configured, miner_id, self._clock()), STORY_S
        )

    def close(self) -> None:
        """Close the store and let the thread end."""
        self._answers.close()
        if self._opened is not None:
            self._thread.submit(self._opened.close)
        self._thread.shutdown(wait=False)

    def _ask(self, key: str, ask: Callable[[Store], T], keep_s: float = KEEP_S) -> Answer[T]:
        return self._answers.peek(key, keep_s, lambda: ask(self._store()))

    def _store(self) -> Store:
        if self._opened is None:
            self._opened = self._open_store()
        return self._opened
