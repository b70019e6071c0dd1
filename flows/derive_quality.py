"""How good the data of each source was, by day, once it is over; how sources answered by hour; how the fleet stands."""

from __future__ import annotations

from prefect import State, flow
from prefect.states import Completed

from flows import settings as flow_settings
from tasks.derive.source_quality.sources import intervals_of
from tasks.derive.steps import health_in_words, health_step, source_quality_in_words, source_quality_step


@flow(name="derive-quality")
async def derive_quality(config: str | None = None) -> State[None]:
    """Work out source_quality of the days that are due, source_hour of the hours, and fleet_health of now.

    Killed or run twice it changes nothing, but for the time of fleet_health.

    Args:
        config: folder of configuration; LODELINE_CONFIG of the worker by default.
    """
    settings = await flow_settings.load("derive_quality", config)
    report = await source_quality_step(
        settings.storage, intervals_of(settings.collection), settings.retention.bucket_days()
    )
    health = await health_step(settings.storage, settings.collection.miners)
    return Completed(message=f"{source_quality_in_words(report)}; {health_in_words(health)}")
