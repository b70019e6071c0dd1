"""Anomaly scores of whole hours; those of minutes come from the shift that polls the miners."""

from __future__ import annotations

from prefect import State, flow
from prefect.states import Completed

from flows import settings as flow_settings
from tasks.derive.steps import anomalies_in_words, anomalies_step


@flow(name="derive-anomalies")
async def derive_anomalies(config: str | None = None) -> State[None]:
    """Score the hours that are over. Run twice it writes nothing new; after a standstill it catches up three days.

    Args:
        config: folder of configuration; LODELINE_CONFIG of the worker by default.
    """
    settings = await flow_settings.load("derive_anomalies", config)
    wanted = (await flow_settings.load_real_time(config)).anomaly_detection
    if not wanted.enabled:
        return Completed(name="Skipped", message="real_time.anomaly_detection.enabled is false")
    report = await anomalies_step(
        settings.storage,
        [miner.id for miner in settings.collection.miners],
        sensitivity=wanted.sensitivity,
        threshold=wanted.alert_threshold,
    )
    return Completed(message=anomalies_in_words(report))
