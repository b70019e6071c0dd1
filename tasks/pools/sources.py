"""Which pools the configuration asks for, their budgets, and the streams that pools send on their own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from pydantic import SecretStr

from tasks.collection_settings import CollectionSettings
from tasks.pools import f2pool, litecoinpool, viabtc
from tasks.pools.closed import ClosedPool
from tasks.pools.settings import PoolKind, PoolSettings
from tasks.resilience.http import Pace
from tasks.sources.budget import Budget
from tasks.sources.pace import HostPace
from tasks.sources.source import Source, Stream


class Kind(NamedTuple):
    """How a pool is opened, and how often a host may ask it."""

    open: Callable[[PoolSettings, SecretStr, Pace], Source]
    per_minute: float
    burst: int = 1


KINDS: dict[PoolKind, Kind] = {
    "litecoinpool": Kind(litecoinpool.open_pool, litecoinpool.PER_MINUTE),
    "viabtc": Kind(viabtc.open_pool, viabtc.PER_MINUTE, viabtc.BURST),
    "f2pool": Kind(f2pool.open_pool, f2pool.PER_MINUTE),
}


def open_pool_sources(
    settings: CollectionSettings, *, state: Path
) -> tuple[list[Source], dict[str, Budget], list[Stream]]:
    """Sources, budgets by name of source, and streams; ``state`` is where pace and credits lie.

    Raises:
        SourceFailure: a pool's ``ca_file`` cannot be read.
    """
    return [open_pool(pool, state) for pool in settings.pools], {}, []


def open_pool(settings: PoolSettings, state: Path) -> Source:
    """The source of one account. Pools count requests by address, so accounts at one pool share its pace."""
    if settings.state == "gone":
        return ClosedPool(settings.id, settings.polling_intervals.payouts)
    assert settings.api_key is not None  # noqa: S101  # the settings saw to it
    kind = KINDS[settings.kind]
    return kind.open(
        settings, settings.api_key, HostPace(state, settings.kind, per_minute=kind.per_minute, burst=kind.burst)
    )
