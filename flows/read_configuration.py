"""The configuration of one miner to which something happened: it started, or has another firmware."""

from __future__ import annotations

from prefect import State, flow, runtime
from prefect.states import Completed

from flows import settings as flow_settings
from tasks.miners.steps import read_configuration_step


@flow(name="read-configuration")
async def read_configuration(miner_id: str, config: str | None = None) -> State[None]:
    """Read what the miner is set to, and store it.

    Args:
        miner_id: its id in the configuration of this host; of others nothing is read.
        config: folder of configuration; LODELINE_CONFIG of the worker by default.
    """
    settings = await flow_settings.load("read_configuration", config)
    miner = next((miner for miner in settings.collection.miners if miner.id == miner_id), None)
    if miner is None:
        return Completed(name="Skipped", message=f"this host has no miner {miner_id}")
    done = await read_configuration_step(settings.storage, miner, run_id=runtime.flow_run.id)
    return Completed(message=done)
