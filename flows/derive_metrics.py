"""How miners worked and what they earned, by hour and day of UTC, once readings are rolled up; again for late data."""

from __future__ import annotations

from prefect import State, flow
from prefect.states import Completed

from flows import settings as flow_settings
from tasks.derive.fleet import fleet_of
from tasks.derive.steps import metrics_in_words, metrics_step


@flow(name="derive-metrics")
async def derive_metrics(config: str | None = None) -> State[None]:
    """Derive what is due. Killed or run twice it changes nothing: what is stored is not written again.

    Args:
        config: folder of configuration; LODELINE_CONFIG of the worker by default.
    """
    settings = await flow_settings.load("derive_metrics", config)
    told = settings.collection
    fleet = fleet_of(told.miners, told.electricity, told.economics)
    report = await metrics_step(settings.storage, fleet, settings.retention.bucket_days())
    return Completed(message=metrics_in_words(report))
