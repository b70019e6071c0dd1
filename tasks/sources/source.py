"""The port of a pool or market source. One room or file per source implements it; the shift knows nothing else of it.

A source is one account at one service: it has its own client, its own pace and its own budget, so that what goes wrong
with it stays with it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from storage.frame import Frame


@dataclass(frozen=True, slots=True)
class Request:
    """One thing a source is asked, every ``every_s`` seconds.

    ``cost`` is what a success takes of the account's monthly budget. Under load or a short budget requests of a higher
    ``rank`` wait first. ``fresh_s``: how long an answer serves who asks the same again; 0: never. ``covered_by``:
    what brings the same meanwhile, e.g. a stream; while it is set nothing is asked, and at its end the request is due
    at once.
    """

    name: str
    every_s: int
    cost: float = 1.0
    rank: int = 0
    fresh_s: float = 0.0
    covered_by: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """One page of an answer, for the lake; ``body`` with its secrets masked, ``received_ms`` in Unix time."""

    status: int
    body: str
    size: int
    address: str
    received_ms: int
    page: int = 1
    from_cache: bool = False
    age_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Gathered:
    """What one request gave: ``frames`` to spool, stamped with the slot, the ``answers`` they were made from, and
    ``notices`` for the log: what a human should know and no row tells, e.g. an unknown coin."""

    frames: Sequence[Frame]
    answers: Sequence[Answer] = ()
    notices: Sequence[str] = ()
    tries: int = 1
    credits: float = field(default=0.0)


class Source(Protocol):
    """A pool account, a price provider, a network explorer. Used from one event loop."""

    @property
    def name(self) -> str:
        """Stable name, unique on a host: tag ``source`` of its books, e.g. ``coingecko`` or ``litecoinpool``."""
        ...

    @property
    def requests(self) -> Sequence[Request]:
        """What it is to be asked; looked at before every slot."""
        ...

    async def ask(self, request: Request, slot: int) -> Gathered:
        """Ask once (retries and pages inside), rows stamped ``slot`` (Unix seconds) unless the source tells a time.

        Raises:
            SourceFailure: no data, and why. A part that cannot be read costs that part, not the answer.
        """
        ...

    async def aclose(self) -> None:
        """Let go of connections."""
        ...


Push = Callable[[Sequence[Frame]], Awaitable[None]]
"""Makes frames durable: spooled when it returns."""


class Stream(Protocol):
    """A connection over which a source sends on its own. Runs beside the requests of a shift, in its event loop."""

    @property
    def name(self) -> str:
        """Name of the source that it belongs to."""
        ...

    async def run(self, push: Push) -> None:
        """Connect, hand on what comes, and connect again after every loss, until cancelled.

        What comes is pushed within a second, many changes of one thing as the newest of them. It never returns by
        itself and raises nothing but NeedsHuman from ``push``.
        """
        ...
