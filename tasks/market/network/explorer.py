"""An explorer as a source: asked at its pace, its rows judged, and left alone for long once it says that it is enough.

Each explorer has a file with its name, its address, the coins it can tell of, and two functions: one that asks, and a
pure one that makes records of the answer in base units.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from storage.records.market import MarketRecords, NetworkData, market_frames
from tasks.market.coins import Coin
from tasks.market.network.memory import NetworkMemory
from tasks.resilience.http import Api, Reply
from tasks.sources.failure import HeldBack, SourceFailure, SourceFailureKind
from tasks.sources.source import Answer, Gathered, Request

FIRST_REST_S = 3_600.0
LONGEST_REST_S = 86_400.0
"""mempool.space bans who goes on asking after a 429, for a time that is not told: the rest doubles each time."""


@dataclass(frozen=True, slots=True)
class Told:
    """What an explorer answered: records as told, not yet judged, and the answers that they are from."""

    networks: Sequence[NetworkData]
    replies: Sequence[Reply]


Ask = Callable[[Api, Sequence[Coin], int], Awaitable[Told]]
"""Asks for coins; ``int`` is the slot, in Unix seconds."""


class Explorer:
    """One explorer, see :class:`tasks.sources.source.Source`."""

    def __init__(
        self, name: str, api: Api, ask: Ask, coins: Sequence[Coin], memory: NetworkMemory, *, every_s: int
    ) -> None:
        self.name = name
        self.requests = (Request("networks", every_s),)
        self._api = api
        self._ask = ask
        self._coins = coins
        self._memory = memory

    async def ask(self, request: Request, slot: int) -> Gathered:
        """See :class:`tasks.sources.source.Source`."""
        del request  # there is one
        try:
            told = await self._ask(self._api, self._coins, slot)
        except SourceFailure as failure:
            if failure.kind is not SourceFailureKind.RATE_LIMITED or isinstance(failure, HeldBack):
                raise
            rest = min(FIRST_REST_S * 2.0 ** (self._memory.refused(self.name) - 1), LONGEST_REST_S)
            raise SourceFailure(
                failure.kind, f"{failure}; it is left alone", retry_after_s=max(rest, failure.retry_after_s or 0.0)
            ) from failure
        judged = self._memory.judge(self.name, told.networks, slot)
        missing = {coin.id for coin in self._coins} - {network.coin_id for network in told.networks}
        notices = [f"tells nothing of {', '.join(sorted(missing))}"] if missing else []
        notices += [f"{one.coin_id}: {one.quality_flags}" for one in judged if one.quality_flags]
        return Gathered(
            market_frames(MarketRecords(networks=tuple(judged))),
            [
                Answer(reply.status, reply.text, reply.size, reply.address, reply.received_ms, page)
                for page, reply in enumerate(told.replies, 1)
            ],
            notices=notices,
            tries=sum(reply.tries for reply in told.replies),
        )

    async def aclose(self) -> None:
        """See :class:`tasks.sources.source.Source`."""
        await self._api.aclose()
