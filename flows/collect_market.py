"""The shift that asks for prices and networks of coins."""

from __future__ import annotations

from prefect import State, flow

from flows import settings as flow_settings
from flows.source_shift import paces_of, source_shift
from tasks.market.sources import open_market_sources
from tasks.sources.lanes import MARKET


@flow(name="collect-market")
async def collect_market(config: str | None = None, least_minutes: float = 5.0) -> State[None]:
    """Be on shift until the next run relieves this one: each source is asked as often as configured.

    Args:
        config: folder of configuration; LODELINE_CONFIG of the worker by default.
        least_minutes: shortest service, so that runs that start together do not relieve each other in turn.
    """
    settings = await flow_settings.load("collect_market", config)
    paces = paces_of(settings)
    state = settings.storage.state_directory
    sources, budgets = open_market_sources(settings.collection.market_data, state=state, paces=paces)
    return await source_shift(MARKET, sources, settings, budgets=budgets, paces=paces, least_minutes=least_minutes)
