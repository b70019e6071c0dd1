"""What a record of a miner says of the whole because its boards and pools say it: the same for every driver."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import TypedDict, TypeVar

from storage.records.miner import BoardReading, PoolReading
from tasks.miners.reading import hottest, mean

Number = TypeVar("Number", int, float)
_counters = attrgetter("shares_accepted", "shares_rejected", "shares_stale", "work_accepted_d1")


class Heat(TypedDict):
    """Temperatures of a miner in Celsius; null where no board tells one."""

    chip_temp_avg_c: float | None
    chip_temp_max_c: float | None
    pcb_temp_max_c: float | None


class Shares(TypedDict):
    """Shares of a miner: counts, work in shares of difficulty 1, seconds since the last; null where no pool tells."""

    shares_accepted: int | None
    shares_rejected: int | None
    shares_stale: int | None
    work_accepted_d1: float | None
    last_share_age_s: float | None


def heat_of(boards: Sequence[BoardReading]) -> Heat:
    """Mean over the boards, and the hottest of them."""
    return {
        "chip_temp_avg_c": mean(board.chip_temp_c for board in boards),
        "chip_temp_max_c": hottest(board.chip_temp_c for board in boards),
        "pcb_temp_max_c": hottest(board.pcb_temp_c for board in boards),
    }


def shares_of(pools: Sequence[PoolReading]) -> Shares:
    """Sums over the miner's own pools; leave out those of a fee."""
    return {
        "shares_accepted": counted(pools, lambda pool: pool.shares_accepted),
        "shares_rejected": counted(pools, lambda pool: pool.shares_rejected),
        "shares_stale": counted(pools, lambda pool: pool.shares_stale),
        "work_accepted_d1": counted(pools, lambda pool: pool.work_accepted_d1),
        "last_share_age_s": last_share_age_s(pools),
    }


def counted(pools: Sequence[PoolReading], counter: Callable[[PoolReading], Number | None]) -> Number | None:
    """Sum of a counter over the pools that count anything; None where one of these does not tell it.

    Without one of its parts a sum would fall, which is taken for a reset, and rise again: counted twice.
    """
    told = [counter(pool) for pool in pools if any(value is not None for value in _counters(pool))]
    known = [value for value in told if value is not None]
    return sum(known[1:], known[0]) if known and len(known) == len(told) else None


def last_share_age_s(pools: Iterable[PoolReading]) -> float | None:
    """Seconds since the last share at any of the pools."""
    return min((pool.last_share_age_s for pool in pools if pool.last_share_age_s is not None), default=None)
