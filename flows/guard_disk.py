"""The disk: what takes it, how long it lasts, and what is done before it is full. Keeps the logs by the way."""

from __future__ import annotations

from prefect import State, flow, runtime
from prefect.states import Completed

from flows import settings as flow_settings
from tasks.disk.steps import act_step, in_words, measure_step, sweep_logs_step


@flow(name="guard-disk")
async def guard_disk(config: str | None = None) -> State[None]:
    """Measure, record, act in order: compact now, archive early what is due, warn. It never deletes data by itself.

    Args:
        config: folder of configuration; LODELINE_CONFIG of the worker by default.
    """
    settings = await flow_settings.load("guard_disk", config)
    storage, retention, host = settings.storage, settings.retention, settings.host
    swept = await sweep_logs_step(storage, retention.system_data.logs)
    miners = len(settings.collection.miners)
    budget = await measure_step(storage, retention, miners=miners, host=host, run_id=runtime.flow_run.id)
    await act_step(budget, storage, host=host)
    return Completed(message=in_words(budget, swept))
