"""The newest price that each provider told of each coin: one file of a host, shared and kept over restarts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from storage.records.market import MarketData
from tasks.market.reconciliation import Price, best_price, judge
from tasks.sources.shared_file import SharedFile

_AHEAD_S = 3_600
"""A price that is so much later than one told now is of a clock that ran ahead and was set back: it is forgotten, else
none could take its place until its time."""


class _Newest(msgspec.Struct, frozen=True):
    rows: list[MarketData] = msgspec.field(default_factory=list)


class PriceMemory:
    """Newest prices in ``folder`` (``<data>/state``)."""

    def __init__(self, folder: Path) -> None:
        self._file = SharedFile(folder / "prices.json", _Newest)

    def judge(self, told: Sequence[MarketData]) -> tuple[list[MarketData], list[str]]:
        """Rows to store for ``told``, all of one provider, and what of them a human should know.

        The rows are those told, judged, and again those of other providers that conflict with them: the same key, now
        with the flag. The same again gives the same and changes nothing.
        """
        rows: list[MarketData] = []
        notices: list[str] = []
        with self._file.held() as kept:
            latest = max((one.time for one in told), default=0) + _AHEAD_S
            newest = {(row.source, row.coin_id): row for row in kept.rows if row.time <= latest}
            for one in told:
                judged, others = judge(one, newest.values())
                rows += [judged, *others]
                notices += [
                    f"{one.coin_id} is {one.price_usd:g} USD here and {other.price_usd:g} USD at {other.source}"
                    for other in others
                ]
                for row in (judged, *others):
                    held = newest.get((row.source, row.coin_id))
                    if row.price_usd is not None and (held is None or held.time <= row.time):
                        newest[row.source, row.coin_id] = row
            self._file.write(_Newest(list(newest.values())))
        return rows, notices

    def best(self, coin_id: str, at: float) -> Price | None:
        """The price that counts now; see :func:`tasks.market.reconciliation.best_price`. Not for times past."""
        return best_price(coin_id, at, self._file.read().rows)
