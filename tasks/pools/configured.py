"""What the configuration says of pools and of where miners should mine. Light: the command line reads it as well."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tasks.collection_settings import CollectionSettings
from tasks.pools.prohashing.reading import POOL_ID
from tasks.pools.worker_name import worker_id


@dataclass(frozen=True, slots=True)
class PoolName:
    """A pool of the configuration; ``account`` is None where it is not configured."""

    id: str
    kind: str
    account: str | None


@dataclass(frozen=True, slots=True)
class Expected:
    """Where a miner should mine; ``worker_id`` None: as any worker of that pool."""

    pool_id: str
    worker_id: str | None


def pool_names(settings: CollectionSettings) -> list[PoolName]:
    """The pools of the configuration, closed ones too, with the account that their workers are called by."""
    names = [PoolName(pool.id, pool.kind, pool.account) for pool in settings.pools]
    if settings.prohashing is not None:
        names.append(PoolName(POOL_ID, "prohashing", settings.prohashing.account))
    return names


def expectations(settings: CollectionSettings, pools: Iterable[PoolName]) -> Mapping[str, Expected]:
    """Where each miner should mine, by its id; nothing of miners of which the configuration does not say it."""
    accounts = {pool.id: pool.account for pool in pools}
    return {
        miner.id: Expected(miner.pool, None if miner.worker is None else worker_id(accounts[miner.pool], miner.worker))
        for miner in settings.miners
        if miner.pool is not None
    }
