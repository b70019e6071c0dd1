"""How the stream stands, among the requests: in their standings and in the rows of ``source_request``."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.pools.prohashing.link import Link
from tasks.pools.prohashing.reading import POOL_ID
from tasks.sources.source import Gathered, Request

NAME = f"{POOL_ID}_wamp"
EVERY_S = 300
LEFT = "pause"
"""What it is covered by while the pool is paused: then there is no stream."""
SETTLES_WITHIN_S = 8.0
"""What a stream that has just begun is given to connect, before it counts as one that is not connected."""


class LinkWatch:
    """A source that asks nobody: its one request succeeds while the stream lives, and fails with why it does not."""

    def __init__(self, link: Link) -> None:
        self.name = NAME
        self._link = link
        self._told = 0

    @property
    def requests(self) -> Sequence[Request]:
        """See :class:`tasks.sources.source.Source`."""
        return (Request("connection", EVERY_S, cost=0.0, covered_by=LEFT if self._link.left else None),)

    async def ask(self, request: Request, slot: int) -> Gathered:  # noqa: ARG002  # the port's
        """See :class:`tasks.sources.source.Source`."""
        await self._link.settled(SETTLES_WITHIN_S)
        self._link.check()
        since, self._told = self._link.malformed - self._told, self._link.malformed
        return Gathered((), notices=[f"{since} payloads could not be read"] if since else [])

    async def aclose(self) -> None:
        """See :class:`tasks.sources.source.Source`."""
