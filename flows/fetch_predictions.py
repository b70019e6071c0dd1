"""Predictions of Abacus.AI as records, and their scores."""

from __future__ import annotations

from prefect import State, flow
from prefect.states import Completed

from flows import settings as flow_settings


@flow(name="fetch-predictions")
async def fetch_predictions(config: str | None = None) -> State[None]:
    """Start batches that are due, fetch those that are over, and score. Killed or run twice, every one is there once.

    Args:
        config: folder of configuration; LODELINE_CONFIG of the worker by default.
    """
    settings = await flow_settings.load("fetch_predictions", config)
    abacus = await flow_settings.load_abacus(config)
    if abacus is None or not abacus.predictions:
        return Completed(name="Skipped", message="abacus_integration_config.yaml has no predictions")
    if not settings.storage.lake.enabled:
        return Completed(name="Skipped", message="this host has no lake, so no features to score against")
    from tasks.abacus.predicting import predictions_in_words  # the SDK and the lake's libraries are extras
    from tasks.abacus.steps import predict_step

    return Completed(message=predictions_in_words(await predict_step(abacus, settings.storage)))
