"""How miners worked, of every hour and day of UTC whose readings are rolled up; late data makes it due again."""

from __future__ import annotations

from prefect import State, flow
from prefect.states import Completed

from flows import settings as flow_settings
from tasks.derive.steps import metrics_in_words, metrics_step


@flow(name="derive-metrics")
async def derive_metrics(config: str | None = None) -> State[None]:
    """Derive what is due. Killed or run twice it changes nothing: what is stored is not written again.

    Args:
        config: folder of configuration; LODELINE_CONFIG of the worker by default.
    """
    settings = await flow_settings.load("derive_metrics", config)
    miners = {miner.id: miner.model for miner in settings.collection.miners}
    report = await metrics_step(settings.storage, miners, settings.retention.bucket_days())
    return Completed(message=metrics_in_words(report))
