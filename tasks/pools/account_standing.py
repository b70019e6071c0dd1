"""How an account stands where its pool gives no data because of the account: it is refused, or the pool has closed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from storage.frame import Frame
from storage.records.pool import PoolAccount, PoolRecords, pool_frames
from tasks.sources.failure import SourceFailure, SourceFailureKind
from tasks.sources.source import Gathered, Request, Source

_STATUS: Mapping[SourceFailureKind, str] = {SourceFailureKind.GONE: "gone", SourceFailureKind.REFUSED: "refused"}


def standing_frames(pool_id: str, coins: Sequence[str], kind: SourceFailureKind, slot: int) -> list[Frame]:
    """Rows of ``pool_account`` that say so, one for each coin of the account; none for failures of another kind."""
    status = _STATUS.get(kind)
    if status is None:
        return []
    rows = (PoolAccount(time=slot, pool_id=pool_id, coin_id=coin, status=status) for coin in coins)
    return pool_frames(PoolRecords(accounts=tuple(rows)))


class AccountStanding:
    """The source ``pool`` whose failures also say in the rows of its account what they mean for it."""

    def __init__(self, pool: Source, coins: Sequence[str]) -> None:
        self.name = pool.name
        self._pool = pool
        self._coins = coins

    @property
    def requests(self) -> Sequence[Request]:
        """See :class:`tasks.sources.source.Source`."""
        return self._pool.requests

    async def ask(self, request: Request, slot: int) -> Gathered:
        """See :class:`tasks.sources.source.Source`."""
        try:
            return await self._pool.ask(request, slot)
        except SourceFailure as failure:
            failure.frames = [*failure.frames, *standing_frames(self.name, self._coins, failure.kind, slot)]
            raise

    async def aclose(self) -> None:
        """See :class:`tasks.sources.source.Source`."""
        await self._pool.aclose()
