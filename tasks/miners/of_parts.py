"""What a record of a miner says of the whole because its boards and pools say it: the same for every driver."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypedDict

from storage.records.miner import BoardReading, PoolReading
from tasks.miners.reading import hottest, mean, total


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
        "shares_accepted": total(pool.shares_accepted for pool in pools),
        "shares_rejected": total(pool.shares_rejected for pool in pools),
        "shares_stale": total(pool.shares_stale for pool in pools),
        "work_accepted_d1": total(pool.work_accepted_d1 for pool in pools),
        "last_share_age_s": last_share_age_s(pools),
    }


def last_share_age_s(pools: Iterable[PoolReading]) -> float | None:
    """Seconds since the last share at any of the pools."""
    return min((pool.last_share_age_s for pool in pools if pool.last_share_age_s is not None), default=None)
