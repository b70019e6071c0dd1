"""How far each feature of the day before has moved from the weeks before it."""

from __future__ import annotations

from prefect import State, flow
from prefect.states import Completed

from flows import settings as flow_settings


@flow(name="measure-drift")
async def measure_drift(config: str | None = None) -> State[None]:
    """Measure the days that are due. Killed or run twice it changes nothing.

    Args:
        config: folder of configuration; LODELINE_CONFIG of the worker by default.
    """
    settings = await flow_settings.load("measure_drift", config)
    if not settings.storage.lake.enabled:
        return Completed(name="Skipped", message="this host has no lake")
    from tasks.features.steps import drift_in_words, drift_step  # the lake's libraries are an extra

    report = await drift_step(settings.storage)
    return Completed(message=drift_in_words(report))
