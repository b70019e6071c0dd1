"""Forecasts of miners, once a day, and of the fleet, every hour; scores of those whose period is over."""

from __future__ import annotations

from prefect import State, flow
from prefect.states import Completed

from flows import settings as flow_settings
from tasks.derive.steps import forecast_step, forecasts_in_words


@flow(name="forecast")
async def forecast(config: str | None = None) -> State[None]:
    """Forecast what is due. Killed or run twice it changes nothing: a forecast that was made is never made again.

    Args:
        config: folder of configuration; LODELINE_CONFIG of the worker by default.
    """
    settings = await flow_settings.load("forecast", config)
    report = await forecast_step(settings.storage, [miner.id for miner in settings.collection.miners])
    return Completed(message=forecasts_in_words(report))
