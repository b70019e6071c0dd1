"""What an outage of the collector left out, read from what the miners remember themselves."""

from __future__ import annotations

from prefect import State, flow, runtime
from prefect.states import Completed

from flows import settings as flow_settings
from tasks.miners.sites import lane_of, miners_of
from tasks.miners.steps import fill_gaps_step


@flow(name="fill-gaps")
async def fill_gaps(config: str | None = None, site: str | None = None) -> State[None]:
    """Fill the holes of the last three days. Again it changes nothing: what is filled is no hole any more.

    Args:
        config: folder of configuration; LODELINE_CONFIG of the worker by default.
        site: the site whose miners are asked; all miners by default.
    """
    settings = await flow_settings.load("fill_gaps", config)
    wanted = settings.collection
    done = await fill_gaps_step(
        settings.storage,
        miners_of(wanted.miners, site),
        wanted.fleet,
        host=settings.host,
        lane=lane_of(site),
        run_id=runtime.flow_run.id,
    )
    return Completed(message=done)
