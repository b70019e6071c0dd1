"""The daily look at the lake: every table by the doctor, and a thirtieth of the files read back."""

from __future__ import annotations

from prefect import State, flow
from prefect.states import Completed

from flows import settings as flow_settings
from storage.opening import lake_location


@flow(name="check-lake")
async def check_lake(config: str | None = None) -> State[None]:
    """Find what the disk damaged. It changes nothing; a run that finds damage fails and names file and hashes.

    Args:
        config: folder of configuration; LODELINE_CONFIG of the worker by default.
    """
    settings = await flow_settings.load("check_lake", config)
    if not settings.storage.lake.enabled:
        return Completed(name="Skipped", message="this host has no lake")
    from tasks.lake.steps import check_step, checked_in_words  # the lake's libraries are an extra

    report = await check_step(lake_location(settings.storage), settings.storage.data_directory, settings.host)
    return Completed(message=checked_in_words(report))
