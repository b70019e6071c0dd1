"""Pools against miners and markets: matches of workers, summaries, days reconciled; what is new since the last run."""

from __future__ import annotations

from prefect import State, flow
from prefect.states import Completed

from flows import settings as flow_settings
from tasks.pools.steps import derive_pools_step, in_words


@flow(name="derive-pools")
async def derive_pools(config: str | None = None) -> State[None]:
    """Derive what is due. Killed or run twice it changes nothing: what is stored is not written again.

    Args:
        config: folder of configuration; LODELINE_CONFIG of the worker by default.
    """
    settings = await flow_settings.load("derive_pools", config)
    report = await derive_pools_step(settings.storage, settings.collection)
    return Completed(message=in_words(report))
