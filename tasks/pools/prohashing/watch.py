"""How the stream stands, among the requests: in their standings and in the rows of ``source_request``."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.pools.prohashing.link import Link
from tasks.pools.prohashing.reading import POOL_ID
from tasks.sources.source import Gathered, Request

NAME = f"{POOL_ID}_wamp"
EVERY_S = 300


class LinkWatch:
    """A source that asks nobody: its one request succeeds while the stream lives, and fails with why it does not."""

    def __init__(self, link: Link) -> None:
        self.name = NAME
        self.requests: Sequence[Request] = (Request("connection", EVERY_S, cost=0.0),)
        self._link = link
        self._told = 0

    async def ask(self, request: Request, slot: int) -> Gathered:  # noqa: ARG002  # the port's
        """See :class:`tasks.sources.source.Source`."""
        self._link.check()
        since, self._told = self._link.malformed - self._told, self._link.malformed
        return Gathered((), notices=[f"{since} payloads could not be read"] if since else [])

    async def aclose(self) -> None:
        """See :class:`tasks.sources.source.Source`."""
