"""Pools as they stand: accounts, workers, what the pool says against what our miners say, and the last credit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deployments.page.configured import Configured
from storage.declaration import MEASUREMENTS
from storage.downsample.rollup import DAY_S
from storage.store import Store
from tasks.derive.source_gaps import SourceGap, source_gaps
from tasks.market.coins import COINS
from tasks.pools.picture import picture

Row = Mapping[str, Any]

CREDITS_S = 35 * DAY_S
"""How far back the last credit is looked for."""


@dataclass(frozen=True, slots=True)
class Account:
    """One coin at one pool: a row of tasks.pools.picture, and the newest credit that the pool lists, or none."""

    row: Row
    credit: Row | None


@dataclass(frozen=True, slots=True)
class PoolLine:
    """One pool. ``pool_hs`` and ``miners_hs``: means of the newest hour that was worked out, over the ``compared``
    workers of which both are known. ``others``: how many workers have which state other than matched."""

    pool_id: str
    algorithm: str | None
    accounts: Sequence[Account]
    compared: int
    pool_hs: float | None
    miners_hs: float | None
    others: Mapping[str, int]
    reasons: Sequence[str]

    @property
    def ratio(self) -> float | None:
        """What the pool says / what the miners say."""
        return self.pool_hs / self.miners_hs if self.miners_hs and self.pool_hs is not None else None


@dataclass(frozen=True, slots=True)
class Pools:
    """All configured pools. ``hour``: start of the hour that workers were compared in; ``elsewhere``: miners that no
    pool knows; ``gaps``: of the last day."""

    pools: Sequence[PoolLine]
    hour: float | None
    elsewhere: Sequence[Row]
    gaps: Sequence[SourceGap] = ()


def read_pools(store: Store, configured: Configured, now: float) -> Pools:
    """Pools at ``now`` (Unix seconds).

    Raises:
        TryAgain: the store does not answer.
    """
    found = picture(store, int(now), configured.pool_ids, 1, everyone=True)
    workers = found.workers.to_pylist()
    accounts = found.accounts.to_pylist()
    credits = _last_credits(store, now)
    return Pools(
        [_of_pool(pool, accounts, workers, credits) for pool in sorted(configured.pool_ids)],
        workers[0]["hour"].timestamp() if workers else None,
        [row for row in workers if row["pool_id"] is None],
        source_gaps(store, {"pool": configured.intervals.get("pool", {})}, int(now - DAY_S), int(now)),
    )


def _of_pool(
    pool_id: str, accounts: Sequence[Row], workers: Sequence[Row], credits: Mapping[tuple[str, str], Row]
) -> PoolLine:
    own = [row for row in accounts if row["pool_id"] == pool_id]
    mine = [row for row in workers if row["pool_id"] == pool_id]
    both = [row for row in mine if row["hashrate_pool_hs"] is not None and row["hashrate_miner_hs"] is not None]
    algorithms = {COINS[row["coin_id"]].algorithm for row in own if row["coin_id"] in COINS}
    return PoolLine(
        pool_id,
        algorithms.pop() if len(algorithms) == 1 else None,
        [Account(row, credits.get((pool_id, row["coin_id"] or ""))) for row in own],
        len(both),
        sum(row["hashrate_pool_hs"] for row in both) if both else None,
        sum(row["hashrate_miner_hs"] for row in both) if both else None,
        Counter(row["status"] for row in mine if row["status"] != "matched"),
        [f"{row['worker_id'] or row['miner_id']}: {row['reason'] or row['status']}" for row in mine if _to_tell(row)],
    )


def _to_tell(row: Row) -> bool:
    return row["status"] not in ("matched", "fee_only")


def _last_credits(store: Store, now: float) -> dict[tuple[str, str], Row]:
    """The newest credit of each pool and coin; each of them is a series by its reference."""
    told = store.newest(MEASUREMENTS["pool_payout"], int(now - CREDITS_S), where={"kind": "credited"}).to_pylist()
    return {(row["pool_id"], row["coin_id"]): row for row in sorted(told, key=lambda row: row["time"])}
