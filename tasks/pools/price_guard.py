"""Prices that jump: a unit that changed at the pool, or an estimate that ran away, is not stored as a price.

Pools have changed units and mended their interfaces overnight, and profit was a thousand times too high (RainbowMiner
#2578, #1436). A price more than 20 times off its own median of 24 h, or off what the coins' networks pay for the
algorithm, is left out with the flag ``unit_suspect``; the last good one stays the newest in the store.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median

import msgspec

from storage.records.pool import PoolProfitability
from tasks.sources.shared_file import SharedFile

FACTOR = 20.0
DAY_S = 86_400
SAMPLE_S = 900
UNIT_SUSPECT = "unit_suspect"
_OWN = "its own median of 24 h"

Worth = Callable[[str, int], float | None]
"""USD per TH/s and day that the networks of an algorithm's coins pay at a time; None where that is not known."""


def unknown_worth(_algorithm: str, _time: int) -> float | None:
    """For where no network is followed."""
    return None


class _Sample(msgspec.Struct, frozen=True, array_like=True):
    time: int
    price: float
    suspect: bool = False


class _Kept(msgspec.Struct, frozen=True):
    samples: dict[str, list[_Sample]] = msgspec.field(default_factory=dict)


class PriceGuard:
    """Judges the prices of one pool, over restarts: ``folder`` is ``<data>/state``.

    Remembered is the first price of every quarter of an hour. Suspect ones count when they are half a day old: where a
    price has really changed, it becomes the median, and is believed, within a day, unless the networks speak against
    it. Used by one process at a time.
    """

    def __init__(self, folder: Path, pool_id: str, worth: Worth = unknown_worth) -> None:
        self._file = SharedFile(folder / f"{pool_id}.prices.json", _Kept)
        self._samples: dict[str, list[_Sample]] | None = None
        self._worth = worth
        self._suspect: set[str] = set()

    def judge(self, rows: Iterable[PoolProfitability]) -> tuple[list[PoolProfitability], list[str]]:
        """The rows, suspect prices left out; and notices of what became suspect and what is believed again."""
        notices: list[str] = []
        return [self._judged(row, notices) for row in rows], notices

    def _judged(self, row: PoolProfitability, notices: list[str]) -> PoolProfitability:
        price = row.per_hash_rate_usd_th_day
        if not price:  # nothing told, or nothing paid: no unit makes a zero
            return row
        before = self._past(row.algorithm, row.time)
        measures = {
            _OWN: median(before) if before else None,
            "what the networks pay": self._worth(row.algorithm, row.time),
        }
        far = [f"{name}, {value:.4g}" for name, value in measures.items() if value and _apart(price, value) > FACTOR]
        self._remember(row.algorithm, _Sample(row.time, price, suspect=bool(far)))
        if not far:
            if row.algorithm in self._suspect:
                self._suspect.discard(row.algorithm)
                notices.append(f"{row.algorithm}: {price:.4g} USD/TH/day is believed again")
            return row
        if row.algorithm not in self._suspect:
            self._suspect.add(row.algorithm)
            stood = ", or has stood for a day" if all(one.startswith(_OWN) for one in far) else ""
            notices.append(
                f"{row.algorithm}: {price:.4g} USD/TH/day is more than {FACTOR:g} times off {' and off '.join(far)}: "
                f"has the pool changed a unit? It is left out until it fits{stood}"
            )
        return msgspec.structs.replace(row, per_hash_rate_usd_th_day=None, quality_flags=UNIT_SUSPECT)

    def _past(self, algorithm: str, time: int) -> list[float]:
        if self._samples is None:
            self._samples = dict(self._file.read().samples)
        return [
            one.price
            for one in self._samples.get(algorithm, [])
            if time - DAY_S < one.time < (time - DAY_S // 2 if one.suspect else time)
        ]

    def _remember(self, algorithm: str, new: _Sample) -> None:
        assert self._samples is not None  # noqa: S101  # _past came first
        kept = self._samples.get(algorithm, [])
        if kept and kept[-1].time // SAMPLE_S == new.time // SAMPLE_S:
            return
        self._samples[algorithm] = [*(one for one in kept if one.time > new.time - DAY_S), new]
        self._file.write(_Kept(self._samples))


def _apart(one: float, other: float) -> float:
    return max(one / other, other / one)
