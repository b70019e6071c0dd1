"""How far each feature group's export to Abacus.AI is: how old, how many rows behind, what failed last."""

from __future__ import annotations

from prefect import State, flow
from prefect.states import Completed

from flows import settings as flow_settings


@flow(name="measure-export")
async def measure_export(config: str | None = None) -> State[None]:
    """Measure from this host's own notes; the service is not asked.

    Args:
        config: folder of configuration; LODELINE_CONFIG of the worker by default.
    """
    settings = await flow_settings.load("measure_export", config)
    abacus = await flow_settings.load_abacus(config)
    if abacus is None or not abacus.feature_groups:
        return Completed(name="Skipped", message="abacus_integration_config.yaml has no feature groups")
    if not settings.storage.lake.enabled:
        return Completed(name="Skipped", message="this host has no lake, so no features")
    from tasks.abacus.steps import measure_export_step, states_in_words  # the SDK and the lake's libraries are extras

    return Completed(message=states_in_words(await measure_export_step(abacus, settings.storage, settings.host)))
