"""Features of the last minutes to Abacus.AI, in micro-batches."""

from __future__ import annotations

from prefect import State, flow
from prefect.states import Completed

from flows import settings as flow_settings


@flow(name="stream-features")
async def stream_features(config: str | None = None) -> State[None]:
    """Stream the windows that are closed. Killed, late or run twice, every row is there once.

    Args:
        config: folder of configuration; LODELINE_CONFIG of the worker by default.
    """
    settings = await flow_settings.load("stream_features", config)
    abacus = await flow_settings.load_abacus(config)
    if abacus is None or not abacus.real_time.enabled:
        return Completed(name="Skipped", message="Abacus.AI or its real_time is not configured")
    if not settings.storage.lake.enabled and settings.storage.influx is None:
        return Completed(name="Skipped", message="this host stores nothing")
    from tasks.abacus.exporting import in_words  # the SDK is an extra
    from tasks.abacus.steps import stream_step

    return Completed(message=in_words(await stream_step(abacus, settings.storage)))
