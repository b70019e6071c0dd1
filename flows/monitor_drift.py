"""Drift as monitors at Abacus.AI see it, beside what is measured here."""

from __future__ import annotations

from prefect import State, flow
from prefect.states import Completed

from flows import settings as flow_settings


@flow(name="monitor-drift")
async def monitor_drift(config: str | None = None) -> State[None]:
    """Run the monitors whose day is due and fetch what is there. Killed or run twice, each day is there once.

    Args:
        config: folder of configuration; LODELINE_CONFIG of the worker by default.
    """
    settings = await flow_settings.load("monitor_drift", config)
    abacus = await flow_settings.load_abacus(config)
    if abacus is None or not abacus.drift_monitors:
        return Completed(name="Skipped", message="abacus_integration_config.yaml has no drift_monitors")
    if not settings.storage.lake.enabled and settings.storage.influx is None:
        return Completed(name="Skipped", message="this host stores nothing")
    from tasks.abacus.monitoring import monitors_in_words  # the SDK is an extra
    from tasks.abacus.steps import monitor_step

    return Completed(message=monitors_in_words(await monitor_step(abacus, settings.storage)))
