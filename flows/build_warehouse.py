"""From the tiers to the star schema: every day that is new, or was redone since it was built."""

from __future__ import annotations

from prefect import State, flow
from prefect.states import Completed

from flows import settings as flow_settings


@flow(name="build-warehouse")
async def build_warehouse(config: str | None = None) -> State[None]:
    """Bring the warehouse up to date. Killed or run twice it changes nothing: what is due stays due until done.

    Args:
        config: folder of configuration; LODELINE_CONFIG of the worker by default.
    """
    settings = await flow_settings.load("build_warehouse", config)
    if not settings.storage.lake.enabled:
        return Completed(name="Skipped", message="this host has no lake")
    from tasks.warehouse.steps import build_step, in_words  # the lake's libraries are an extra

    report = await build_step(settings.storage, settings.collection, settings.retention, host=settings.host)
    return Completed(message=in_words(report))
