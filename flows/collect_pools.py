"""The shift that follows mining pools: what they are asked, and what they send on their own."""

from __future__ import annotations

from prefect import State, flow

from flows import settings as flow_settings
from flows.source_shift import paces_of, source_shift
from tasks.pools.sources import open_pool_sources
from tasks.sources.lanes import POOLS


@flow(name="collect-pools")
async def collect_pools(config: str | None = None, least_minutes: float = 5.0) -> State[None]:
    """Be on shift until the next run relieves this one: pools are asked as often as configured, and listened to.

    Args:
        config: folder of configuration; LODELINE_CONFIG of the worker by default.
        least_minutes: shortest service, so that runs that start together do not relieve each other in turn.
    """
    settings = await flow_settings.load("collect_pools", config)
    paces = paces_of(settings)
    state = settings.storage.state_directory
    sources, budgets, streams = open_pool_sources(settings.collection, state=state, paces=paces)
    return await source_shift(
        POOLS, sources, settings, budgets=budgets, paces=paces, streams=streams, least_minutes=least_minutes
    )
