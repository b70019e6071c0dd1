"""Models at Abacus.AI, trained again by time or drift."""

from __future__ import annotations

from prefect import State, flow
from prefect.states import Completed

from flows import settings as flow_settings


@flow(name="retrain-models")
async def retrain_models(config: str | None = None) -> State[None]:
    """Start the trainings that are due. Killed or run twice, none is started twice.

    Args:
        config: folder of configuration; LODELINE_CONFIG of the worker by default.
    """
    settings = await flow_settings.load("retrain_models", config)
    abacus = await flow_settings.load_abacus(config)
    if abacus is None or not abacus.retraining:
        return Completed(name="Skipped", message="abacus_integration_config.yaml has no retraining")
    from tasks.abacus.retraining import retraining_in_words  # the SDK is an extra
    from tasks.abacus.steps import retrain_step

    return Completed(message=retraining_in_words(await retrain_step(abacus, settings.storage, settings.host)))
