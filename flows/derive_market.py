"""Indicators from daily closes, and what mining is worth by each network: what is new since the last run."""

from __future__ import annotations

from prefect import State, flow
from prefect.states import Completed

from flows import settings as flow_settings
from tasks.market.steps import derive_step, in_words


@flow(name="derive-market")
async def derive_market(config: str | None = None) -> State[None]:
    """Derive what is due. Killed or run twice it changes nothing: what is stored is not written again.

    Args:
        config: folder of configuration; LODELINE_CONFIG of the worker by default.
    """
    settings = await flow_settings.load("derive_market", config)
    report = await derive_step(settings.storage, settings.collection.market_data)
    return Completed(message=in_words(report))
