"""Raw readings to hours, hours to days: every closed window that got data since it was rolled up."""

from __future__ import annotations

from prefect import State, flow
from prefect.states import Completed

from flows import settings as flow_settings
from flows.batch import batch_task_runner
from tasks.rollup.steps import in_words, roll_up_step


@flow(name="downsample")
async def downsample(config: str | None = None) -> State[None]:
    """Roll up all windows that are due. Killed or run twice it changes nothing: what is due stays due until done.

    Args:
        config: folder of configuration; LODELINE_CONFIG of the worker by default.
    """
    settings = await flow_settings.load("downsample", config)
    with batch_task_runner(settings.storage.batch) as runner:
        days = settings.retention.bucket_days()
        report = await roll_up_step(settings.storage, days, settings.host, runner)
    return Completed(message=in_words(report))
