"""Features to Abacus.AI: per feature group the rows that became known since the last export."""

from __future__ import annotations

from prefect import State, flow
from prefect.states import Completed

from flows import settings as flow_settings


@flow(name="export-features")
async def export_features(config: str | None = None) -> State[None]:
    """Export what is new. Killed, late or run twice, every row arrives once.

    Args:
        config: folder of configuration; LODELINE_CONFIG of the worker by default.
    """
    settings = await flow_settings.load("export_features", config)
    abacus = await flow_settings.load_abacus(config)
    if abacus is None:
        return Completed(name="Skipped", message="no abacus_integration_config.yaml: nothing goes to Abacus.AI")
    if not abacus.batch_processing.feature_computation.enabled:
        return Completed(name="Skipped", message="batch_processing.feature_computation.enabled is false")
    if not settings.storage.lake.enabled:
        return Completed(name="Skipped", message="this host has no lake, so no features")
    from tasks.abacus.exporting import in_words  # the SDK and the lake's libraries are extras
    from tasks.abacus.steps import export_step

    return Completed(message=in_words(await export_step(abacus, settings.storage)))
