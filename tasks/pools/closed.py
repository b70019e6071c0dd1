"""A pool that has closed: it stays in the configuration, since its past stays in the books, and it says so."""

from __future__ import annotations

from tasks.sources.failure import SourceFailure, SourceFailureKind
from tasks.sources.source import Gathered, Request


class ClosedPool:
    """Sends nothing. Its one request always fails as ``gone``, which is asked once a day."""

    def __init__(self, name: str, every_s: int) -> None:
        self.name = name
        self.requests = (Request("account", every_s, cost=0.0),)

    async def ask(self, request: Request, slot: int) -> Gathered:  # noqa: ARG002
        """See :class:`tasks.sources.source.Source`."""
        raise SourceFailure(
            SourceFailureKind.GONE, f"{self.name}: the configuration says that this pool has closed (state: gone)"
        )

    async def aclose(self) -> None:
        """See :class:`tasks.sources.source.Source`."""
