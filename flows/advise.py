"""What is worth changing at each miner, every hour, once the hour's money is derived."""

from __future__ import annotations

from prefect import State, flow
from prefect.states import Completed

from flows import settings as flow_settings
from tasks.derive.fleet import fleet_of
from tasks.derive.steps import advice_in_words, advice_step


@flow(name="advise")
async def advise(config: str | None = None) -> State[None]:
    """Find opportunities, and what became of those found before. Killed or run twice it changes nothing.

    Args:
        config: folder of configuration; LODELINE_CONFIG of the worker by default.
    """
    settings = await flow_settings.load("advise", config)
    told = settings.collection
    report = await advice_step(settings.storage, fleet_of(told.miners, told.electricity, told.economics))
    return Completed(message=advice_in_words(report))
