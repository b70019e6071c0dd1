"""From the tiers to the feature store: what is new or was corrected, into its tables and its online store."""

from __future__ import annotations

from prefect import State, flow
from prefect.states import Completed

from flows import settings as flow_settings


@flow(name="publish-features")
async def publish_features(config: str | None = None) -> State[None]:
    """Publish what is due. Killed or run twice it changes nothing: what is due stays due until done.

    Args:
        config: folder of configuration; LODELINE_CONFIG of the worker by default.
    """
    settings = await flow_settings.load("publish_features", config)
    if not settings.storage.lake.enabled:
        return Completed(name="Skipped", message="this host has no lake")
    from tasks.features.steps import in_words, publish_step  # the lake's libraries are an extra

    report = await publish_step(settings.storage, settings.retention, settings.host)
    return Completed(message=in_words(report))
